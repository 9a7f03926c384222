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

/** The sides of a comparison. */
export const SIDES = ["base", "head"] as const;
export type Side = (typeof SIDES)[number];

/** Which side of its scenario's comparison a cell is on; undefined where nothing was compared. */
export const sideOf = (run: Run, { scenario, kernel }: Pick<CellSummary, "scenario" | "kernel">): Side | undefined => {
  const comparison = run.comparison.find(c => c.scenario === scenario);
  return SIDES.find(side => comparison?.[side].kernel === kernel);
};

export interface CellGroup {
  readonly key: string;
  readonly side: Side | undefined;
  readonly cells: readonly NumberedCell[];
  readonly first: CellSummary;
}

const keyOf = (cell: CellSummary): string =>
  [cell.scenario, cell.kernel, cell.status, ...cell.findings.map(f => `${f.oracle}/${f.class}/${f.title}`)].join("\n");

/**
 * Worst status first; within it the head before the base, of which failures are expected; then the most common story, then
 * the order of the run.
 */
export const groupsOf = (run: Run): readonly CellGroup[] => {
  const byKey = Map.groupBy(
    run.cells.map((cell, index) => ({ cell, index })),
    ({ cell }) => keyOf(cell),
  );
  const isBase = ({ side }: CellGroup): number => (side === "base" ? 1 : 0);
  return [...byKey]
    .flatMap(([key, cells]) => {
      const first = cells[0]?.cell;
      return first === undefined ? [] : [{ key, cells, first, side: sideOf(run, first) }];
    })
    .toSorted(
      (a, b) =>
        STATUSES.indexOf(a.first.status) - STATUSES.indexOf(b.first.status) ||
        isBase(a) - isBase(b) ||
        b.cells.length - a.cells.length,
    );
};
