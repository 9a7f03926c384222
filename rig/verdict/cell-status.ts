/**
 * From everything known about one cell to its status. The order of the questions is the point: a finding is a finding
 * whatever else went wrong, but what the rig itself may have caused is not a finding; and a cell in which nothing could
 * have been found has not passed.
 *
 * A finding is *conclusive* if no failure of the rig can have made it: corrupted data and what a kernel said on its own
 * console. A hang, a stuck session or an unreadable disk may just as well come from a rig that stopped half way, died, or left
 * a fault in place, so with such an error they do not count.
 */
import type { Blame } from "../core/errors.ts";
import type { Status } from "../core/names.ts";
import type { EvidenceProblem } from "../oracle/evidence.ts";
import type { Finding } from "../oracle/finding.ts";

export interface CellOutcome {
  readonly findings: readonly Pick<Finding, "oracle" | "class">[];
  /** Sentences of oracles that had nothing to look at or could not judge. */
  readonly blind: readonly string[];
  readonly evidence: readonly EvidenceProblem[];
  /** What stopped the cell, where something did. */
  readonly error?: { readonly blame: Blame; readonly message: string } | undefined;
  /** That the end of the account is missing, where it is: the rig died. What follows from the end may then be wrong. */
  readonly cut?: string | undefined;
}

export interface CellStatus {
  readonly status: Extract<Status, "FAIL" | "ERROR" | "MISS" | "PASS">;
  /** Why it is ERROR or MISS; with FAIL, what else went wrong. */
  readonly reason?: string;
}

const isConclusive = ({ oracle, class: name }: Pick<Finding, "oracle" | "class">): boolean =>
  oracle === "kernel-log" || (oracle === "integrity" && name !== "unreadable");

/** The status of a cell that ran, and the reason for it. */
export const cellStatus = ({ findings, blind, evidence, error, cut }: CellOutcome): CellStatus => {
  const stopped = [error?.message, cut].filter(words => words !== undefined);
  const trouble = [...stopped, ...evidence.map(({ text }) => text), ...blind];
  const disturbed = stopped.length > 0 || evidence.some(({ kind }) => kind === "not-gone");
  const counted = disturbed ? findings.filter(isConclusive) : findings;
  const reason = trouble.length === 0 ? {} : { reason: trouble.join(" ") };
  if (counted.length > 0) return { status: "FAIL", ...reason };
  if (error?.blame === "environment") return { status: "MISS", ...reason };
  return { status: trouble.length > 0 ? "ERROR" : "PASS", ...reason };
};
