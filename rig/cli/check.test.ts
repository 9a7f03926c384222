import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { History } from "../history/event.ts";
import { HistoryBuilder, written } from "../oracle/testdata/history-builder.ts";
import { writeFixture } from "../report/testdata/results.ts";
import type { Cell, CellSummary } from "../results/schema.ts";
import { edit, sealAgain, storeCell } from "../results/testdata/stored-cell.ts";
import { summaryOf } from "../run/cell-record.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { runCli } from "../testing/cli.ts";
import { check } from "./check.ts";
import { checkCell } from "./check-cell.ts";
import { verdictJson, verdictText } from "./verdict-text.ts";

/** The command without its process. */
const run = async (dir: string, json = false) => {
  const said = { stdout: "", stderr: "" };
  const status = await check(dir, json, {
    say: text => (said.stdout += text),
    aside: text => (said.stderr += text),
  });
  return { status, ...said };
};

const healthy = () =>
  new HistoryBuilder()
    .console("target", 0, "[    0.000000] Linux version 6.1.0")
    .console("initiator", 0, "[    0.000000] Linux version 6.1.0")
    .loggedIn(0)
    .counted(0, "begin")
    .counted(59, "end")
    .limits(0, 10_000)
    .write(1, { at: 1, ok: 2, sectors: 8 })
    .write(2, { at: 3, ok: 6, sectors: 8 })
    .fault("path-drop:a#1", 4, 7)
    .readBack(3, 8, [written(2, 0, 8)])
    .note(60);

const stale = () => healthy().read(5, { at: 9, ok: 9.5, sectors: 8, content: [written(1, 0, 8)] });

/** One of each verdict that a cell can have. */
const CELLS: readonly (readonly [string, () => HistoryBuilder, Cell["status"], number])[] = [
  ["a healthy cell", healthy, "PASS", 0],
  ["stale data", stale, "FAIL", 1],
  ["a crash", () => healthy().console("target", 20, "[   20.000001] Kernel panic - not syncing: x"), "FAIL", 1],
  ["a cell that was stopped", () => healthy().stopped(30, "ssh is gone\u001b[31m"), "ERROR", 3],
  ["a crash that the rig stumbled over", () => stale().stopped(30, "ssh is gone"), "FAIL", 1],
  ["a full disk", () => healthy().stopped(30, "No space left.", { blame: "environment" }), "MISS", 3],
  [
    "a wait in vain for a write that hangs",
    () => healthy().write(20, { at: 20, sectors: 8 }).stopped(50, "gave up", { unanswered: true }),
    "FAIL",
    1,
  ],
  [
    "a wait in vain, not long enough",
    () => healthy().write(20, { at: 59, sectors: 8 }).stopped(59.5, "gave up", { unanswered: true }),
    "ERROR",
    3,
  ],
  [
    "a starved lab",
    () =>
      stale()
        .phase("timeline", 0.5, 50)
        .add({ t: 5e9, kind: "load", node: "initiator", windowMs: 1000, waitMs: 900 })
        .stopped(30, "ssh is gone"),
    "ERROR",
    3,
  ],
];

describe("a stored cell that is judged again", () => {
  test.each(CELLS)("%s: has the same verdict, byte for byte", async (_name, builder, status) => {
    const dir = await temporaryDirectory();
    const stored = await storeCell(dir, builder().build());
    const text = await readFile(path.join(dir, "cell.json"), "utf8");
    const { name, verdict, difference } = await checkCell(dir);
    expect({ status: verdict.status, difference }).toEqual({ status, difference: undefined });
    const fromFile = JSON.parse(text) as Cell;
    expect(verdictText(name, verdict)).toBe(verdictText({ ...stored, kernel: stored.kernel.name }, fromFile));
    expect(verdictJson(verdict)).toBe(verdictJson(fromFile));
    // The very characters that cell.json has, but for how far they are moved in.
    const moved = (value: unknown) => JSON.stringify(value, null, 2).replaceAll("\n", "\n  ");
    expect(text).toContain(`"findings": ${moved(verdict.findings)}`);
  });

  test("says so where another verdict is stored", async () => {
    const dir = await temporaryDirectory();
    await storeCell(dir, stale().build());
    await edit(path.join(dir, "cell.json"), text => text.replace('"status": "FAIL"', '"status": "PASS"'));
    expect((await checkCell(dir)).difference).toBe("stored: PASS, integrity/stale");
    await storeCell(path.join(dir, "2"), stale().build());
    await edit(path.join(dir, "2/cell.json"), text =>
      text.replace(/"explanation": "[^"]*"/, '"explanation": "Trust me."'),
    );
    expect((await checkCell(path.join(dir, "2"))).difference).toMatch(/^stored: FAIL too, in other words/);
  });
});

