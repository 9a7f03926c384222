/** The words that findings about sessions share. */
import { heldUpNs, seconds } from "../history/view.ts";
import type { Finding } from "./finding.ts";
import type { SessionFacts } from "./session-facts.ts";
import { faultRelation } from "./words.ts";

/** A finding whose oracle goes without saying. */
export type Draft = Omit<Finding, "oracle">;

export const nameOf = ({ sid, path }: { sid: string; path: string }): string => `session ${sid} of path ${path}`;

/** What the last fault before the moment had to do with it. */
export const faultWords = (facts: SessionFacts, ns: number): { words: string; line: number | undefined } => {
  const { words, line } = faultRelation(facts.faults, ns);
  return { words: words === undefined ? "before anything had been broken" : words, line };
};

/** What part of an allowance is due to instruments. */
export const allowanceWords = (facts: SessionFacts, ns: number): string => {
  const heldUp = heldUpNs(facts.history, ns);
  return heldUp === 0 ? "" : `, ${seconds(heldUp)} by which instruments hold the kernel's work up among it`;
};
