import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fisherExact, highestHiddenRate } from "./fisher.ts";

describe("known tables", () => {
  test.each([
    // Fisher's own: the lady tasting tea, 3 of 4 cups right. 34 of 70 choices are no likelier.
    ["tea, three right", 3, 1, 1, 3, 34 / 70],
    ["tea, all right", 4, 0, 0, 4, 2 / 70],
    ["three and three, opposite", 3, 0, 0, 3, 2 / 20],
    ["five and five, opposite", 5, 0, 0, 5, 2 / 252],
    // Sums of products of binomials over C(24, 12) and over C(30, 17), worked out in whole numbers.
    ["men, women and studying", 1, 9, 11, 3, 0.002759456],
    ["uneven rows", 2, 10, 15, 3, 0.0005367241],
    ["no failure anywhere", 0, 5, 0, 5, 1],
    ["nothing but failures", 5, 0, 5, 0, 1],
    ["one side empty", 0, 0, 3, 2, 1],
    ["nothing at all", 0, 0, 0, 0, 1],
  ])("%s", (_name, a, b, c, d, p) => {
    expect(fisherExact(a, b, c, d)).toBeCloseTo(p, 8);
  });
});

const count = fc.nat(30);
const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);

test("it is a probability, and neither side is special", () => {
  fc.assert(
    fc.property(count, count, count, count, (a, b, c, d) => {
      const p = fisherExact(a, b, c, d);
      expect(p).toBeGreaterThan(0);
      expect(p).toBeLessThanOrEqual(1);
      expect(fisherExact(c, d, a, b)).toBeCloseTo(p, 9);
      expect(fisherExact(b, a, d, c)).toBeCloseTo(p, 9);
      expect(fisherExact(a, c, b, d)).toBeCloseTo(p, 9);
    }),
  );
});

test("the likeliest of all tables with the same margins has p 1, the unlikeliest only its own probability", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), (n, m) => {
      const failures = Math.min(n, m);
      const ps = Array.from({ length: failures + 1 }, (_, x) => fisherExact(x, n - x, failures - x, m - failures + x));
      expect(Math.max(...ps)).toBeCloseTo(1, 9);
      expect(fisherExact(n, 0, 0, n)).toBeCloseTo(2 / choose(2 * n, n), 9);
    }),
  );
});

test("large counts do not overflow", () => {
  expect(fisherExact(5000, 5000, 5000, 5000)).toBeCloseTo(1, 6);
  expect(fisherExact(10_000, 0, 0, 10_000)).toBeLessThan(1e-300);
});

test("what so many good runs leave possible", () => {
  expect(highestHiddenRate(0)).toBe(1);
  expect(highestHiddenRate(1)).toBeCloseTo(0.95);
  expect(highestHiddenRate(300)).toBeCloseTo(3 / 300, 3);
});
