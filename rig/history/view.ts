/** Ways to look at a history that more than one oracle needs: events of a kind, faults from theirs. Nothing here judges. */
import type { EventOf, History, HistoryEvent, PlainEvent } from "./event.ts";
import { STATE } from "./operations.ts";

/** An event and its line. */
export interface Located<E extends HistoryEvent = HistoryEvent> {
  readonly event: E;
  readonly line: number;
}

/** All events of one kind, in the file's order. */
export const eventsOf = <K extends PlainEvent["kind"]>(history: History, kind: K): Located<EventOf<K>>[] => {
  const found: Located<EventOf<K>>[] = [];
  history.events.forEach((event, index) => {
    if (event.kind === kind) found.push({ event: event as EventOf<K>, line: history.lines[index] ?? 0 });
  });
  return found;
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
export const endNs = (history: History): number => {
  const { operations } = history;
  let latest = history.events.reduce((last, event) => Math.max(last, event.t), 0);
  for (let row = 0; row < operations.count; row++) {
    const done = operations.state[row] === STATE.unanswered ? operations.invokeNs[row] : operations.doneNs[row];
    if (done !== undefined && done > latest) latest = done;
  }
  return latest;
};

/** A time or a span in words: seconds with three decimals, such as "12.345 s". */
export const seconds = (ns: number): string => `${(ns / 1e9).toFixed(3)} s`;
