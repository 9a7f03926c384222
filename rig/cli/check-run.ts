/** Judging every cell of a stored run again, one after the other, a line each. */
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { messageOf } from "../core/errors.ts";
import { STATUSES } from "../core/names.ts";
import { statOf } from "../results/read.ts";
import type { CellSummary, Run } from "../results/schema.ts";
import { type CheckedCell, checkCell, exitStatusFor } from "./check-cell.ts";
import { briefly, nameOf } from "./verdict-text.ts";

/** What became of one cell of the run. */
export type CheckedLine = { readonly cell: CellSummary } & (
  | { readonly kind: "judged"; readonly checked: CheckedCell }
  | { readonly kind: "unusable"; readonly problem: string }
  /** It never came to run, or it left nothing to judge it by. */
  | { readonly kind: "absent" }
);

/** A cell that was judged must have left what it was judged by. */
const mayBeAbsent = ({ status }: CellSummary): boolean => status === "ERROR" || status === "MISS" || status === "SKIP";

/** How what is stored differs: cell.json first, and then the cell's line in run.json. */
const differenceIn = (
  { status, reason, findings }: CellSummary,
  { verdict, difference }: CheckedCell,
): string | undefined => {
  if (difference !== undefined) return difference;
  if (status !== verdict.status) return `run.json: ${status}`;
  const short = verdict.findings.map(({ oracle, class: name, title }) => ({ oracle, class: name, title }));
  const same = reason === verdict.reason && isDeepStrictEqual(findings, short);
  return same ? undefined : `run.json: ${status} too, in other words`;
};

const checkLine = async (directory: string, run: Run, cell: CellSummary): Promise<CheckedLine> => {
  const own = path.join(directory, cell.directory);
  try {
    if (mayBeAbsent(cell) && (await statOf(own)) === undefined) return { cell, kind: "absent" };
    const checked = await checkCell(own);
    if (checked.run !== run.id)
      return { cell, kind: "unusable", problem: `${own}: a cell of run ${checked.run}, not of run ${run.id}.` };
    const { scenario, kernel, seed } = checked.name;
    const same = scenario === cell.scenario && kernel === cell.kernel && seed === cell.seed;
    if (same) return { cell, kind: "judged", checked: { ...checked, difference: differenceIn(cell, checked) } };
    return { cell, kind: "unusable", problem: `${own}: the directory of another cell of run ${run.id}.` };
  } catch (error) {
    return { cell, kind: "unusable", problem: messageOf(error) };
  }
};

/** Every cell of the run in this directory, in the run's order. */
export async function* checkRun(directory: string, run: Run): AsyncGenerator<CheckedLine> {
  for (const cell of run.cells) yield await checkLine(directory, run, cell);
}

const textOf = (line: CheckedLine): string => {
  const name = nameOf(line.cell);
  if (line.kind === "absent") return `${line.cell.status.padEnd(5)}  ${name}: left nothing to judge`;
  if (line.kind === "unusable") return `-      ${name}: ${line.problem}`;
  const { verdict, difference } = line.checked;
  const more = difference === undefined ? "" : ` (${difference})`;
  return `${verdict.status.padEnd(5)}  ${name}: ${briefly(verdict)}${more}`;
};

/** One line, whatever the files say: no cell can pass itself off as several. */
export const lineText = (line: CheckedLine): string => textOf(line).replaceAll("\n", " ");

const counted = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** One sentence on all of them. */
export const summaryText = (lines: readonly CheckedLine[]): string => {
  const judged = lines.flatMap(line => (line.kind === "judged" ? [line.checked] : []));
  const byStatus = STATUSES.map(status => ({ status, n: judged.filter(c => c.verdict.status === status).length }));
  const statuses = byStatus.filter(({ n }) => n > 0).map(({ status, n }) => `${n} ${status}`);
  const unusable = lines.filter(({ kind }) => kind === "unusable").length;
  const absent = lines.filter(({ kind }) => kind === "absent").length;
  const differing = judged.filter(({ difference }) => difference !== undefined).length;
  const asStored = judged.length === 0 ? [] : ["every verdict is as stored"];
  const parts = [
    `${counted(judged.length, "cell")} judged again${statuses.length === 0 ? "" : `: ${statuses.join(", ")}`}`,
    ...(absent === 0 ? [] : [`${absent} left nothing to judge`]),
    ...(unusable === 0 ? [] : [`${unusable} cannot be judged`]),
    ...(differing === 0
      ? asStored
      : [`${counted(differing, "verdict differs", "verdicts differ")} from what is stored`]),
  ];
  return `${parts.join("; ")}.`;
};

/** Why a run is not all that it was to be, a sentence; undefined where it is. Its run.json says so, and no cell can. */
export const incompleteness = ({ cells, complete }: Run): string | undefined => {
  if (!complete) return "The run was interrupted: what it did not come to is not judged.";
  return cells.length === 0 ? "The run has no cells: nothing was judged." : undefined;
};

/** 1 where an oracle fails a cell; else 3 where a cell is no verdict, or cannot have one, or where the run is incomplete. */
export const runExitStatus = (run: Run, lines: readonly CheckedLine[]): number => {
  const statuses = lines.map(line => {
    if (line.kind === "judged") return exitStatusFor(line.checked.verdict.status);
    return line.kind === "absent" ? exitStatusFor(line.cell.status) : 3;
  });
  if (statuses.includes(1)) return 1;
  return Math.max(incompleteness(run) === undefined ? 0 : 3, ...statuses);
};
