import type { History } from "../history/event.ts";
import type { Finding } from "./finding.ts";

/** A pure function from a history to findings. It does no I/O, reads no clock, and gives the same answer every time. */
export interface Oracle {
  readonly name: Finding["oracle"];
  /**
   * @returns the findings, worst first; `blind` is a sentence when the oracle had nothing to look at, which makes the
   * cell ERROR: an oracle that saw nothing has not seen that all is well.
   */
  judge(history: History): Judgement;
}

export interface Judgement {
  readonly findings: readonly Finding[];
  readonly blind?: string;
}
