/**
 * What the report page carries inside itself. The page opens with the index, which is small: the run and, for every cell,
 * which block holds its details. A block is decoded only when its cell is opened, so a run of thousands of cells opens as
 * fast as a run of ten. This module has types only: the page imports it, and the page must not import zod or Node.
 */
import type { Header, HistoryEvent } from "../history/event.ts";
import type { Cell, CellSummary, Run } from "../results/schema.ts";

export const BUNDLE_VERSION = 1;

/** An event and its line in history.ndjson, so that the page can cite the file even where it shows a selection. */
export type NumberedEvent = readonly [line: number, event: HistoryEvent];

/** What was left out of the page, announced there. history.ndjson always has everything. */
export interface LeftOut {
  readonly operations: number;
  readonly consoleLines: number;
  /** Commands that the target executed. */
  readonly commands: number;
  readonly others: number;
}

/** The history of a cell as far as the page carries it, in the order of the file. */
export interface Selection {
  readonly events: readonly NumberedEvent[];
  /** How many events history.ndjson has. */
  readonly total: number;
  readonly left: LeftOut;
}

/** How much of a history the page carries: everything that a reader of a failure needs, or a sketch of a healthy cell. */
export type Detail = "full" | "light";

export interface CellBlock {
  /** Absent where the cell came to its end before it had a directory. */
  readonly cell?: Cell;
  readonly history?: Selection & {
    readonly header: Header;
    readonly detail: Detail;
    /** The file has no end: the rig was killed while it wrote. */
    readonly truncated: boolean;
    /** How many lines of it say nothing that can be believed. */
    readonly damagedLines: number;
  };
}

export interface Bundle {
  readonly version: typeof BUNDLE_VERSION;
  readonly run: Run;
  /** For each of `run.cells`, in the same order, the number of its block, or null where there is nothing more to show. */
  readonly blocks: readonly (number | null)[];
}

/** The name of a cell within its run, as links in the page spell it. */
export const cellId = (cell: Pick<CellSummary, "scenario" | "kernel" | "seed">): string =>
  `${cell.scenario}/${cell.kernel}/${cell.seed}`;
