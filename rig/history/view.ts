/**
 * Ways to look at a history that more than one oracle needs: operations joined from their events, faults from theirs,
 * and where on disk each event stands. Nothing here judges.
 *
 * An operation that was neither acknowledged nor failed is *unanswered*: it ends at infinity, because its effect may
 * come at any time.
 */
import { RigError } from "../core/errors.ts";
import type { EventOf, Extent, History, HistoryEvent } from "./event.ts";

export type Completion = "ok" | "fail" | "unanswered";

/** One operation from invocation to answer. Times are nanoseconds since the history's start, lines count from 1. */
export interface Operation {
  readonly op: number;
  readonly action: "write" | "read" | "flush";
  readonly via: "initiator" | "backing";
  readonly sector: number;
  readonly sectors: number;
  readonly fua: boolean;
  readonly label: string | undefined;
  readonly invokeNs: number;
  readonly invokeLine: number;
  readonly state: Completion;
  /** When it was answered; Infinity where it was not. */
  readonly doneNs: number;
  readonly doneLine: number | undefined;
  readonly error: string | undefined;
  readonly content: readonly Extent[] | undefined;
}

/** The line of history.ndjson on which the event with this index stands: the header is line 1. */
export const lineOf = (index: number): number => index + 2;

/** An event and its line. */
export interface Located<E extends HistoryEvent = HistoryEvent> {
  readonly event: E;
  readonly line: number;
}

/** All events of one kind, in the file's order. */
export const eventsOf = <K extends HistoryEvent["kind"]>(history: History, kind: K): Located<EventOf<K>>[] => {
  const found: Located<EventOf<K>>[] = [];
  history.events.forEach((event, index) => {
    if (event.kind === kind) found.push({ event: event as EventOf<K>, line: lineOf(index) });
  });
  return found;
};

const contradiction = (line: number, what: string): RigError =>
  new RigError("RIG_BAD_RESULTS", `Expected a history without contradictions; line ${line} ${what}.`);

const invoked = (event: EventOf<"invoke">, line: number): Operation => ({
  op: event.op,
  action: event.action,
  via: event.via,
  sector: event.sector,
  sectors: event.sectors,
  fua: event.fua ?? false,
  label: event.label,
  invokeNs: event.t,
  invokeLine: line,
  state: "unanswered",
  doneNs: Number.POSITIVE_INFINITY,
  doneLine: undefined,
  error: undefined,
  content: undefined,
});

const answered = (before: Operation, event: EventOf<"ok"> | EventOf<"fail">, line: number): Operation => {
  if (before.state !== "unanswered") throw contradiction(line, `answers operation ${event.op} a second time`);
  if (event.t < before.invokeNs) throw contradiction(line, `answers operation ${event.op} before its invocation`);
  const done = { ...before, state: event.kind, doneNs: event.t, doneLine: line };
  return event.kind === "ok" ? { ...done, content: event.content } : { ...done, error: event.error };
};

/**
 * The operations of a history by number, in the order of their invocations.
 * @throws RigError RIG_BAD_RESULTS where a number is used twice, or an answer has no invocation or is not the only one.
 */
export const operationsOf = (history: History): ReadonlyMap<number, Operation> => {
  const operations = new Map<number, Operation>();
  history.events.forEach((event, index) => {
    const line = lineOf(index);
    if (event.kind === "invoke") {
      if (operations.has(event.op)) throw contradiction(line, `invokes operation ${event.op} a second time`);
      operations.set(event.op, invoked(event, line));
    } else if (event.kind === "ok" || event.kind === "fail") {
      const before = operations.get(event.op);
      if (before === undefined) throw contradiction(line, `answers operation ${event.op}, which was never invoked`);
      operations.set(event.op, answered(before, event, line));
    }
  });
  return operations;
};

/** One fault from injection to healing. A moment that never came is undefined. */
export interface FaultSpan {
  readonly fault: string;
  readonly on: string;
  readonly injectBegin: Located<EventOf<"fault">> | undefined;
  readonly injectEnd: Located<EventOf<"fault">> | undefined;
  readonly healBegin: Located<EventOf<"fault">> | undefined;
  readonly healEnd: Located<EventOf<"fault">> | undefined;
  /** What its counters said, the last word last. */
  readonly evidence: readonly Located<EventOf<"evidence">>[];
}

/** The faults of a history, in the order in which they first appear. Of a repeated edge the first one counts. */
export const faultsOf = (history: History): FaultSpan[] => {
  const evidence = Map.groupBy(eventsOf(history, "evidence"), ({ event }) => event.fault);
  const edges = Map.groupBy(eventsOf(history, "fault"), ({ event }) => event.fault);
  return [...new Set([...edges.keys(), ...evidence.keys()])].map(fault => {
    const own = edges.get(fault) ?? [];
    const first = (action: "inject" | "heal", edge: "begin" | "end") =>
      own.find(({ event }) => event.action === action && event.edge === edge);
    return {
      fault,
      on: own[0]?.event.on ?? "",
      injectBegin: first("inject", "begin"),
      injectEnd: first("inject", "end"),
      healBegin: first("heal", "begin"),
      healEnd: first("heal", "end"),
      evidence: evidence.get(fault) ?? [],
    };
  });
};

/** When the last fault was healed: -Infinity where nothing was ever broken, Infinity where something still is. */
export const allHealedNs = (faults: readonly FaultSpan[]): number =>
  Math.max(
    Number.NEGATIVE_INFINITY,
    ...faults
      .filter(({ injectBegin }) => injectBegin !== undefined)
      .map(({ healEnd }) => healEnd?.event.t ?? Number.POSITIVE_INFINITY),
  );

/** When the phase of this name began and ended; undefined where it never began, Infinity where it never ended. */
export const phaseOf = (history: History, name: string): { beginNs: number; endNs: number } | undefined => {
  const edges = eventsOf(history, "phase").filter(({ event }) => event.name === name);
  const begin = edges.find(({ event }) => event.edge === "begin");
  if (begin === undefined) return undefined;
  const end = edges.findLast(({ event }) => event.edge === "end");
  return { beginNs: begin.event.t, endNs: end?.event.t ?? Number.POSITIVE_INFINITY };
};

/**
 * When microVMs of the cell's lab ended, all of them or one node's. One that ended before the device was opened belonged to a
 * restore that failed, and another has taken its place.
 */
export const endedNs = (history: History, node?: EventOf<"node">["node"]): readonly number[] => {
  const openedNs = phaseOf(history, "open")?.beginNs ?? 0;
  return eventsOf(history, "node")
    .filter(({ event }) => event.state === "off" && event.t >= openedNs && (node === undefined || event.node === node))
    .map(({ event }) => event.t);
};

/** How long, in all, instruments that had been set by then hold the kernel's work up: the most of each. */
export const heldUpNs = (history: History, ns: number): number => {
  const most = new Map<string, number>();
  for (const { event } of eventsOf(history, "instrument"))
    if (event.t <= ns) most.set(event.name, Math.max(event.ms, most.get(event.name) ?? 0));
  return most.values().reduce((sum, ms) => sum + ms * 1e6, 0);
};

/** The latest moment of the history, in nanoseconds since its start. */
export const endNs = (history: History): number =>
  history.events.reduce((latest, event) => Math.max(latest, event.t), 0);

/** A time or a span in words: seconds with three decimals, such as "12.345 s". */
export const seconds = (ns: number): string => `${(ns / 1e9).toFixed(3)} s`;
