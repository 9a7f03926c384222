/**
 * Reads a results directory, and trusts nothing in it: a directory may come from another machine, from a newer rig, or
 * from a run that was killed. Whatever does not fit the published schemas is refused with the file's name and the reason.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, RigError } from "../core/errors.ts";
import type { History } from "../history/event.ts";
import { readHistory } from "../history/reader.ts";
import { type Cell, type CellSummary, cellSchema, RESULTS_VERSION, type Run, runSchema } from "../results/schema.ts";

const bad = (file: string, what: string, cause?: unknown): RigError =>
  new RigError("RIG_BAD_RESULTS", `${file}: ${what}`, { blame: "usage", cause });

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");

const versionOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "version" in value ? value.version : undefined;

/** The parsed file, or undefined where it does not exist. */
const readJson = async <S extends z.ZodType>(file: string, schema: S): Promise<z.infer<S> | undefined> => {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw bad(file, `expected a readable file: ${messageOf(error)}`, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw bad(file, `expected JSON, and it does not parse: ${messageOf(error)}`, error);
  }
  const version = versionOf(value);
  if (typeof version === "number" && version > RESULTS_VERSION) {
    const reads = `this rig reads version ${RESULTS_VERSION}`;
    throw bad(
      file,
      `written by a newer iscsi-rig (results version ${version}; ${reads}). Use that rig for this directory.`,
    );
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw bad(file, `does not fit results version ${RESULTS_VERSION}:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
};

export const loadRun = async (directory: string): Promise<Run> => {
  const file = join(directory, "run.json");
  const run = await readJson(file, runSchema);
  if (run === undefined) throw bad(file, "no such file. Expected the directory of a run, such as results/<run>.");
  for (const cell of run.cells) {
    // The directory becomes a path to read and a link in the page: neither may lead out of the run.
    const steps = cell.directory.split("/");
    if (steps.some(s => s === "" || s === "." || s === "..") || cell.directory.includes("\0")) {
      throw bad(file, `expected a cell's directory inside the run, got "${cell.directory}".`);
    }
  }
  return run;
};

export interface LoadedCell {
  readonly cell?: Cell;
  readonly history?: History;
  readonly truncated: boolean;
}

/** A cell that never came to run may have left nothing behind; one that was judged must have left its evidence. */
const mustHaveFiles = (summary: CellSummary): boolean =>
  summary.status === "FAIL" || summary.status === "PASS" || summary.status === "DONE";

export const loadCell = async (directory: string, summary: CellSummary): Promise<LoadedCell> => {
  const cellFile = join(directory, summary.directory, "cell.json");
  const cell = await readJson(cellFile, cellSchema);
  if (cell === undefined && mustHaveFiles(summary)) {
    throw bad(cellFile, `no such file, but run.json lists this cell as ${summary.status}.`);
  }
  const historyFile = join(directory, summary.directory, "history.ndjson");
  const known = cell === undefined ? {} : { cell };
  try {
    const { truncated, ...history } = await readHistory(historyFile);
    return { ...known, history, truncated };
  } catch (error) {
    if (!(error instanceof RigError) || !isMissing(error.cause)) throw error;
    if (mustHaveFiles(summary)) {
      throw bad(historyFile, `no such file, but run.json lists this cell as ${summary.status}.`, error);
    }
    return { ...known, truncated: false };
  }
};
