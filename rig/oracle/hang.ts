/**
 * Did every operation get an answer, good or bad, in the time the configuration allows? How long that is depends on what
 * was configured (NOP-Out and replacement timeouts, how many paths); the history says it in its `limits` events, and the
 * latest one before an operation's invocation holds for it.
 *
 * An operation that was still waiting when the history ended, or when the connection to the device ended, is a hang only
 * if it had waited too long by then. Whether a node died is the kernel log's to say.
 */
import type { EventOf, History } from "../history/event.ts";
import { endNs, eventsOf, faultsOf, type Located, type Operation, operationsOf, seconds } from "../history/view.ts";
import type { Finding } from "./finding.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { capital, faultRelation, lifeWords, linesOf, operationWords, plural, viaWords } from "./words.ts";

type Limits = Located<EventOf<"limits">>;

interface Wait {
  readonly operation: Operation;
  readonly limits: Limits;
  /** How long it waited, or has waited when last heard of. */
  readonly waitedNs: number;
}

const limitNs = (limits: Limits): number => limits.event.answerWithinMs * 1e6;

/** When nobody was waiting for the operation any more: the first disconnection after it, or the history's end. */
const watchedUntil = (operation: Operation, disconnects: readonly number[], end: number): number =>
  disconnects.find(t => t >= operation.invokeNs) ?? end;

const findingOf = (late: readonly Wait[], history: History): Finding | undefined => {
  const [first] = [...late].sort((a, b) => b.waitedNs - a.waitedNs);
  if (first === undefined) return undefined;
  const { operation, limits, waitedNs } = first;
  const faults = faultsOf(history);
  const relation = faultRelation(faults, operation.invokeNs);
  const after = relation.words === undefined ? "" : `, begun ${relation.words}`;
  const unanswered = late.filter(wait => wait.operation.state === "unanswered").length;
  const many = `${plural(late.length, "operation")} waited too long; ${unanswered} of them got no answer at all.`;
  const allowed = `The configuration allows ${limits.event.answerWithinMs} ms (${limits.event.why}).`;
  const waits = operation.state === "unanswered" ? "had waited" : "waited";
  return {
    oracle: "hang",
    class: "hang",
    title: unanswered > 0 ? "operations never answered" : "operations answered too late",
    explanation: `${capital(operationWords(operation))} ${viaWords(operation.via)} was ${lifeWords(operation)}; it ${waits} ${seconds(waitedNs)}${after}. ${allowed} ${many}`,
    lines: linesOf([
      operation.invokeLine,
      operation.doneLine,
      limits.line,
      relation.line,
      ...late.slice(0, 8).flatMap(wait => [wait.operation.invokeLine, wait.operation.doneLine]),
    ]),
  };
};

export const hangOracle: Oracle = {
  name: "hang",
  judge(history: History): Judgement {
    const operations = [...operationsOf(history).values()];
    const limits = eventsOf(history, "limits").sort((a, b) => a.event.t - b.event.t);
    if (limits.length === 0) return { findings: [], blind: "The history does not say how long an answer may take." };
    if (operations.length === 0) return { findings: [], blind: "No operation was invoked, so none could hang." };
    const end = endNs(history);
    const disconnects = eventsOf(history, "disconnect").map(({ event }) => event.t);
    const late: Wait[] = [];
    const undecided: Operation[] = [];
    let judged = 0;
    for (const operation of operations) {
      const own = limits.findLast(({ event }) => event.t <= operation.invokeNs);
      if (own === undefined) continue;
      judged++;
      const until = operation.state === "unanswered" ? watchedUntil(operation, disconnects, end) : operation.doneNs;
      const waitedNs = until - operation.invokeNs;
      if (waitedNs > limitNs(own)) late.push({ operation, limits: own, waitedNs });
      else if (operation.state === "unanswered" && until === end) undecided.push(operation);
    }
    const finding = findingOf(late, history);
    const findings = finding === undefined ? [] : [finding];
    if (judged === 0) return { findings, blind: "Every operation was invoked before any limit was set." };
    const [waiting] = undecided;
    if (waiting === undefined) return { findings };
    return {
      findings,
      blind: `The history ended before ${operationWords(waiting)}, invoked at ${seconds(waiting.invokeNs)}, had to be answered; ${plural(undecided.length, "operation")} may have hung.`,
    };
  },
};
