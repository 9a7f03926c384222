import { expect, test } from "vitest";
import type { Status } from "../../rig/core/names.ts";
import type { CellSummary, Run } from "../../rig/results/schema.ts";
import { groupsOf, sideOf } from "./groups.ts";

const cell = (scenario: string, kernel: string, seed: number, status: Status): CellSummary => ({
  ...{ scenario, kernel, seed, status },
  findings: status === "FAIL" ? [{ oracle: "integrity", class: "stale", title: "older data" }] : [],
  phases: [],
  durationMs: 1,
  directory: "d",
});
const compared = (scenario: string, base: string, head: string) => ({
  ...{ scenario, base: { kernel: base }, head: { kernel: head } },
});
/** `mid` is the base of one scenario and the head of the other. */
const RUN = {
  comparison: [compared("g/one", "mid", "new"), compared("g/two", "old", "mid")],
  cells: [
    ...[1, 2, 3].map(seed => cell("g/one", "mid", seed, "FAIL")),
    ...[1, 2].map(seed => cell("g/one", "new", seed, "PASS")),
    ...[1, 2].map(seed => cell("g/two", "old", seed, "FAIL")),
    cell("g/two", "mid", 1, "FAIL"),
    cell("g/two", "mid", 2, "ERROR"),
  ],
} as unknown as Run;

test("a cell's side is that of its own scenario", () => {
  const sides = (run: Run) => groupsOf(run).map(({ first, side }) => [first.scenario, first.kernel, side]);
  expect(sides(RUN)).toContainEqual(["g/one", "mid", "base"]);
  expect(sides(RUN)).toContainEqual(["g/two", "mid", "head"]);
  expect(sideOf({ ...RUN, comparison: [] }, { scenario: "g/one", kernel: "mid" })).toBeUndefined();
});

test("a failure of the head comes before the expected ones of bases, however many those are", () => {
  const words = groupsOf(RUN).map(
    ({ first, cells }) => `${String(cells.length)} ${first.status} ${first.scenario} ${first.kernel}`,
  );
  expect(words).toEqual([
    "1 FAIL g/two mid",
    "3 FAIL g/one mid",
    "2 FAIL g/two old",
    "1 ERROR g/two mid",
    "2 PASS g/one new",
  ]);
});
