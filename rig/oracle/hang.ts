/**
 * Did every operation get an answer, good or bad, in the time the configuration allows? How long that is depends on what
 * was configured (NOP-Out and replacement timeouts, how many paths) and on how fast the machine is; the history says it in
 * its `limits` events, and the latest one before an operation's invocation holds for it. Time in which nothing could answer
 * does not count (hang-excused.ts).
 *
 * An operation that was still waiting when the history ended, or when the connection to the device ended, is a hang only
 * if it had waited too long by then. Whether a node died is the kernel log's to say.
 */
import type { EventOf, History } from "../history/event.ts";
import { ACTION, BACKING, STATE } from "../history/operations.ts";
import { endNs, eventsOf, faultsOf, type Located, seconds } from "../history/view.ts";
import type { Finding } from "./finding.ts";
import { Excused } from "./hang-excused.ts";
import { blockedTasks } from "./hang-tasks.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { capital, faultRelation, lifeWords, linesOf, operationWords, plural, viaWords } from "./words.ts";

type Limits = Located<EventOf<"limits">>;

/** How many late operations are named by their lines. */
const NAMED = 8;

/** Finds the entry that holds for a moment. Moments that are asked for in order cost one walk over the entries in all. */
class Latest {
  readonly #times: readonly number[];
  #index = 0;

  /** @param times in order. */
  constructor(times: readonly number[]) {
    this.#times = times;
  }

