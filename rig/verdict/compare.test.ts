import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { comparisonSchema } from "../results/schema.ts";
import { compare, type Side, sideOf } from "./compare.ts";

const side = (kernel: string, fail: number, pass: number, other = 0): Side => ({ kernel, fail, pass, other });
const compared = (base: [number, number, number?], head: [number, number, number?]) => {
  const result = compare("writes/six", side("6.1.1", ...base), side("6.1.2", ...head));
  comparisonSchema.parse(result);
  return result;
};

test("cells are counted by status, and only FAIL and PASS count", () => {
  expect(sideOf("k", ["FAIL", "PASS", "PASS", "ERROR", "MISS", "SKIP", "DONE"])).toEqual(side("k", 1, 2, 2));
});

describe("verdicts", () => {
  test.each<[string, [number, number, number?], [number, number, number?], string, string]>([
    [
      "five against five",
      [5, 0],
      [0, 5],
      "fixed",
      "Fixed: 6.1.1 failed 5 of 5 cells, 6.1.2 failed 0 of 5 cells (p = 0.008).",
    ],
    [
      "the other way round",
      [0, 5],
      [5, 0],
      "regressed",
      "Regressed: 6.1.1 failed 0 of 5 cells, 6.1.2 failed 5 of 5 cells (p = 0.008).",
    ],
    ["four against four", [4, 0], [0, 4], "fixed", "p = 0.029"],
    [
      "three against three",
      [3, 0],
      [0, 3],
      "inconclusive",
      "chance (p = 0.100). If they go on like this, about 1 more cell of each kernel would decide.",
    ],
    ["one against one", [1, 0], [0, 1], "inconclusive", "about 3 more cells of each"],
    ["a rare failure", [1, 4], [0, 5], "inconclusive", "about 25 more cells of each"],
    ["a rare failure of the head", [0, 5], [1, 4], "inconclusive", "about 25 more cells of each"],
    ["a failure too rare to wait for", [1, 999], [0, 9], "inconclusive", "more than 1000 cells"],
    ["both fail alike", [3, 2], [2, 3], "both-fail", "does not differ beyond chance"],
    ["both fail, the head far less", [20, 0], [2, 18], "both-fail", "6.1.2 fails less often (p < 0.001)"],
    ["both fail, the head far more", [1, 19], [20, 0], "both-fail", "6.1.2 fails more often"],
    ["neither fails", [0, 5], [0, 7], "no-difference", "rarer than 45 % of runs"],
    ["neither fails in many cells", [0, 300], [0, 300], "no-difference", "rarer than 1.0 % of runs"],
    ["the base was not judged", [0, 0, 5], [0, 5], "inconclusive", "no cell was judged for 6.1.1 (5 ERROR or MISS)."],
    ["the head was not judged", [5, 0], [0, 0, 5], "inconclusive", "no cell was judged for 6.1.2"],
    ["nothing was judged", [0, 0], [0, 0], "inconclusive", "6.1.1 (0 ERROR or MISS) and 6.1.2 (0 ERROR or MISS)"],
    ["errors are told and not counted", [5, 0, 1], [0, 5, 2], "fixed", "Not counted: 3 cells with ERROR or MISS."],
    ["errors do not stand for passes", [5, 0], [0, 0, 9], "inconclusive", "6.1.2 (9 ERROR or MISS)"],
  ])("%s", (_name, base, head, verdict, words) => {
    const result = compared(base, head);
    expect(result.verdict).toBe(verdict);
    expect(result.words).toContain(words);
  });

  test("what was not counted is told where something was, and only there", () => {
    expect(compared([5, 0], [0, 5]).words).toMatch(/\(p = 0.008\)\.$/);
    expect(compared([0, 0, 2], [0, 5]).words).not.toContain("Not counted");
    expect(compared([5, 0], [0, 0, 2]).words).not.toContain("Not counted");
    expect(compared([5, 0], [0, 5, 1]).words).toMatch(/ Not counted: 1 cell with ERROR or MISS\.$/);
  });

  test("nothing counted has p 1", () => {
    expect(compared([0, 0, 3], [4, 0]).p).toBe(1);
  });
});

const count = fc.nat(12);

test("fixed and regressed mirror each other, need the numbers, and never hang on what was not judged", () => {
  const mirror = { fixed: "regressed", regressed: "fixed" } as Record<string, string>;
  fc.assert(
    fc.property(count, count, count, count, fc.nat(5), (bf, bp, hf, hp, other) => {
      const { verdict, p } = compared([bf, bp], [hf, hp]);
      expect(compared([hf, hp], [bf, bp]).verdict).toBe(mirror[verdict] ?? verdict);
      expect(compared([bf, bp, other], [hf, hp, other])).toMatchObject({ verdict, p });
      if (verdict === "fixed") expect(bf > 0 && hf === 0 && p < 0.05 && bf + bp + hp >= 7).toBe(true);
      if (hf > 0) expect(["fixed", "no-difference"]).not.toContain(verdict);
    }),
    { numRuns: 300 },
  );
});