describe("rig check of a cell", () => {
  test.each(CELLS.slice(0, 4))("%s", async (_name, builder, status, exitStatus) => {
    const dir = await temporaryDirectory();
    const stored = await storeCell(dir, builder().build());
    const words = verdictText({ ...stored, kernel: stored.kernel.name }, stored);
    expect(await run(dir)).toEqual({ status: exitStatus, stdout: words, stderr: "" });
    expect(words).toMatch(new RegExp(`^writes/six on 6\\.1, seed 1: ${status}\\n`));
    expect(words.endsWith("\n") && !words.includes("\u001b")).toBe(true);
    expect(await run(dir, true)).toEqual({
      status: exitStatus,
      stdout: verdictJson(stored),
      stderr: "",
    });
  });

  test("as a process of its own says the same and ends with the verdict's status", async () => {
    const dir = await temporaryDirectory();
    await storeCell(dir, stale().build());
    expect(await runCli("check", dir)).toEqual(await run(dir));
    await rm(path.join(dir, "history.ndjson"));
    const { status, stdout, stderr } = await runCli("check", dir);
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(/^rig: .*history\.ndjson: no such file\. Without its history a cell cannot be judged\.\n$/);
  });

  test("whose verdict was changed ends with the one that was computed, and says what is stored", async () => {
    const dir = await temporaryDirectory();
    await storeCell(dir, stale().build());
    await edit(path.join(dir, "cell.json"), text => text.replace('"status": "FAIL"', '"status": "PASS"'));
    const { status, stdout } = await run(dir);
    expect(status).toBe(1);
    expect(stdout).toMatch(/: FAIL\n[^]*\nstored: PASS, integrity\/stale\n$/);
  });

  /** Stores the cell, changes its history, and makes cell.json list the changed file. */
  const changed = async (history: History, change: (text: string) => string): Promise<string> => {
    const dir = await temporaryDirectory();
    await storeCell(dir, history);
    await edit(path.join(dir, "history.ndjson"), change);
    await sealAgain(dir);
    return dir;
  };

  test("whose history is damaged has no verdict", async () => {
    const dir = await changed(stale().build(), text => text.replace('"kind":"limits"', '"kind":"limit"'));
    const { status, stdout } = await run(dir);
    expect(status).toBe(3);
    expect(stdout).toMatch(/: ERROR\n {2}The history is damaged and carries no verdict: line \d+: expected an event/);
    expect(stdout.replace(/stored: .*/, "")).not.toContain("integrity");
  });

  test("whose history was edited so that every line is right has none either", async () => {
    const dir = await changed(stale().build(), text =>
      text.replace('"answerWithinMs":10000', '"answerWithinMs":90000'),
    );
    const { status, stdout } = await run(dir);
    expect(status).toBe(3);
    expect(stdout).toMatch(/carries no verdict: line \d+: .*edited/);
  });

  test("of a rig that was killed is judged as far as it goes, and does not pass", async () => {
    const dir = await temporaryDirectory();
    const lines = async (builder: HistoryBuilder, name: string) => {
      await storeCell(path.join(dir, name), builder.build());
      await rm(path.join(dir, name, "cell.json"));
      await edit(path.join(dir, name, "history.ndjson"), text => text.slice(0, text.lastIndexOf('{"kind":"end"') - 1));
      return run(path.join(dir, name));
    };
    const passed = await lines(healthy(), "healthy");
    expect(passed.status).toBe(3);
    expect(passed.stdout).toMatch(/: ERROR\n {2}The history ends before the cell's end[^]*stored: no verdict/);
    const failed = await lines(stale(), "stale");
    expect(failed.status).toBe(1);
    expect(failed.stdout).toMatch(/: FAIL\n[^]*integrity\/stale/);
  });

  test("with megabytes of noise on its consoles has its verdict, soon", async () => {
    const noise = Array.from(
      { length: 4_000 },
      (_, i) =>
        `\u001b[${i}m[  ${i}.000001] \u0000\u0007\u202eBUG\u009b${"\u001b]0;".repeat(40)}${String.fromCharCode(...Array.from({ length: 800 }, (__, j) => 1 + ((i * 31 + j * 17) % 400)))}`,
    );
    const dir = await temporaryDirectory();
    await storeCell(
      dir,
      healthy()
        .console("initiator", 20, ...noise)
        .build(),
    );
    const { verdict } = await checkCell(dir);
    expect(verdict).toMatchObject({ status: "PASS", findings: [] });
  });
});

describe("rig check of a run", () => {
  let dir = "";

  /** Stores a run of these histories; `rest` are cells that left nothing. */
  const storeRun = async (builders: readonly HistoryBuilder[], rest: readonly CellSummary[] = []): Promise<void> => {
    const cells: CellSummary[] = [];
    for (const [index, builder] of builders.entries()) {
      const directory = `cells/writes/six/6.1/${index + 1}`;
      const history = builder.build();
      const seed = index + 1;
      const cell = await storeCell(path.join(dir, directory), { ...history, header: { ...history.header, seed } });
      cells.push(summaryOf(cell, directory));
    }
    const other = await writeFixture(path.join(dir, "of-another-run"), { seeds: 1 });
    await writeFile(path.join(dir, "run.json"), JSON.stringify({ ...other, id: "run-1", cells: [...cells, ...rest] }));
  };
  beforeEach(async () => {
    dir = await temporaryDirectory();
  });

  test("has a line for every cell, and a summary", async () => {
    await storeRun([healthy(), stale(), healthy().stopped(30, "ssh is gone")]);
    const { status, stdout, stderr } = await run(dir);
    expect(stdout.split("\n")).toEqual([
      "PASS   writes/six on 6.1, seed 1: nothing was found",
      "FAIL   writes/six on 6.1, seed 2: integrity/stale",
      "ERROR  writes/six on 6.1, seed 3: ssh is gone",
      "3 cells judged again: 1 FAIL, 1 ERROR, 1 PASS; every verdict is as stored.",
      "",
    ]);
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
  });

  test("goes on after a cell that cannot be judged, and one that left nothing", async () => {
    const absent: CellSummary = {
      scenario: "writes/six",
      kernel: "6.1",
      seed: 9,
      status: "SKIP",
      findings: [],
      phases: [],
      durationMs: 0,
      directory: "cells/writes/six/6.1/9",
    };
    await storeRun([healthy(), healthy(), healthy(), healthy()], [absent, { ...absent, status: "PASS" }]);
    await rm(path.join(dir, "cells/writes/six/6.1/1/history.ndjson"));
    await rm(path.join(dir, "cells/writes/six/6.1/2"), { recursive: true });
    await mkdir(path.join(dir, "cells/writes/six/6.1/2"));
    await edit(path.join(dir, "cells/writes/six/6.1/3/cell.json"), text => text.replace('"PASS"', '"ERROR"'));
    const { status, stdout } = await run(dir);
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^- +writes\/six on 6\.1, seed 1: .*history\.ndjson: no such file/);
    expect(lines[1]).toMatch(/^- +writes\/six on 6\.1, seed 2: .*there is neither file/);
    expect(lines[2]).toBe("PASS   writes/six on 6.1, seed 3: nothing was found (stored: ERROR, nothing was found)");
    expect(lines[4]).toBe("SKIP   writes/six on 6.1, seed 9: left nothing to judge");
    expect(lines[5]).toMatch(/^- +writes\/six on 6\.1, seed 9: .*no such directory/);
    expect(lines[6]).toBe(
      "2 cells judged again: 2 PASS; 1 left nothing to judge; 3 cannot be judged; 1 verdict differs from what is stored.",
    );
    expect(status).toBe(3);
  });

  test("whose run.json tells another verdict says so", async () => {
    await storeRun([healthy(), stale()]);
    await edit(path.join(dir, "run.json"), text => text.replace('"FAIL"', '"PASS"'));
    const { status, stdout } = await run(dir);
    expect(status).toBe(1);
    expect(stdout).toContain("FAIL   writes/six on 6.1, seed 2: integrity/stale (run.json: PASS)\n");
    expect(stdout).toContain("1 verdict differs from what is stored.");
  });

  test.each([
    ["finding", '"title": ?"[^"]*"', '"title":"nothing at all"'],
    ["reason", '"status": ?"PASS"', '"status":"PASS","reason":"all is well"'],
  ])("whose run.json tells another %s says so", async (_name, pattern, other) => {
    await storeRun([healthy(), stale()]);
    await edit(path.join(dir, "run.json"), text =>
      text.replace(new RegExp(`(.*"cells".*?)${pattern}`, "s"), `$1${other}`),
    );
    const { stdout } = await run(dir);
    expect(stdout).toMatch(/\(run\.json: \w+ too, in other words\)\n/);
    expect(stdout).toContain("1 verdict differs from what is stored.");
  });

  test("does not believe cells of another run", async () => {
    await storeRun([healthy()]);
    await edit(path.join(dir, "run.json"), text => text.replace('"id":"run-1"', '"id":"run-2"'));
    const { status, stdout } = await run(dir);
    expect(status).toBe(3);
    expect(stdout).toMatch(/^- .*: a cell of run run-1, not of run run-2\.\n/);
  });

  test("that was interrupted, or has no cells, is not right, and says so", async () => {
    await storeRun([healthy()]);
    await edit(path.join(dir, "run.json"), text => text.replace('"complete":true', '"complete":false'));
    const cut = await run(dir);
    expect(cut.status).toBe(3);
    expect(cut.stdout).toMatch(/every verdict is as stored\.\nThe run was interrupted: /);
    expect(await run(dir, true)).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/^The run was interr/) as string,
    });
    await edit(path.join(dir, "run.json"), text =>
      JSON.stringify({ ...(JSON.parse(text) as object), complete: true, cells: [] }),
    );
    const empty = await run(dir);
    expect(empty).toMatchObject({
      status: 3,
      stdout: "0 cells judged again.\nThe run has no cells: nothing was judged.\n",
    });
  });

  test("that was interrupted has the status of a finding all the same", async () => {
    await storeRun([stale()]);
    await edit(path.join(dir, "run.json"), text => text.replace('"complete":true', '"complete":false'));
    expect((await run(dir)).status).toBe(1);
  });

  test("prints nothing that moves the cursor, nor a line that is none", async () => {
    const nasty = "a\u001b[2J\u009b31m\u001b]0;pwned\u0007b\nPASS   all of it\u202e";
    const cell: CellSummary = {
      ...{ scenario: nasty, kernel: "6.1", seed: 1, status: "SKIP", reason: nasty },
      ...{ findings: [], phases: [], durationMs: 0, directory: "cells/x" },
    };
    await storeRun([healthy()], [cell, { ...cell, status: "PASS" }]);
    await edit(path.join(dir, "cells/writes/six/6.1/1/cell.json"), text =>
      text
        .replace('"PASS"', '"ERROR", "reason": "\\u001b[2J\\u009b31mx"')
        .replace(/"findings": \[[^]*?\]/, '"findings": []'),
    );
    const { stdout } = await run(dir);
    expect(/[^\P{Cc}\n]|\u202e/u.test(stdout)).toBe(false);
    expect(stdout.split("\n")).toHaveLength(5);
    expect(stdout).toContain("(stored: ERROR, x)");
    const json = (await run(dir, true)).stdout;
    expect(/[^\P{Cc}\n]|\u202e/u.test(json)).toBe(false);
    expect(JSON.parse(json)).toMatchObject([{ status: "PASS" }, { scenario: nasty, reason: nasty }, {}]);
  });

  test("ends with an error that moves no cursor either", async () => {
    await storeRun([healthy()]);
    await edit(path.join(dir, "run.json"), text => text.replace("cells/writes", String.raw`../\u001b[2Jx\u009b31m`));
    const { status, stdout, stderr } = await runCli("check", dir);
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(/^rig: .*inside the run, got "\.\.\/x/);
    expect(/[^\P{Cc}\n]/u.test(stderr)).toBe(false);
  });

  test("of which no cell is left does not say that all is well", async () => {
    await storeRun([healthy()]);
    await rm(path.join(dir, "cells"), { recursive: true });
    const { status, stdout } = await run(dir);
    expect(status).toBe(3);
    expect(stdout).toMatch(/\n0 cells judged again; 1 cannot be judged\.\n$/);
  });

  test("of which a cell is another's says so", async () => {
    await storeRun([healthy(), stale()]);
    await edit(path.join(dir, "run.json"), text => text.replace("six/6.1/2", "six/6.1/1"));
    expect((await run(dir)).stdout).toMatch(/seed 2: .*the directory of another cell of run/);
  });

  test("as JSON", async () => {
    await storeRun([healthy(), stale()]);
    const { status, stdout } = await run(dir, true);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([
      { seed: 1, status: "PASS", findings: [] },
      { seed: 2, status: "FAIL", findings: [{ oracle: "integrity" }] },
    ]);
  });

  test.each([
    ["{", /run\.json: expected JSON/],
    ["[]", /run\.json: does not fit results version 1/],
  ])("whose run.json is %j ends at once", async (text, message) => {
    await writeFile(path.join(dir, "run.json"), text);
    await expect(run(dir)).rejects.toMatchObject({
      blame: "environment",
      message: expect.stringMatching(message) as string,
    });
  });
});