  /** How many entries lie before the moment, or, where `including`, at it. */
  before(ns: number, including: boolean): number {
    const times = this.#times;
    const isBefore = (index: number) => {
      const at = times[index] ?? Number.POSITIVE_INFINITY;
      return including ? at <= ns : at < ns;
    };
    while (this.#index > 0 && !isBefore(this.#index - 1)) this.#index--;
    while (this.#index < times.length && isBefore(this.#index)) this.#index++;
    return this.#index;
  }
}

/** What was found, as numbers of operations: no object is made for one that was answered in time. */
interface Waits {
  judged: number;
  late: number;
  lateUnanswered: number;
  /** The first few. */
  readonly named: number[];
  worst:
    | { readonly op: number; readonly untilNs: number; readonly waitedNs: number; readonly limits: Limits }
    | undefined;
  undecided: number;
  firstUndecided: number | undefined;
}

/** When nobody was waiting for a device's answers any more: its first disconnection after a moment, or that of all. */
class Cuts {
  readonly #disconnects: readonly EventOf<"disconnect">[];
  readonly #devices = new Map<number, { readonly times: readonly number[]; readonly latest: Latest }>();

  constructor(history: History) {
    this.#disconnects = eventsOf(history, "disconnect")
      .map(({ event }) => event)
      .sort((a, b) => a.t - b.t);
  }

  after(device: number, ns: number): number | undefined {
    const { times, latest } = this.#devices.get(device) ?? this.#find(device);
    return times[latest.before(ns, false)];
  }

  #find(device: number): { readonly times: readonly number[]; readonly latest: Latest } {
    const times = this.#disconnects
      .filter(event => event.device === undefined || event.device === device)
      .map(({ t }) => t);
    const own = { times, latest: new Latest(times) };
    this.#devices.set(device, own);
    return own;
  }
}

const measure = (history: History, limits: readonly Limits[], excused: Excused): Waits => {
  const { operations } = history;
  const end = endNs(history);
  const cuts = new Cuts(history);
  const set = new Latest(limits.map(({ event }) => event.t));
  const waits: Waits = {
    ...{ judged: 0, late: 0, lateUnanswered: 0, undecided: 0 },
    ...{ named: [], worst: undefined, firstUndecided: undefined },
  };
  for (let row = 0; row < operations.count; row++) {
    // The target's disk image is read from the host: that it takes long is no kernel's doing.
    if (operations.action[row] === ACTION.none || ((operations.flags[row] ?? 0) & BACKING) !== 0) continue;
    const invokeNs = operations.invokeNs[row] ?? 0;
    const own = limits[set.before(invokeNs, true) - 1];
    if (own === undefined) continue;
    waits.judged++;
    const unanswered = operations.state[row] === STATE.unanswered;
    const device = operations.device[row] ?? 0;
    const untilNs = unanswered ? (cuts.after(device, invokeNs) ?? end) : (operations.doneNs[row] ?? 0);
    const allowedNs = own.event.answerWithinMs * 1e6;
    // Nearly every operation is answered at once, and needs no excuse.
    const waitedNs =
      untilNs - invokeNs > allowedNs
        ? untilNs - invokeNs - excused.nowhereNs(device, own.event, invokeNs, untilNs)
        : untilNs - invokeNs;
    if (waitedNs > allowedNs && waitedNs > allowedNs + excused.heldUpNs(untilNs)) {
      waits.late++;
      if (unanswered) waits.lateUnanswered++;
      if (waits.named.length < NAMED) waits.named.push(row + 1);
      if (waits.worst === undefined || waitedNs > waits.worst.waitedNs)
        waits.worst = { op: row + 1, untilNs, waitedNs, limits: own };
    } else if (unanswered && untilNs === end) {
      waits.undecided++;
      waits.firstUndecided ??= row + 1;
    }
  }
  return waits;
};

const findingOf = (history: History, waits: Waits, excused: Excused): Finding | undefined => {
  const { worst, late, lateUnanswered, named } = waits;
  const operation = worst === undefined ? undefined : history.operations.get(worst.op);
  if (worst === undefined || operation === undefined) return undefined;
  const { limits, waitedNs, untilNs } = worst;
  const relation = faultRelation(faultsOf(history), operation.invokeNs);
  const after = relation.words === undefined ? "" : `, begun ${relation.words}`;
  const many = `${plural(late, "operation")} waited too long; ${lateUnanswered} of them got no answer at all.`;
  const heldUpMs = Math.round(excused.heldUpNs(untilNs) / 1e6);
  const more = heldUpMs === 0 ? "" : `, and instruments ${heldUpMs} ms more`;
  const allowed = `The configuration allows ${limits.event.answerWithinMs} ms (${limits.event.why})${more}.`;
  const nowhereNs = untilNs - operation.invokeNs - waitedNs;
  const less = nowhereNs === 0 ? "" : `, without ${seconds(nowhereNs)} in which no path could carry anything`;
  const waited = operation.state === "unanswered" ? "had waited" : "waited";
  const blocked = blockedTasks(history);
  const others = named.flatMap(op => {
    const row = op - 1;
    const answered = history.operations.state[row] !== STATE.unanswered;
    return [history.operations.invokeLine[row], answered ? history.operations.doneLine[row] : undefined];
  });
  return {
    oracle: "hang",
    class: "hang",
    title: lateUnanswered > 0 ? "operations never answered" : "operations answered too late",
    explanation: `${capital(operationWords(operation))} ${viaWords(operation.via)} was ${lifeWords(operation)}; it ${waited} ${seconds(waitedNs)}${less}${after}. ${allowed} ${many}${blocked.words}`,
    lines: linesOf([
      ...[operation.invokeLine, operation.doneLine, limits.line, relation.line],
      ...[...blocked.lines.slice(0, 4), ...others],
    ]),
    ...(blocked.excerpt.length === 0 ? {} : { excerpt: [...blocked.excerpt] }),
  };
};

export const hangOracle: Oracle = {
  name: "hang",
  judge(history: History): Judgement {
    const limits = eventsOf(history, "limits").sort((a, b) => a.event.t - b.event.t);
    if (limits.length === 0) return { findings: [], blind: "The history does not say how long an answer may take." };
    if (!history.operations.action.some(action => action !== ACTION.none))
      return { findings: [], blind: "No operation was invoked, so none could hang." };
    const excused = new Excused(history);
    const waits = measure(history, limits, excused);
    const finding = findingOf(history, waits, excused);
    const findings = finding === undefined ? [] : [finding];
    if (waits.judged === 0) return { findings, blind: "Every operation was invoked before any limit was set." };
    const waiting = waits.firstUndecided === undefined ? undefined : history.operations.get(waits.firstUndecided);
    if (waiting === undefined) return { findings };
    return {
      findings,
      blind: `The history ended before ${operationWords(waiting)}, invoked at ${seconds(waiting.invokeNs)}, had to be answered; ${plural(waits.undecided, "operation")} may have hung.`,
    };
  },
};
