/**
 * Did the cell test anything? A fault that did not bite, or that struck while nothing was under way, proves nothing about
 * the kernel, and a cell that proves nothing is an ERROR, never a PASS. This is no oracle: it never blames the kernel.
 */
import type { History } from "../history/event.ts";
import { ACTION, BACKING } from "../history/operations.ts";
import { type FaultSpan, faultsOf } from "../history/view.ts";

export interface EvidenceProblem {
  /** `no-bite`: not proven to have had an effect. `not-gone`: perhaps still there. `idle`: it struck nothing. */
  readonly kind: "no-bite" | "not-gone" | "idle";
  /** A sentence. */
  readonly text: string;
}

/** Why one fault is not proven to have bitten and gone. */
const doubts = ({ fault, injectBegin, healEnd, evidence }: FaultSpan): EvidenceProblem[] => {
  if (injectBegin === undefined) return [];
  const problems: EvidenceProblem[] = [];
  const add = (kind: EvidenceProblem["kind"], text: string) => problems.push({ kind, text });
  const last = evidence.at(-1)?.event;
  if (last === undefined) add("no-bite", `The fault ${fault} left no evidence that it bit.`);
  else if (!evidence.some(({ event }) => event.bit)) add("no-bite", `The fault ${fault} did not bite: ${last.text}.`);
  if (healEnd === undefined) add("not-gone", `The fault ${fault} was injected and never healed.`);
  else if (last?.gone === false) add("not-gone", `The fault ${fault} was healed and is not gone: ${last.text}.`);
  return problems;
};

type Span = readonly [fromNs: number, toNs: number];

/**
 * Whether any operation on the device under test was waiting for its answer at some time in any span. One that was answered at
 * the very moment at which a fault begins was not struck by it.
 */
const struckSomething = ({ operations }: History, spans: readonly Span[]): boolean => {
  for (let row = 0; row < operations.count; row++) {
    if (operations.action[row] === ACTION.none || ((operations.flags[row] ?? 0) & BACKING) !== 0) continue;
    const invokeNs = operations.invokeNs[row] ?? 0;
    const doneNs = operations.doneNs[row] ?? Number.POSITIVE_INFINITY;
    if (spans.some(([fromNs, toNs]) => invokeNs < toNs && doneNs > fromNs)) return true;
  }
  return false;
};

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}`;

/**
 * Nothing under way while anything was broken. One fault of several may strike nothing: an iscsid is killed before the path is
 * dropped, so that nobody is there to mend it.
 */
const idle = (history: History, faults: readonly FaultSpan[]): EvidenceProblem[] => {
  const spans = new Map<string, Span>();
  for (const { fault, injectBegin, healBegin } of faults)
    if (injectBegin !== undefined)
      spans.set(fault, [injectBegin.event.t, healBegin?.event.t ?? Number.POSITIVE_INFINITY]);
  if (spans.size === 0 || struckSomething(history, [...spans.values()])) return [];
  const text = `No operation was under way while ${listed([...spans.keys()])} was in force, so nothing was put to the test.`;
  return [{ kind: "idle", text }];
};

/** The reasons why the cell proves nothing; none where the faults bit, are gone, and struck something. */
export const evidenceProblems = (history: History): EvidenceProblem[] => {
  const faults = faultsOf(history);
  return [...faults.flatMap(doubts), ...idle(history, faults)];
};
