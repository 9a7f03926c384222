import { execFile } from "node:child_process";
import { mkdir, readFile, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { beforeEach, describe, expect, test } from "vitest";
import { HistoryBuilder, written } from "../oracle/testdata/history-builder.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import type { Cell } from "./schema.ts";
import { openStoredCell } from "./stored-cell.ts";
import { edit, sealAgain, storeCell } from "./testdata/stored-cell.ts";

const told = () =>
  new HistoryBuilder()
    .console("target", 0, "[    0.000000] Linux version 6.1.0")
    .limits(0, 10_000)
    .write(1, { at: 1, ok: 2, sectors: 8 })
    .readBack(10, 8, [written(1, 0, 8)])
    .note(60)
    .build();

let dir = "";
let history = "";
beforeEach(async () => {
  dir = path.join(await temporaryDirectory(), "cell");
  history = path.join(dir, "history.ndjson");
  await storeCell(dir, told());
});

const cellFile = () => path.join(dir, "cell.json");
const changeCell = (change: (cell: Record<string, unknown>) => void) =>
  edit(cellFile(), text => {
    const cell = JSON.parse(text) as Record<string, unknown>;
    change(cell);
    return JSON.stringify(cell);
  });

test("a cell that is whole is opened with its history", async () => {
  const stored = await openStoredCell(dir);
  expect(stored.cell?.scenario).toBe("writes/six");
  expect(stored.history).toMatchObject({ damage: [], truncated: false });
  expect(stored.history.operations.get(11)?.via).toBe("backing");
});

const refusals: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
  ["cell.json that is not JSON", () => writeFile(cellFile(), "{"), /cell\.json: expected JSON/],
  ["cell.json of nothing", () => writeFile(cellFile(), ""), /cell\.json: expected JSON/],
  ["cell.json that is null", () => writeFile(cellFile(), "null"), /cell\.json: does not fit results version 1/],
  ["cell.json that is a list", () => writeFile(cellFile(), "[1]"), /cell\.json: does not fit/],
  ["cell.json of bytes that are no text", () => writeFile(cellFile(), Buffer.alloc(99, 0xff)), /expected JSON/],
  [
    "cell.json of a newer rig",
    () => changeCell(cell => Object.assign(cell, { version: 7, tomorrow: true })),
    /written by a newer iscsi-rig \(results version 7; this rig reads version 1\)/,
  ],
  [
    "nonsense in cell.json",
    () => changeCell(cell => Object.assign(cell, { status: "GREAT" })),
    /does not fit results version 1:[^]*status/,
  ],
  ["a cell without its history", () => rm(history), /history\.ndjson: no such file\. Without its history/],
  ["a history without its cell.json", () => rm(cellFile()), /cell\.json: no such file, and the history .* is complete/],
  [
    "a file that is missing",
    () => rm(path.join(dir, "console-target.log")),
    /these files are not as the rig left them: console-target\.log is missing/,
  ],
  [
    "a file that was changed",
    () => edit(path.join(dir, "console-target.log"), text => text.replace("6.1.0", "6.1.1")),
    /console-target\.log was changed: its SHA-256 is another/,
  ],
  [
    "a history that was cut after it was judged",
    () => truncate(history, 200),
    /history\.ndjson has 200 bytes, not \d+/,
  ],
  [
    "a history that was edited",
    () => edit(history, text => text.replace("Linux version", "Linux VERSION")),
    /history\.ndjson was changed/,
  ],
  [
    "many files that are missing",
    () =>
      changeCell(cell =>
        (cell["files"] as object[]).push(...["a", "b", "c"].map(name => ({ name, bytes: 1, sha256: "" }))),
      ).then(() => rm(path.join(dir, "console-target.log"))),
    /console-target\.log is missing; a is missing; b is missing; and 1 more/,
  ],
  [
    "a file outside the cell",
    () => changeCell(cell => (cell["files"] as object[]).push({ name: "../../x", bytes: 1, sha256: "" })),
    /"\.\.\/\.\.\/x" is no file's name/,
  ],
  [
    "a cell.json that does not list the history",
    () => changeCell(cell => Object.assign(cell, { files: [] })),
    /expected history\.ndjson in its files/,
  ],
  [
    "a history of another cell",
    () => changeCell(cell => Object.assign(cell, { run: "run-2", seed: 5 })),
    /the history of another cell: it says run "run-1" instead of "run-2", seed 1 instead of 5/,
  ],
  [
    "a history of another kernel",
    () => changeCell(cell => Object.assign(cell["kernel"] as object, { name: "6.12" })),
    /it says kernel "6\.1" instead of "6\.12"/,
  ],
  [
    "a history of a newer rig",
    () => edit(history, text => text.replace('"version":2', '"version":3')).then(() => sealAgain(dir)),
    /history\.ndjson: written by a newer rig \(history version 3; this one reads 2\)/,
  ],
  [
    "a history that is none",
    () => writeFile(history, "hello\n").then(() => sealAgain(dir)),
    /expected a history's header/,
  ],
  ["an empty history", () => writeFile(history, "").then(() => sealAgain(dir)), /expected a history's header/],
  [
    "a history that is a directory",
    () => rm(history).then(() => mkdir(history)),
    /history\.ndjson: expected an ordinary file, and it is none/,
  ],
  [
    "a history that is a device",
    () => rm(history).then(() => symlink("/dev/null", history)),
    /history\.ndjson: expected an ordinary file/,
  ],
  [
    "a cell.json that is a pipe, which nobody writes to",
    () => rm(cellFile()).then(() => promisify(execFile)("mkfifo", [cellFile()])),
    /cell\.json: expected an ordinary file/,
  ],
  [
    "a link that leads to itself",
    () => rm(cellFile()).then(() => symlink("cell.json", cellFile())),
    /cell\.json: expected it to be readable: ELOOP/,
  ],
];

test.each(refusals)("%s is refused, and the arguments are not to blame", async (_name, spoil, message) => {
  await spoil();
  const failure = await openStoredCell(dir).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "RIG_BAD_RESULTS", blame: "environment" });
  expect((failure as Error).message).toMatch(message);
  expect((failure as Error).message).toContain(dir);
});

