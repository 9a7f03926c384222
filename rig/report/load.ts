/**
 * Reads a results directory for the report. What it names must lie inside it, what a cell that was judged rests on must be
 * there, and it must be what run.json tells of this cell.
 */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { History } from "../history/event.ts";
import { readHistory } from "../history/reader.ts";
import { damaged, fileOf, notResults, readResult } from "../results/read.ts";
import { type Cell, type CellSummary, cellSchema, type Run, runSchema } from "../results/schema.ts";
import { flawOf, HISTORY_FILE, type Identity, identityOf, strangeness } from "../results/stored-cell.ts";

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

/** The cell's own file, which must be the one that run.json has in short. */
const expectSame = (file: string, cell: Cell, summary: CellSummary, identity: Identity): void => {
  const strange = strangeness(identityOf(cell), identity);
  if (strange !== undefined) throw damaged(file, `the file of another cell: it says ${strange}.`);
  const short = cell.findings.map(({ oracle, class: name, title }) => ({ oracle, class: name, title }));
  const same = cell.status === summary.status && cell.reason === summary.reason;
  if (!same || !isDeepStrictEqual(short, summary.findings))
    throw damaged(
      file,
      `its verdict is ${cell.status}, and run.json tells another: ${summary.status}, or in other words.`,
    );
};

/** The history, which must be the one that the cell's own file lists. */
const expectHistory = async (directory: string, cell: Cell): Promise<void> => {
  const entry = cell.files.find(({ name }) => name === HISTORY_FILE);
  const flaw =
    entry === undefined ? `expected ${HISTORY_FILE} in the files of cell.json` : await flawOf(directory, entry);
  if (flaw !== undefined) throw damaged(directory, `${flaw}.`);
};

export const loadCell = async (directory: string, run: Run, summary: CellSummary): Promise<LoadedCell> => {
  const own = join(directory, summary.directory);
  const cellFile = join(own, "cell.json");
  const { scenario, kernel, seed } = summary;
  const identity: Identity = { run: run.id, scenario, kernel, seed };
  const cell = await readResult(cellFile, cellSchema);
  if (cell !== undefined) expectSame(cellFile, cell, summary, identity);
  else if (mustHaveFiles(summary))
    throw damaged(cellFile, `no such file, but run.json lists this cell as ${summary.status}.`);
  const known = cell === undefined ? {} : { cell };
  const historyFile = join(own, HISTORY_FILE);
  if ((await fileOf(historyFile)) === undefined) {
    if (mustHaveFiles(summary))
      throw damaged(historyFile, `no such file, but run.json lists this cell as ${summary.status}.`);
    return known;
  }
  if (cell !== undefined) await expectHistory(own, cell);
  const history = await readHistory(historyFile);
  const strange = strangeness(history.header, identity);
  if (strange !== undefined) throw damaged(historyFile, `the history of another cell: it says ${strange}.`);
  return { ...known, history };
};
