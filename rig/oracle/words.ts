/**
 * The words that findings share: how operations, sectors and moments are named, and what the last fault had to do with a
 * moment. Explanations are read by people who have not seen the history, so they name everything in full.
 */
import type { Operation } from "../history/operations.ts";
import { type FaultSpan, seconds } from "../history/view.ts";

/** "8 sectors", "1 sector". */
export const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** The text with a capital letter in front. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** "Sector 7" or "Sectors 8 to 15". */
export const sectorWords = (sector: number, sectors: number): string =>
  sectors === 1 ? `Sector ${sector}` : `Sectors ${sector} to ${sector + sectors - 1}`;

/** "write 17 (generation 1)", or what stood on the disk before any write. */
export const operationWords = (operation: Operation | undefined): string =>
  operation === undefined
    ? "zeros, as before the first write"
    : `${operation.action} ${operation.op}${operation.label === undefined ? "" : ` (${operation.label})`}`;

/** What the report shows for an operation in few words: its label. */
export const labelOf = (operation: Operation | undefined): string =>
  operation === undefined ? "zeros" : (operation.label ?? `${operation.action} ${operation.op}`);

/** "invoked at 1.000 s and acknowledged at 2.000 s". */
export const lifeWords = (operation: Operation): string => {
  const invoked = `invoked at ${seconds(operation.invokeNs)}`;
  switch (operation.state) {
    case "ok":
      return `${invoked} and acknowledged at ${seconds(operation.doneNs)}`;
    case "fail":
      return `${invoked} and failed at ${seconds(operation.doneNs)} with "${operation.error ?? ""}"`;
    case "unanswered":
      return `${invoked} and never answered`;
  }
};

/** Through which end an operation went. */
export const viaWords = (via: Operation["via"]): string =>
  via === "initiator" ? "through the initiator" : "from the target's backing device";

export interface FaultRelation {
  /** "3.100 s after path-drop:a#1 was healed", or undefined where nothing had been broken by then. */
  readonly words: string | undefined;
  /** The line of the fault's event. */
  readonly line: number | undefined;
}

/** What the latest event of any fault before the moment was, and how long ago: its healing where it had been healed. */
export const faultRelation = (faults: readonly FaultSpan[], ns: number): FaultRelation => {
  const edges = faults.flatMap(({ fault, injectEnd, injectBegin, healEnd }) => {
    const inject = injectEnd ?? injectBegin;
    return [
      ...(inject === undefined ? [] : [{ fault, done: "was injected", at: inject.event.t, line: inject.line }]),
      ...(healEnd === undefined ? [] : [{ fault, done: "was healed", at: healEnd.event.t, line: healEnd.line }]),
    ];
  });
  const last = edges.filter(({ at }) => at <= ns).sort((a, b) => b.at - a.at)[0];
  return last === undefined
    ? { words: undefined, line: undefined }
    : { words: `${seconds(ns - last.at)} after ${last.fault} ${last.done}`, line: last.line };
};

/** The lines without gaps and repetitions, at most `max`, in the given order. */
export const linesOf = (lines: readonly (number | undefined)[], max = 20): number[] =>
  [...new Set(lines.filter(line => line !== undefined))].slice(0, max);