test.each<[string, (dir: string) => Promise<string>, RegExp]>([
  ["no directory", dir => Promise.resolve(path.join(dir, "nowhere")), /no such directory\. Expected a cell's/],
  ["a file", dir => Promise.resolve(path.join(dir, "cell.json")), /not a directory\. Expected a cell's directory/],
  ["a device", () => Promise.resolve("/dev/null"), /^\/dev\/null: not a directory/],
  [
    "a directory of something else",
    async dir => {
      await mkdir(path.join(dir, "other"));
      return path.join(dir, "other");
    },
    /Expected a cell's directory .*; there is neither file/,
  ],
])("%s is a mistake in the arguments", async (_name, make, message) => {
  await expect(openStoredCell(await make(dir))).rejects.toMatchObject({
    code: "RIG_BAD_RESULTS",
    blame: "usage",
    message: expect.stringMatching(message) as string,
  });
});

describe("the history of a rig that died", () => {
  beforeEach(async () => {
    await rm(cellFile());
    const text = await readFile(history, "utf8");
    await writeFile(history, text.slice(0, Math.floor(text.length / 2)));
  });

  test("is opened as far as it goes", async () => {
    const { cell, history: cut } = await openStoredCell(dir);
    expect(cell).toBeUndefined();
    expect(cut).toMatchObject({ truncated: true, header: { run: "run-1" } });
  });

  test("is not that of a cell which was judged", async () => {
    const other = path.join(path.dirname(dir), "other");
    const cell: Cell = await storeCell(other, told());
    expect(cell.files).toHaveLength(2);
    await rename(history, path.join(other, "history.ndjson"));
    await expect(openStoredCell(other)).rejects.toThrow(/history\.ndjson has \d+ bytes, not \d+/);
  });
});
