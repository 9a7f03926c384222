/**
 * A cell as a run left it, opened to be judged again. A verdict is worth what it rests on, so the directory must be whole:
 * every file that cell.json lists is there and is the one that it was, and the history is that of this cell. Only where a
 * rig died in the middle of a cell is there a history without a cell.json: then the history is taken as far as it goes.
 */
import path from "node:path";
import { sha256File } from "../core/cache.ts";
import { messageOf, type RigError } from "../core/errors.ts";
import type { Header, History } from "../history/event.ts";
import { readHistory } from "../history/reader.ts";
import { damaged, expectDirectory, fileOf, notResults, readResult } from "./read.ts";
import { type Cell, cellSchema } from "./schema.ts";

export const CELL_FILE = "cell.json";
export const HISTORY_FILE = "history.ndjson";

export interface StoredCell {
  /** Undefined where the rig died before it had a verdict. */
  readonly cell: Cell | undefined;
  readonly history: History;
}

/** At most so many files are named. */
const SHOWN = 3;

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** What is wrong with a file that cell.json lists, or undefined. */
export const flawOf = async (
  directory: string,
  { name, bytes, sha256 }: Cell["files"][number],
): Promise<string | undefined> => {
  if (name === "" || name === "." || name === ".." || /[/\\\0]/.test(name))
    return `${JSON.stringify(name)} is no file's name`;
  const file = path.join(directory, name);
  const facts = await fileOf(file);
  if (facts === undefined) return `${name} is missing`;
  if (facts.size !== bytes) return `${name} has ${count(facts.size, "byte")}, not ${bytes}`;
  const found = await sha256File(file).catch((error: unknown) => {
    throw damaged(file, `expected a readable file: ${messageOf(error)}`, error);
  });
  return found === sha256 ? undefined : `${name} was changed: its SHA-256 is another`;
};

const expectFiles = async (directory: string, { files }: Cell): Promise<void> => {
  const file = path.join(directory, CELL_FILE);
  if (!files.some(({ name }) => name === HISTORY_FILE)) throw damaged(file, `expected ${HISTORY_FILE} in its files.`);
  const flaws: string[] = [];
  for (const entry of files) {
    const flaw = await flawOf(directory, entry);
    if (flaw !== undefined) flaws.push(flaw);
  }
  if (flaws.length === 0) return;
  const more = flaws.length > SHOWN ? `; and ${flaws.length - SHOWN} more` : "";
  throw damaged(
    directory,
    `these files are not as the rig left them: ${flaws.slice(0, SHOWN).join("; ")}${more}. There is no verdict on what was changed.`,
  );
};

/** Which cell of which run. */
export type Identity = Pick<Header, "run" | "scenario" | "kernel" | "seed">;

export const identityOf = ({ run, scenario, kernel, seed }: Cell): Identity => ({
  ...{ run, scenario, seed },
  kernel: kernel.name,
});

/** In what one is not the other, in words; undefined where they are the same. */
export const strangeness = (found: Identity, expected: Identity): string | undefined => {
  const strange = (["run", "scenario", "kernel", "seed"] as const).filter(field => found[field] !== expected[field]);
  const words = strange.map(
    field => `${field} ${JSON.stringify(found[field])} instead of ${JSON.stringify(expected[field])}`,
  );
  return words.length === 0 ? undefined : words.join(", ");
};

const withoutVerdict = (directory: string): RigError =>
  damaged(path.join(directory, CELL_FILE), "no such file, and the history beside it is complete: it was taken away.");

/**
 * Opens a cell's directory.
 * @throws RigError RIG_BAD_RESULTS; to blame is the usage where this is no cell's directory at all.
 */
export const openStoredCell = async (directory: string): Promise<StoredCell> => {
  const expected = `a cell's directory (with ${CELL_FILE} and ${HISTORY_FILE}), results/RUN/cells/SCENARIO/KERNEL/SEED`;
  await expectDirectory(directory, expected);
  const cell = await readResult(path.join(directory, CELL_FILE), cellSchema);
  const historyFile = path.join(directory, HISTORY_FILE);
  if ((await fileOf(historyFile)) === undefined) {
    if (cell === undefined) throw notResults(directory, `Expected ${expected}; there is neither file.`);
    throw damaged(historyFile, "no such file. Without its history a cell cannot be judged.");
  }
  if (cell !== undefined) await expectFiles(directory, cell);
  const history = await readHistory(historyFile);
  if (cell === undefined) {
    if (!history.truncated) throw withoutVerdict(directory);
    return { cell, history };
  }
  const strange = strangeness(history.header, identityOf(cell));
  if (strange !== undefined) throw damaged(historyFile, `the history of another cell: it says ${strange}.`);
  return { cell, history };
};
