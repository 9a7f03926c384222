import fc from "fast-check";
import { expect, test } from "vitest";
import { median, spreadOf } from "./statistics.ts";

test.each([
  [[7], 7],
  [[3, 1, 2], 2],
  [[4, 1, 3, 2], 2.5],
  // As numbers, not as text.
  [[10, 9, 100], 10],
])("the median of %j is %d", (samples, expected) => {
  expect(median(samples)).toBe(expected);
});

test("without measurements there is no median", () => {
  expect(() => median([])).toThrow("there are none");
});

test("a spread tells the median, both ends and how many", () => {
  expect(spreadOf([30, 10, 20, 1000])).toEqual({ median: 25, least: 10, most: 1000, count: 4 });
});

test("the median lies within the spread, whatever the order, and the samples stay as they are", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }), samples => {
      const before = [...samples];
      const { median: middle, least, most } = spreadOf(samples);
      expect(samples).toEqual(before);
      expect(middle).toBeGreaterThanOrEqual(least);
      expect(middle).toBeLessThanOrEqual(most);
      expect(median(samples.toReversed())).toBe(middle);
    }),
  );
});
