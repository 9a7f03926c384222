/**
 * Did the cell test anything? A fault that did not bite, or that struck while nothing was under way, proves nothing about
 * the kernel, and a cell that proves nothing is an ERROR, never a PASS. This is no oracle: it never blames the kernel.
 */
import type { History } from "../history/event.ts";
import { type FaultSpan, faultsOf, type Operation, operationsOf } from "../history/view.ts";

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

const overlaps = ({ invokeNs, doneNs }: Operation, fromNs: number, toNs: number): boolean =>
  invokeNs < toNs && doneNs > fromNs;

/** Whether any operation was waiting for its answer at some time while the fault was on. */
const struckSomething = ({ injectBegin, healBegin }: FaultSpan, operations: readonly Operation[]): boolean => {
  if (injectBegin === undefined) return false;
  const toNs = healBegin?.event.t ?? Number.POSITIVE_INFINITY;
  return operations.some(operation => overlaps(operation, injectBegin.event.t, toNs));
};

/** The reasons why the cell proves nothing; none where the faults bit, are gone, and struck something. */
export const evidenceProblems = (history: History): EvidenceProblem[] => {
  const faults = faultsOf(history);
  const operations = [...operationsOf(history).values()];
  const injected = faults.filter(({ injectBegin }) => injectBegin !== undefined);
  const idle = injected.length > 0 && !injected.some(fault => struckSomething(fault, operations));
  const text = "No operation was under way while anything was broken, so nothing was put to the test.";
  return [...faults.flatMap(doubts), ...(idle ? [{ kind: "idle" as const, text }] : [])];
};
