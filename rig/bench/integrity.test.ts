import { expect, test } from "vitest";
import { EXTENT } from "../history/operations.ts";
import { integrityOracle } from "../oracle/integrity.ts";
import { MAX_EXTENTS } from "../oracle/integrity-runs.ts";
import { memoryOfIntegrity, type SyntheticKind, syntheticHistory, timeIntegrity } from "./integrity.ts";

const KINDS: readonly SyntheticKind[] = ["slots", "mixed"];

test.each(KINDS)("a history with %s is legal and says enough", kind => {
  const history = syntheticHistory(kind, 5_000);
  expect(history.operations.count).toBe(5_000 + 2 * 512);
  expect(integrityOracle.judge(history)).toEqual({ findings: [] });
  expect(timeIntegrity(history)).toBeGreaterThan(0);
});

test("the same seed makes the same history", () => {
  const [one, two] = [syntheticHistory("mixed", 500, 7), syntheticHistory("mixed", 500, 7)];
  expect([...one.operations].at(-1)).toEqual([...two.operations].at(-1));
});

test("the oracle needs less than 200 bytes an operation", () => {
  expect(memoryOfIntegrity(syntheticHistory("slots", 50_000))).toBeLessThan(200);
});

test("a disk that executes nothing is judged to the end, and every loss is counted", () => {
  const history = syntheticHistory("slots", 20_000);
  const { contents } = history.operations;
  contents.is.fill(EXTENT.zero, 0, contents.count);
  const [finding, ...others] = integrityOracle.judge(history).findings;
  expect(others).toEqual([]);
  expect(finding?.class).toBe("lost");
  expect(finding?.extents).toHaveLength(MAX_EXTENTS);
  // Zeros that were read before the first write's acknowledgement are legal.
  const runs = Number(/ in (\d+) runs of sectors/.exec(finding?.explanation ?? "")?.[1]);
  expect(runs).toBeGreaterThan(contents.count / 4);
});
