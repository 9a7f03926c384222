/** Judging a stored cell again, and holding the verdict against the one that was stored with it. */
import { isDeepStrictEqual } from "node:util";
import { cellSchema } from "../results/schema.ts";
import { openStoredCell } from "../results/stored-cell.ts";
import { judgeCell } from "../run/judge-cell.ts";
import { briefly, type CellName, type Verdict } from "./verdict-text.ts";

export interface CheckedCell {
  readonly name: CellName;
  /** The run that its history is of. */
  readonly run: string;
  readonly verdict: Verdict;
  /** How the stored verdict differs, a sentence; undefined where it does not. */
  readonly difference: string | undefined;
}

const verdictSchema = cellSchema.pick({ status: true, reason: true, findings: true });

/** How what was stored differs from what is computed now. */
const differenceOf = (verdict: Verdict, stored: Verdict | undefined): string | undefined => {
  if (stored === undefined) return "stored: no verdict, for the rig died before it had one";
  // JSON is what was stored: it knows no undefined.
  const computed: unknown = JSON.parse(JSON.stringify(verdict));
  if (isDeepStrictEqual(verdictSchema.strip().parse(computed), verdictSchema.strip().parse(stored))) return undefined;
  if (stored.status !== verdict.status) return `stored: ${stored.status}, ${briefly(stored)}`;
  return `stored: ${stored.status} too, in other words: another version of the rig wrote it, or cell.json was changed`;
};

/** The verdict on a cell's directory, computed from its history. */
export const checkCell = async (directory: string): Promise<CheckedCell> => {
  const { cell, history } = await openStoredCell(directory);
  const { status, reason, findings } = judgeCell(history);
  const verdict: Verdict = { status, ...(reason === undefined ? {} : { reason }), findings: [...findings] };
  const { run, scenario, kernel, seed } = history.header;
  return { name: { scenario, kernel, seed }, run, verdict, difference: differenceOf(verdict, cell) };
};

/** The exit status that a verdict asks for. */
export const exitStatusFor = (status: Verdict["status"]): number => {
  if (status === "FAIL") return 1;
  return status === "PASS" || status === "DONE" || status === "SKIP" ? 0 : 3;
};
