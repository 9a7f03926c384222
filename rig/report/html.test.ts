import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Bundle, CellBlock } from "./bundle.ts";
import { writeHtmlReport } from "./html.ts";
import { writeFixture } from "./testdata/results.ts";

const APP = `<!doctype html><title><!--rig:title--></title><noscript><!--rig:summary--></noscript><!--rig:data--><script></script>`;
const HOSTILE = `</template></script><script>alert(1)</script><img src=x onerror=alert(1)> $& $' <!--rig:title-->`;

let directory = "";
let appFile = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "rig-html-"));
  appFile = join(directory, "app.html");
  await writeFile(appFile, APP);
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const decode = (page: string, id: string): unknown => {
  const base64 = new RegExp(`<template id="${id}">([A-Za-z0-9+/=]*)</template>`).exec(page)?.[1];
  if (base64 === undefined) throw new Error(`no template ${id}`);
  return JSON.parse(gunzipSync(Buffer.from(base64, "base64")).toString());
};

const edit = async (file: string, change: (value: Record<string, unknown>) => void) => {
  const value = JSON.parse(await readFile(join(directory, file), "utf8")) as Record<string, unknown>;
  change(value);
  await writeFile(join(directory, file), JSON.stringify(value));
};

const write = () => writeHtmlReport(directory, { appFile });
const CELL = "cells/recovery/stale-write/debian-5.10/1";

test("the page carries the run and a block for every cell that left files", async () => {
  const run = await writeFixture(directory, { mixed: true });
  const report = await write();
  expect(report).toMatchObject({ file: join(directory, "index.html"), cells: 14 });
  const page = await readFile(report.file, "utf8");
  expect(Buffer.byteLength(page)).toBe(report.bytes);
  const bundle = decode(page, "rig-index") as Bundle;
  expect(bundle.run).toEqual(run);
  expect(bundle.blocks).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, null, null, null, null]);
  const block = decode(page, "rig-cell-0") as CellBlock;
  expect(block.cell?.findings[0]?.class).toBe("stale");
  expect(block.history).toMatchObject({ detail: "full", truncated: false, damagedLines: 0 });
  expect((decode(page, "rig-cell-7") as CellBlock).history?.detail).toBe("light");
  expect(await readdir(directory)).not.toContainEqual(expect.stringContaining(".tmp"));
});

test("hostile text of a guest reaches the page only as base64 or escaped", async () => {
  await writeFixture(directory, { change: o => ({ ...o, consoleLines: [HOSTILE] }) });
  await edit("run.json", run => {
    run["verdict"] = HOSTILE;
  });
  const page = await readFile((await write()).file, "utf8");
  expect(page).not.toContain("<img");
  expect(page).not.toContain("<script>alert");
  expect(page.match(/<script/g)).toHaveLength(1);
  expect(JSON.stringify(decode(page, "rig-cell-0"))).toContain("onerror=alert(1)");
});

test("the history of a rig that died, cut off in the middle of a line, is shown as such", async () => {
  await writeFixture(directory);
  await edit("run.json", run => {
    const cells = run["cells"] as Record<string, unknown>[];
    Object.assign(cells[0] ?? {}, { status: "ERROR" });
  });
  await rm(join(directory, CELL, "cell.json"));
  const file = join(directory, CELL, "history.ndjson");
  await writeFile(file, (await readFile(file, "utf8")).slice(0, -20));
  const page = await readFile((await write()).file, "utf8");
  expect((decode(page, "rig-cell-0") as CellBlock).history?.truncated).toBe(true);
});

test("a cell that ended in ERROR may have left nothing", async () => {
  await writeFixture(directory);
  await edit("run.json", run => {
    const cells = run["cells"] as Record<string, unknown>[];
    Object.assign(cells[0] ?? {}, { status: "ERROR", reason: "the lab did not boot" });
  });
  await rm(join(directory, CELL), { recursive: true });
  const page = await readFile((await write()).file, "utf8");
  expect((decode(page, "rig-index") as Bundle).blocks[0]).toBeNull();
});

