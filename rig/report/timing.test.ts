import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CellSummary } from "../results/schema.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { hurried } from "./testdata/hurried.ts";
import { writeFixture } from "./testdata/results.ts";
import { labsOf, NO_PHASE, PHASES, paceOf, timingOf } from "./timing.ts";

const cellOf = (phases: Readonly<Record<string, number>>, durationMs?: number): CellSummary => {
  const list = Object.entries(phases).map(([name, ms]) => ({ name, ms }));
  return {
    scenario: "recovery/stale-write",
    kernel: "debian-6.1",
    seed: 1,
    status: "PASS",
    findings: [],
    phases: list,
    durationMs: durationMs ?? list.reduce((sum, phase) => sum + phase.ms, 0),
    directory: "cells/x",
  };
};

describe("the phases of a run", () => {
  test("median, p90 by nearest rank, least and most, and the share", () => {
    const boots = [40, 10, 30, 20, 50, 60, 70, 80, 100, 90];
    const { whole, phases } = timingOf(boots.map(boot => cellOf({ boot, judge: 45 })));
    expect(phases[0]).toEqual({
      name: "boot",
      cells: 10,
      medianMs: 55,
      p90Ms: 90,
      minMs: 10,
      maxMs: 100,
      totalMs: 550,
      share: 0.55,
      typicalMs: 55,
    });
    expect(whole).toMatchObject({ cells: 10, medianMs: 100, totalMs: 1000 });
  });

  test("one that some cells did not have is told of those that had it; a typical cell is all of them", () => {
    const cells = [cellOf({ boot: 400 }), cellOf({ restore: 50 }), cellOf({ restore: 70 })];
    const [boot, restore] = timingOf(cells).phases;
    expect(boot).toMatchObject({ name: "boot", cells: 1, medianMs: 400, p90Ms: 400, typicalMs: 0 });
    expect(restore).toMatchObject({ name: "restore", cells: 2, medianMs: 60, p90Ms: 70, typicalMs: 50 });
  });

  test("stand in the order of a cell's life, names of another rig after them as they came", () => {
    const cells = [cellOf({ teardown: 1, judge: 1, warm: 1 }), cellOf({ "read-back": 1, boot: 1, timeline: 1 })];
    const names = timingOf(cells).phases.map(phase => phase.name);
    expect(names).toEqual(["boot", "timeline", "read-back", "judge", "teardown", "warm"]);
    expect(timingOf([cellOf(Object.fromEntries(PHASES.toReversed().map(name => [name, 1])))]).phases).toMatchObject(
      PHASES.map(name => ({ name })),
    );
  });

  test("a phase that a cell went through twice counts with both times", () => {
    const cell = cellOf({ settle: 10 });
    const twice = { ...cell, phases: [...cell.phases, { name: "settle", ms: 5 }], durationMs: 15 };
    expect(timingOf([twice]).phases).toMatchObject([{ name: "settle", cells: 1, medianMs: 15 }]);
  });

  test("time between phases is told where it is worth it", () => {
    const names = (durationMs: number) => timingOf([cellOf({ boot: 990 }, durationMs)]).phases.map(phase => phase.name);
    expect(names(999)).toEqual(["boot"]);
    expect(names(1000)).toEqual(["boot", NO_PHASE]);
    expect(names(500)).toEqual(["boot"]);
  });

  test("of no cells there is nothing to tell", () => {
    expect(timingOf([])).toMatchObject({ whole: { cells: 0, medianMs: 0, p90Ms: 0 }, phases: [] });
  });

  test("whatever was measured: figures are in order, p90 was measured, shares make a whole", () => {
    const ms = fc.integer({ min: 1, max: 100_000 });
    const cell = fc.record({ boot: ms, timeline: ms, judge: ms }).map(phases => cellOf(phases));
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1, maxLength: 40 }), cells => {
        const { phases } = timingOf(cells);
        for (const { name, cells: n, minMs, medianMs, p90Ms, maxMs } of phases) {
          const measured = cells.flatMap(c => c.phases.filter(p => p.name === name).map(p => p.ms));
          expect(minMs <= medianMs && medianMs <= maxMs && medianMs <= p90Ms && p90Ms <= maxMs).toBe(true);
          expect(measured).toContain(p90Ms);
          expect(measured.filter(m => m <= p90Ms).length).toBeGreaterThanOrEqual(0.9 * n);
        }
        expect(phases.reduce((sum, phase) => sum + phase.share, 0)).toBeCloseTo(1, 9);
      }),
    );
  });
});

describe("the pace of a run", () => {
  const runFixture = async () => writeFixture(await temporaryDirectory(), { mixed: true });

  test("counts the cells that ran, against the clock", async () => {
    const pace = paceOf(hurried(await runFixture()));
    expect(pace).toMatchObject({ cells: 10, wallMs: 22_500 });
    expect(pace.cellsPerHour).toBeCloseTo(1600, 6);
    expect(pace.sideBySide).toBeCloseTo(pace.cellMs / 22_500, 9);
  });

  test("a run that was over before it began has none", async () => {
    expect(paceOf({ ...(await runFixture()), cells: [], durationMs: 0 })).toEqual({
      cells: 0,
      wallMs: 0,
      cellMs: 0,
      cellsPerHour: 0,
      sideBySide: 0,
    });
  });

  test("labs are counted where it is known how they came up", async () => {
    const run = await runFixture();
    expect(labsOf(run.cells)).toBeUndefined();
    expect(labsOf(hurried(run).cells)).toEqual({ restored: 8, cold: 2 });
  });
});
