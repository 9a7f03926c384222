import { expect, test } from "vitest";
import { compare, sideOf } from "../verdict/compare.ts";
import { verdictWords } from "./cells-per-hour.ts";

const statuses = (fail: number, pass: number, error = 0) => [
  ...Array.from({ length: fail }, () => "FAIL" as const),
  ...Array.from({ length: pass }, () => "PASS" as const),
  ...Array.from({ length: error }, () => "ERROR" as const),
];

test("the verdicts of both ways, and how each kernel fared in them", () => {
  const fast = compare("s", sideOf("old", statuses(24, 1)), sideOf("new", statuses(0, 24, 1)));
  const slow = compare("s", sideOf("old", statuses(3, 0)), sideOf("new", statuses(0, 3)));
  expect(verdictWords(fast, slow)).toEqual([
    "Side by side, from snapshots: old failed 24 of 25, new failed 0 of 24 (1 more not judged); between the kernels p < 0.001.",
    "One by one, booted: old failed 3 of 3, new failed 0 of 3; between the kernels p = 0.100.",
    "old, between the two ways: p = 1.000.",
    "new, between the two ways: p = 1.000.",
  ]);
});
