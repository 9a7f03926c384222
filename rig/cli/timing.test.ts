import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { hurried } from "../report/testdata/hurried.ts";
import { writeFixture } from "../report/testdata/results.ts";
import { timingOf } from "../report/timing.ts";
import type { Run } from "../results/schema.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { runCli } from "../testing/cli.ts";
import { bar, timingText } from "./timing-text.ts";

/** A run on disk: the fixture's, as `change` leaves it. */
const runAt = async (change: (run: Run) => Run): Promise<{ dir: string; run: Run }> => {
  const dir = await temporaryDirectory();
  const run = change(await writeFixture(dir, { mixed: true }));
  await writeFile(path.join(dir, "run.json"), JSON.stringify(run));
  return { dir, run };
};

describe("rig timing", () => {
  test("tells the pace, the labs, the tries thrown away, and every phase", async () => {
    const { dir } = await runAt(hurried);
    const { status, stdout, stderr } = await runCli("timing", dir);
    expect([status, stderr]).toEqual([0, ""]);
    const [pace, labs, why, starved, blank, ...rows] = stdout.trimEnd().split("\n");
    expect(pace).toBe(
      "Run 20251122-134900: 10 cells in 22.5 s, 1600 an hour. 2.9 side by side on average, 3 at most (asked for: auto).",
    );
    expect(labs).toBe("Labs: 8 restored, 2 booted.");
    expect(why).toBe("  2 not restored: no lab of this kernel had been kept yet");
    expect(starved).toMatch(/^2 tries were thrown away because the machine was too busy/);
    expect(blank).toBe("");
    expect(rows[0]).toMatch(/^PHASE +CELLS +MEDIAN +P90 +MIN–MAX +SHARE$/);
    expect(rows.slice(1, -1).map(row => row.split(/ {2,}/)[0])).toEqual([
      "boot",
      "restore",
      "set-up",
      "open",
      "timeline",
      "heal",
      "settle",
      "read-back",
      "collect",
      "judge",
    ]);
    expect(rows[1]).toMatch(/^boot +2 +4\.19 s +4\.19 s +4\.19–4\.19 s +12\.9 % +█+/);
    expect(rows.at(-1)).toMatch(/^whole cell +10 .* 100\.0 %$/);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(80);
  });

  test("tells what an older run has, and no more", async () => {
    const { dir } = await runAt(run => ({ ...run, complete: false }));
    const { status, stdout } = await runCli("timing", dir);
    expect(status).toBe(0);
    const [pace, interrupted, blank] = stdout.split("\n");
    expect(pace).toMatch(/^Run 20251122-134900: 10 cells in 61\.4 s, 586 an hour\. 1\.\d side by side on average\.$/);
    expect([interrupted, blank]).toEqual(["The run was interrupted: this is what there is.", ""]);
  });

  test("has a table for each kernel or each scenario", async () => {
    const { dir } = await runAt(hurried);
    const heads = async (by: string) =>
      (await runCli("timing", dir, "--by", by)).stdout
        .split("\n")
        .filter((_, i, all) => all[i + 1]?.startsWith("PHASE"));
    expect(await heads("kernel")).toEqual(["debian-5.10", "debian-6.1"]);
    expect(await heads("scenario")).toEqual(["recovery/stale-write"]);
  });

  test("prints the figures as JSON", async () => {
    const { dir, run } = await runAt(hurried);
    const { stdout } = await runCli("timing", dir, "--by", "kernel", "--json");
    const [base] = [...Map.groupBy(run.cells, cell => cell.kernel)].map(([name, cells]) => ({
      name,
      ...timingOf(cells.filter(cell => cell.durationMs > 0)),
    }));
    expect(JSON.parse(stdout)).toMatchObject({
      run: "20251122-134900",
      complete: true,
      pace: { cells: 10, wallMs: 22_500 },
      jobs: { asked: "auto", most: 3 },
      labs: { restored: 8, cold: 2 },
      starved: 2,
      timings: [
        { name: "debian-5.10", whole: base?.whole, phases: base?.phases.map(({ name, cells }) => ({ name, cells })) },
        { name: "debian-6.1" },
      ],
    });
  });

  test("of a run in which no cell ran, says so much", async () => {
    const { dir } = await runAt(run => ({ ...run, cells: [] }));
    const { status, stdout } = await runCli("timing", dir);
    expect([status, stdout]).toEqual([
      0,
      "Run 20251122-134900: 0 cells in 61.4 s, 0 an hour. 0.0 side by side on average.\n",
    ]);
  });

  test("prints no control character of a run from elsewhere", async () => {
    const { dir } = await runAt(run => ({
      ...run,
      id: "\u001b[2J",
      cells: run.cells.map(cell => ({
        ...cell,
        kernel: "k\u001b[31m\nx",
        phases: [{ name: "\u001b]0;title\u0007boot\u202e", ms: 1 }],
        lab: { how: "cold", why: "\u001b[1A\rgone" },
      })),
    }));
    const { stdout } = await runCli("timing", dir, "--by", "kernel");
    expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}|\u202e/u);
    expect(stdout).toContain("\nkx\n");
  });
});

describe("a bar", () => {
  test.each([
    [0, ""],
    [0.0001, "▏"],
    [0.5, "█████"],
    [0.5625, "█████▋"],
    [1, "██████████"],
    [7, "██████████"],
  ])("of %d", (part, drawn) => {
    expect(bar(part, 10)).toBe(drawn);
  });

  test("fills the terminal, and is left out where there is no room for it", async () => {
    const { run } = await runAt(hurried);
    const groups = [{ timing: timingOf(run.cells) }];
    const widest = (width: number) =>
      Math.max(
        ...timingText(run, groups, width)
          .split("\n")
          .filter(line => line.includes(" %"))
          .map(line => line.length),
      );
    expect(widest(80)).toBe(80);
    expect(widest(160)).toBe(160);
    expect(timingText(run, groups, 40)).not.toContain("█");
  });
});
