/**
 * Cells that tell one story: the same scenario, kernel, status and findings. The page shows a group once, with a square
 * for every seed, so that fifty failures of one kind read as one failure that happened fifty times.
 */

import { STATUSES } from "../../rig/core/names.ts";
import type { CellSummary, Run } from "../../rig/results/schema.ts";

export interface NumberedCell {
  readonly cell: CellSummary;
  /** Its place in `run.cells`. */
  readonly index: number;
}

export interface CellGroup {
  readonly key: string;
  readonly cells: readonly NumberedCell[];
  readonly first: CellSummary;
}

const keyOf = (cell: CellSummary): string =>
  [cell.scenario, cell.kernel, cell.status, ...cell.findings.map(f => `${f.oracle}/${f.class}/${f.title}`)].join("\n");

/** Worst status first; within it the most common story first, then the order of the run. */
export const groupsOf = (run: Run): readonly CellGroup[] => {
  const byKey = Map.groupBy(
    run.cells.map((cell, index) => ({ cell, index })),
    ({ cell }) => keyOf(cell),
  );
  return [...byKey]
    .flatMap(([key, cells]) => (cells[0] === undefined ? [] : [{ key, cells, first: cells[0].cell }]))
    .toSorted(
      (a, b) => STATUSES.indexOf(a.first.status) - STATUSES.indexOf(b.first.status) || b.cells.length - a.cells.length,
    );
};
