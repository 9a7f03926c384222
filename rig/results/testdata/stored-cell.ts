/** Writes a cell's directory as the rig leaves it, from a history that a test has told. For tests that judge it again. */
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { sha256File } from "../../core/cache.ts";
import type { History } from "../../history/event.ts";
import { readHistory } from "../../history/reader.ts";
import { openHistory } from "../../history/writer.ts";
import { operationEvents } from "../../report/operation-events.ts";
import { judgeCell } from "../../run/judge-cell.ts";
import { type Cell, RESULTS_VERSION } from "../schema.ts";
import { writeJson } from "../write.ts";

const writeHistory = async (file: string, history: History): Promise<void> => {
  const operations = [...history.operations].flatMap(operationEvents);
  const others = history.events.map((event, index) => [history.lines[index] ?? 0, event] as const);
  const events = [...operations, ...others].toSorted(([a], [b]) => a - b);
  const writer = await openHistory(file, history.header, 0n);
  for (const [, { t, ...event }] of events) writer.record(event, BigInt(t));
  await writer.close();
};

/** The directory's files, as cell.json lists them. */
const filesOf = async (directory: string): Promise<Cell["files"]> => {
  const names = (await readdir(directory)).filter(name => name !== "cell.json").toSorted();
  return Promise.all(
    names.map(async name => {
      const file = path.join(directory, name);
      return { name, bytes: (await stat(file)).size, sha256: await sha256File(file) };
    }),
  );
};

/** Stores the cell with its verdict; says what cell.json has. */
export const storeCell = async (directory: string, history: History): Promise<Cell> => {
  await mkdir(directory, { recursive: true });
  const file = path.join(directory, "history.ndjson");
  await writeHistory(file, history);
  await writeFile(path.join(directory, "console-target.log"), "0.000 Linux version 6.1.0\n");
  const { status, reason, findings } = judgeCell(await readHistory(file));
  const { run, scenario, kernel, seed, startedAt } = history.header;
  const cell: Cell = {
    version: RESULTS_VERSION,
    run,
    scenario,
    title: "six writes",
    about: [],
    kernel: { name: kernel, release: kernel, sha256: "0".repeat(64), source: "a test" },
    seed,
    status,
    ...(reason === undefined ? {} : { reason }),
    findings: [...findings],
    phases: [],
    startedAt,
    durationMs: 1,
    sessions: [],
    faults: [],
    operations: { invoked: 0, ok: 0, failed: 0, unanswered: 0 },
    reproduce: `npx rig run ${scenario}`,
    files: await filesOf(directory),
  };
  await writeJson(path.join(directory, "cell.json"), cell);
  return cell;
};

/** Changes a stored file's text; cell.json then no longer fits it. */
export const edit = async (file: string, change: (text: string) => string): Promise<void> =>
  writeFile(file, change(await readFile(file, "utf8")));

/** Makes cell.json list the files as they are now, as one would who covers an edit up. */
export const sealAgain = async (directory: string): Promise<void> => {
  const file = path.join(directory, "cell.json");
  const cell = JSON.parse(await readFile(file, "utf8")) as Cell;
  await writeJson(file, { ...cell, files: await filesOf(directory) });
};
