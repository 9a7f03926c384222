import { describe, expect, test } from "vitest";
import type { Status } from "../core/names.ts";
import { compare, sideOf } from "./compare.ts";
import { type RunOutcome, runVerdict } from "./run-verdict.ts";

const cellsOf = (kernel: string, statuses: readonly Status[]) => statuses.map(status => ({ kernel, status }));
const five = (status: Status): Status[] => Array.from({ length: 5 }, () => status);

/** A run that compares two kernels on one scenario. */
const compared = (base: readonly Status[], head: readonly Status[], complete = true): RunOutcome => ({
  cells: [...cellsOf("6.1.1", base), ...cellsOf("6.1.2", head)],
  comparison: [compare("writes/six", sideOf("6.1.1", base), sideOf("6.1.2", head))],
  complete,
});
const plain = (...statuses: Status[]): RunOutcome => ({
  cells: cellsOf("6.1.1", statuses),
  comparison: [],
  complete: true,
});

describe("a comparison", () => {
  test.each<[string, RunOutcome, number, string]>([
    ["fixed", compared(five("FAIL"), five("PASS")), 0, "6.1.2 against 6.1.1, 1 scenario: 0 regressed, 1 fixed."],
    ["regressed", compared(five("PASS"), five("FAIL")), 1, "1 regressed, 0 fixed."],
    ["both fail", compared(five("FAIL"), five("FAIL")), 1, "0 fixed; 1 fails with both."],
    ["a single failure of the head", compared(five("PASS"), [...five("PASS"), "FAIL"]), 1, "1 inconclusive."],
    ["a single failure of the base", compared([...five("PASS"), "FAIL"], five("PASS")), 0, "1 inconclusive."],
    ["no difference", compared(five("PASS"), five("PASS")), 0, "1 without difference."],
    ["an error of the head", compared(five("FAIL"), [...five("PASS"), "ERROR"]), 3, "Not judged: 1 ERROR."],
    ["a miss of the base", compared([...five("FAIL"), "MISS"], five("PASS")), 3, "Not judged: 1 MISS."],
    ["a failure and an error", compared(five("PASS"), [...five("FAIL"), "ERROR"]), 1, "Not judged: 1 ERROR."],
    ["an interrupted run", compared(five("FAIL"), five("PASS"), false), 3, "interrupted"],
    ["a skipped cell", compared(five("FAIL"), [...five("PASS"), "SKIP"]), 0, "Left out: 1 SKIP."],
  ])("%s", (_name, outcome, exitStatus, words) => {
    const verdict = runVerdict(outcome);
    expect(verdict.exitStatus).toBe(exitStatus);
    expect(verdict.words).toContain(words);
  });

  test("of several scenarios counts them", () => {
    const one = compared(five("FAIL"), five("PASS"));
    const two = compared(five("PASS"), five("FAIL"));
    const both = { ...one, comparison: [...one.comparison, ...two.comparison, ...one.comparison] };
    expect(runVerdict(both).words).toBe("6.1.2 against 6.1.1, 3 scenarios: 1 regressed, 2 fixed.");
  });
});

describe("scenarios with kernels of their own", () => {
  /** g/one on old and new, g/two on oldest and old: `old` is a base and a head. */
  const outcome = (one: readonly Status[], two: readonly Status[]): RunOutcome => ({
    cells: [
      ...cellsOf("old", one),
      ...cellsOf("new", five("PASS")),
      ...cellsOf("oldest", five("FAIL")),
      ...cellsOf("old", two),
    ],
    comparison: [
      compare("g/one", sideOf("old", one), sideOf("new", five("PASS"))),
      compare("g/two", sideOf("oldest", five("FAIL")), sideOf("old", two)),
    ],
    complete: true,
  });

  test("are counted together, without names that belong to one", () => {
    expect(runVerdict(outcome(five("FAIL"), five("PASS")))).toEqual({
      words: "2 scenarios, each on its own base and head: 0 regressed, 2 fixed.",
      exitStatus: 0,
    });
  });

  test("a kernel that fails where it is the base is not held to be wrong for being a head elsewhere", () => {
    expect(runVerdict(outcome(five("FAIL"), five("PASS"))).exitStatus).toBe(0);
    expect(runVerdict(outcome(five("PASS"), [...five("PASS"), "FAIL"])).exitStatus).toBe(1);
    expect(runVerdict(outcome(five("FAIL"), [...five("PASS"), "ERROR"])).exitStatus).toBe(3);
  });
});

describe("a run of one kernel", () => {
  test.each<[string, RunOutcome, number, string]>([
    ["all pass", plain("PASS", "PASS"), 0, "6.1.1: 0 of 2 cells failed, 2 passed."],
    ["one fails", plain("PASS", "FAIL"), 1, "6.1.1: 1 of 2 cells failed, 1 passed."],
    ["one fails and one could not run", plain("MISS", "FAIL", "ERROR"), 1, "Not judged: 1 ERROR and 1 MISS."],
    ["one could not run", plain("PASS", "MISS"), 3, "Not judged: 1 MISS."],
    ["all skipped", plain("SKIP"), 0, "Left out: 1 SKIP."],
    ["nothing ran", plain(), 3, "No cell ran."],
  ])("%s", (_name, outcome, exitStatus, words) => {
    const verdict = runVerdict(outcome);
    expect(verdict.exitStatus).toBe(exitStatus);
    expect(verdict.words).toContain(words);
  });
});
