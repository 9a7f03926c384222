/**
 * Did an application see an error that it should not have seen? Multipath and the recovery timeout are there so that it does
 * not: a command of a path that fails is repeated on another one, or waits for the session to come back. What is left are
 * errors of the disk itself and of a device that nothing can reach any more. So an error is wrong, unless
 *
 * - something other than a path or iscsid was broken on purpose: the target, its disk, a node's power;
 * - the operation went to one path alone, which could carry nothing at some moment of the operation's life;
 * - it went to a map that does not queue, and at some moment of its life no path could carry anything.
 *
 * A map that queues (queue_if_no_path) excuses nothing: what finds no path waits for one, however long that takes. Whether a
 * path could carry something is told from its session and not from faults, so a path that was given up too early is no
 * excuse. Reads of the final read-back that fail are the integrity oracle's: it calls them unreadable.
 */
import { PATH_NAMES, type PathName, READ_BACK_PHASE } from "../core/names.ts";
import type { EventOf, History } from "../history/event.ts";
import { ACTION, BACKING, STATE } from "../history/operations.ts";
import { eventsOf, faultsOf, phaseOf, seconds } from "../history/view.ts";
import { brokenOnPurpose, common, overlaps, SEEN_NS, type Span, unusable } from "./errors-excuses.ts";
import type { Finding } from "./finding.ts";
import { diedNs } from "./node-death.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { capital, faultRelation, lifeWords, linesOf, operationWords, plural } from "./words.ts";

type Limits = EventOf<"limits">;

/** What a device that cannot discard says of a discard: an answer and no error. */
const NOT_SUPPORTED = "ENOTSUP";
/** What the NBD server says when it ends: its own word, not the device's. */
const SERVER_ENDS = "ESHUTDOWN";

const NAMED = 8;

/** What one operation on one device may fall back on. */
interface Device {
  readonly path: PathName | undefined;
  /** When it may legally fail. */
  readonly mayFail: readonly Span[];
  readonly expected: string;
}

/** Failed reads that the integrity oracle judges. */
const isUnreadable = (history: History): ((row: number) => boolean) => {
  const { operations } = history;
  const readBack = phaseOf(history, READ_BACK_PHASE);
  return row => {
    const invokeNs = operations.invokeNs[row] ?? 0;
    const inReadBack = readBack !== undefined && invokeNs >= readBack.beginNs && invokeNs <= readBack.endNs;
    return operations.action[row] === ACTION.read && inReadBack;
  };
};

/** The rows of operations that failed and that somebody has to account for. */
const failedRows = (history: History): number[] => {
  const { operations } = history;
  const unreadable = isUnreadable(history);
  const died = diedNs(history);
  const rows: number[] = [];
  for (let row = 0; row < operations.count; row++) {
    if (operations.state[row] !== STATE.fail || ((operations.flags[row] ?? 0) & BACKING) !== 0) continue;
    // A node that died takes the device with it; the kernel log has the cause.
    if ((operations.doneNs[row] ?? 0) >= died || unreadable(row)) continue;
    const mayRefuse = operations.action[row] === ACTION.discard || operations.action[row] === ACTION.zeroes;
    const error = operations.errors.get(row);
    if (error !== SERVER_ENDS && !(mayRefuse && error === NOT_SUPPORTED)) rows.push(row);
  }
  return rows;
};

class Excuses {
  readonly #broken: readonly Span[];
  readonly #limits: readonly Limits[];
  readonly #devices: ReadonlyMap<number, PathName | undefined>;
  readonly #unusable: ReadonlyMap<PathName, readonly Span[]>;
  readonly #nowhere: readonly Span[];

  constructor(history: History) {
    this.#broken = brokenOnPurpose(history);
    this.#limits = eventsOf(history, "limits").map(({ event }) => event);
    this.#devices = new Map(eventsOf(history, "device").map(({ event }) => [event.id, event.path]));
    const used = new Set(eventsOf(history, "session").map(({ event }) => event.path));
    const paths = PATH_NAMES.filter(path => used.has(path));
    this.#unusable = new Map(paths.map(path => [path, unusable(history, path)]));
    this.#nowhere = common([...this.#unusable.values()]);
  }

  unusable(path: PathName): readonly Span[] {
    return this.#unusable.get(path) ?? [];
  }

  get paths(): readonly PathName[] {
    return [...this.#unusable.keys()];
  }

  of(device: number, invokeNs: number): Device {
    const path = this.#devices.get(device);
    if (path !== undefined)
      return {
        path,
        mayFail: [...this.#broken, ...this.unusable(path)],
        expected: `it fails only once the session of path ${path} has been lost for as long as its commands wait for it`,
      };
    const limits = this.#limits.findLast(({ t }) => t <= invokeNs);
    if (limits?.queues === true)
      return { path, mayFail: this.#broken, expected: "the map keeps what finds no path until there is one" };
    return {
      path,
      mayFail: [...this.#broken, ...this.#nowhere],
      expected: "it is repeated on a path that works, and fails only where there is none",
    };
  }
}

const usableWords = (path: PathName, spans: readonly Span[], fromNs: number, toNs: number): string => {
  const span = spans.find(one => one.fromNs <= toNs && one.toNs >= fromNs);
  if (span === undefined) return `path ${path} could carry data all the time`;
  const until = Number.isFinite(span.toNs) ? `to ${seconds(span.toNs)}` : "on";
  return `path ${path} could carry nothing from ${seconds(span.fromNs)} ${until}`;
};

const findingOf = (history: History, rows: readonly number[], excuses: Excuses): Finding | undefined => {
  const operation = history.operations.get((rows[0] ?? -1) + 1);
  if (operation === undefined) return undefined;
  const { invokeNs, doneNs } = operation;
  const device = excuses.of(operation.device, invokeNs);
  const relation = faultRelation(faultsOf(history), doneNs);
  const after = relation.words === undefined ? "before anything had been broken" : relation.words;
  const paths = (device.path === undefined ? excuses.paths : [device.path]).map(path =>
    usableWords(path, excuses.unusable(path), invokeNs, doneNs),
  );
  const state = paths.length === 0 ? "" : ` Meanwhile ${paths.join(", and ")}.`;
  const many = rows.length === 1 ? "" : ` ${plural(rows.length, "operation")} failed like that.`;
  return {
    oracle: "errors",
    class: "io-error",
    title:
      device.path === undefined
        ? "I/O errors that multipath had to hide"
        : "I/O errors that the recovery timeout had to hide",
    explanation: `${capital(operationWords(operation))} was ${lifeWords(operation)}, ${after}. Expected: ${device.expected}; and nothing else was broken on purpose.${state}${many}`,
    lines: linesOf([
      ...[operation.doneLine, operation.invokeLine, relation.line],
      ...rows.slice(0, NAMED).map(row => history.operations.doneLine[row]),
    ]),
  };
};

export const errorsOracle: Oracle = {
  name: "errors",
  judge(history: History): Judgement {
    const failed = failedRows(history);
    if (failed.length === 0) return { findings: [] };
    const { operations } = history;
    const excuses = new Excuses(history);
    const wrong = failed.filter(row => {
      const invokeNs = operations.invokeNs[row] ?? 0;
      const { mayFail } = excuses.of(operations.device[row] ?? 0, invokeNs);
      return !overlaps(mayFail, invokeNs, (operations.doneNs[row] ?? 0) + SEEN_NS);
    });
    const finding = findingOf(history, wrong, excuses);
    return { findings: finding === undefined ? [] : [finding] };
  },
};
