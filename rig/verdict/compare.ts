/**
 * Two kernels on one scenario: what may be said about the difference. Cells that were not judged (ERROR, MISS, SKIP) say
 * nothing and are never counted; a difference that chance explains is called inconclusive, with how many more cells would
 * decide; and no difference is never more than "none of at least this size".
 */
import type { Status, Verdict } from "../core/names.ts";
import type { Comparison } from "../results/schema.ts";
import { fisherExact, highestHiddenRate } from "./fisher.ts";

export type Side = Comparison["base"];

/** A difference with a p below this is not put down to chance. */
export const SIGNIFICANCE = 0.05;
/** No more than this many further cells a side are thought about. */
const MAX_MORE = 1000;

/** Counts the cells of one kernel. DONE and SKIP judge nothing and are counted nowhere. */
export const sideOf = (kernel: string, statuses: readonly Status[]): Side => {
  const count = (...names: readonly Status[]) => statuses.filter(status => names.includes(status)).length;
  return { kernel, fail: count("FAIL"), pass: count("PASS"), other: count("ERROR", "MISS") };
};

const judged = ({ fail, pass }: Side): number => fail + pass;

const pOf = (base: Side, head: Side): number => fisherExact(base.fail, base.pass, head.fail, head.pass);

/** The side with so many more cells, failing as often as before, rounded in favour of no failure. */
const grown = (side: Side, more: number): Side => {
  const cells = judged(side) + more;
  const fail = Math.floor((side.fail / judged(side)) * cells + 1e-9);
  return { ...side, fail, pass: cells - fail };
};

/** How many more cells of each kernel would decide if they went on failing as often; undefined where too many. */
const cellsToDecide = (base: Side, head: Side): number | undefined => {
  for (let more = 1; more <= MAX_MORE; more++) {
    if (pOf(grown(base, more), grown(head, more)) < SIGNIFICANCE) return more;
  }
  return undefined;
};

const verdictOf = (base: Side, head: Side, p: number): Verdict => {
  if (judged(base) === 0 || judged(head) === 0) return "inconclusive";
  if (base.fail > 0 && head.fail > 0) return "both-fail";
  if (base.fail === 0 && head.fail === 0) return "no-difference";
  if (p >= SIGNIFICANCE) return "inconclusive";
  return base.fail > 0 ? "fixed" : "regressed";
};

const cells = (n: number): string => `${n} ${n === 1 ? "cell" : "cells"}`;
const countWords = (side: Side): string => `${side.kernel} failed ${side.fail} of ${cells(judged(side))}`;
/** p to three decimals, or "less than" where those would say 0. */
const pWords = (p: number): string => (p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);
const percent = (rate: number): string => `${(rate * 100).toFixed(rate < 0.1 ? 1 : 0)} %`;

const inconclusiveWords = (base: Side, head: Side, p: number): string => {
  const empty = [base, head].filter(side => judged(side) === 0);
  if (empty.length > 0) {
    const names = empty.map(side => `${side.kernel} (${side.other} ERROR or MISS)`).join(" and ");
    return `Nothing can be said: no cell was judged for ${names}.`;
  }
  const more = cellsToDecide(base, head);
  const need =
    more === undefined ? `more than ${cells(MAX_MORE)}` : `about ${more} more ${more === 1 ? "cell" : "cells"}`;
  return `${countWords(base)}, ${countWords(head)}: that may be chance (${pWords(p)}). If they go on like this, ${need} of each kernel would decide.`;
};

const bothFailWords = (base: Side, head: Side, p: number): string => {
  const more = head.fail / judged(head) > base.fail / judged(base) ? "more" : "less";
  const differ =
    p < SIGNIFICANCE
      ? ` ${head.kernel} fails ${more} often (${pWords(p)}).`
      : ` How often they fail does not differ beyond chance (${pWords(p)}).`;
  return `Both fail: ${countWords(base)}, ${countWords(head)}.${differ}`;
};

const noDifferenceWords = (base: Side, head: Side): string => {
  const least = Math.min(judged(base), judged(head));
  return `Neither failed: ${base.kernel} passed ${cells(judged(base))}, ${head.kernel} ${cells(judged(head))}. So few cannot exclude a failure rarer than ${percent(highestHiddenRate(least))} of runs (95 % confidence).`;
};

const wordsOf = (verdict: Verdict, base: Side, head: Side, p: number): string => {
  switch (verdict) {
    case "fixed":
      return `Fixed: ${countWords(base)}, ${countWords(head)} (${pWords(p)}).`;
    case "regressed":
      return `Regressed: ${countWords(base)}, ${countWords(head)} (${pWords(p)}).`;
    case "both-fail":
      return bothFailWords(base, head, p);
    case "no-difference":
      return noDifferenceWords(base, head);
    case "inconclusive":
      return inconclusiveWords(base, head, p);
  }
};

/** Compares two kernels on one scenario. p is 1 where nothing was counted. */
export const compare = (scenario: string, base: Side, head: Side): Comparison => {
  const p = pOf(base, head);
  const verdict = verdictOf(base, head, p);
  const others = base.other + head.other;
  const left =
    others > 0 && judged(base) > 0 && judged(head) > 0 ? ` Not counted: ${cells(others)} with ERROR or MISS.` : "";
  return { scenario, base, head, verdict, p, words: `${wordsOf(verdict, base, head, p)}${left}` };
};
