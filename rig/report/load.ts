/**
 * Reads a results directory for the report. What it names must lie inside it, and what a cell that was judged rests on must
 * be there.
 */
import { join } from "node:path";
import type { History } from "../history/event.ts";
import { readHistory } from "../history/reader.ts";
import { damaged, fileOf, notResults, readResult } from "../results/read.ts";
import { type Cell, type CellSummary, cellSchema, type Run, runSchema } from "../results/schema.ts";

export const loadRun = async (directory: string): Promise<Run> => {
  const file = join(directory, "run.json");
  const run = await readResult(file, runSchema);
  if (run === undefined)
    throw notResults(file, "no such file. Expected the directory of a run, such as results/<run>.");
  for (const cell of run.cells) {
    // The directory becomes a path to read and a link in the page: neither may lead out of the run.
    const steps = cell.directory.split("/");
    if (steps.some(s => s === "" || s === "." || s === "..") || cell.directory.includes("\0")) {
      throw damaged(file, `expected a cell's directory inside the run, got "${cell.directory}".`);
    }
  }
  return run;
};

export interface LoadedCell {
  readonly cell?: Cell;
  readonly history?: History;
}

/** A cell that never came to run may have left nothing behind; one that was judged must have left its evidence. */
const mustHaveFiles = (summary: CellSummary): boolean =>
  summary.status === "FAIL" || summary.status === "PASS" || summary.status === "DONE";

export const loadCell = async (directory: string, summary: CellSummary): Promise<LoadedCell> => {
  const cellFile = join(directory, summary.directory, "cell.json");
  const cell = await readResult(cellFile, cellSchema);
  if (cell === undefined && mustHaveFiles(summary)) {
    throw damaged(cellFile, `no such file, but run.json lists this cell as ${summary.status}.`);
  }
  const historyFile = join(directory, summary.directory, "history.ndjson");
  const known = cell === undefined ? {} : { cell };
  if ((await fileOf(historyFile)) !== undefined) return { ...known, history: await readHistory(historyFile) };
  if (mustHaveFiles(summary)) {
    throw damaged(historyFile, `no such file, but run.json lists this cell as ${summary.status}.`);
  }
  return known;
};