const refusals: [string, () => Promise<unknown>, RegExp][] = [
  ["a directory without run.json", () => rm(join(directory, "run.json")), /run\.json: no such file/],
  ["a run.json that is not JSON", () => writeFile(join(directory, "run.json"), "{"), /run\.json: expected JSON/],
  [
    "a newer run",
    () =>
      edit("run.json", run => {
        run["version"] = 2;
        run["tomorrow"] = true;
      }),
    /written by a newer iscsi-rig \(results version 2; this rig reads version 1\)/,
  ],
  [
    "a run with a field of the wrong type",
    () =>
      edit("run.json", run => {
        run["verdict"] = 7;
      }),
    /run\.json: does not fit results version 1:[^]*verdict/,
  ],
  [
    "a cell directory outside the run",
    () =>
      edit("run.json", run => {
        Object.assign((run["cells"] as object[])[0] ?? {}, { directory: "../../etc" });
      }),
    /inside the run, got "\.\.\/\.\.\/etc"/,
  ],
  [
    "a judged cell without cell.json",
    () => rm(join(directory, CELL, "cell.json")),
    /cell\.json: no such file.*as FAIL/,
  ],
  [
    "a judged cell without a history",
    () => rm(join(directory, CELL, "history.ndjson")),
    /history\.ndjson: no such file.*as FAIL/,
  ],
  [
    "a newer cell",
    () =>
      edit(`${CELL}/cell.json`, cell => {
        cell["version"] = 3;
      }),
    /cell\.json: written by a newer/,
  ],
  [
    "a history that was cut after it was judged",
    async () => {
      const file = join(directory, CELL, "history.ndjson");
      await writeFile(file, (await readFile(file, "utf8")).slice(0, -20));
    },
    /history\.ndjson has \d+ bytes, not \d+/,
  ],
  [
    "a history of another cell, without a cell.json",
    async () => {
      await edit("run.json", run => {
        Object.assign((run["cells"] as object[])[0] ?? {}, { status: "ERROR", seed: 77 });
      });
      await rm(join(directory, CELL, "cell.json"));
    },
    /history\.ndjson: the history of another cell: it says seed 1 instead of 77/,
  ],
  [
    "a cell of another run",
    () =>
      edit("run.json", run => {
        run["id"] = "another";
      }),
    /cell\.json: the file of another cell: it says run "[^"]+" instead of "another"/,
  ],
  [
    "a cell whose verdict run.json tells otherwise",
    () =>
      edit("run.json", run => {
        Object.assign((run["cells"] as object[])[0] ?? {}, { status: "PASS" });
      }),
    /cell\.json: its verdict is FAIL, and run\.json tells another: PASS/,
  ],
  ["a garbled history", () => writeFile(join(directory, CELL, "history.ndjson"), "no\nhistory\n"), /history\.ndjson/],
];

test.for(refusals)("%s is refused with the file's name and the reason", async ([, spoil, message]) => {
  await writeFixture(directory);
  await spoil();
  const failure = await write().catch((error: unknown) => error);
  // Only a directory that is no run's at all is a mistake in the arguments.
  const blame = spoil === refusals[0]?.[1] ? "usage" : "environment";
  expect(failure).toMatchObject({ name: "RigError", code: "RIG_BAD_RESULTS", blame });
  expect(failure).toHaveProperty("message", expect.stringMatching(message));
});

test("without the built app the message says how to get it", async () => {
  await writeFixture(directory);
  await rm(appFile);
  await expect(write()).rejects.toMatchObject({
    code: "RIG_MISSING_PROGRAM",
    blame: "environment",
    message: expect.stringContaining('Run "make setup"') as string,
  });
});

test("an app without its places is a bug and says so", async () => {
  await writeFixture(directory);
  await writeFile(appFile, "<title></title>");
  await expect(write()).rejects.toMatchObject({ code: "RIG_BUG" });
});
