import fc from "fast-check";
import { expect, test } from "vitest";
import { createRng } from "./rng.ts";

const first = (seed: number, count: number): number[] => {
  const rng = createRng(seed);
  return Array.from({ length: count }, () => rng.next());
};

test("a seed repeats itself, here and on every machine", () => {
  expect(first(1, 3)).toEqual(first(1, 3));
  const rng = createRng(1);
  expect(Array.from({ length: 5 }, () => rng.integer(0, 2000))).toMatchInlineSnapshot(`
    [
      379,
      635,
      1566,
      1069,
      1564,
    ]
  `);
});

test("seeds differ", () => {
  expect(new Set(Array.from({ length: 1000 }, (_, seed) => first(seed, 1)[0])).size).toBe(1000);
});

test("integers are in their range, both ends included", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: -1000, max: 1000 }), fc.nat(1000), (seed, from, width) => {
      const rng = createRng(seed);
      for (let i = 0; i < 20; i++) {
        const value = rng.integer(from, from + width);
        expect(Number.isInteger(value) && value >= from && value <= from + width).toBe(true);
      }
    }),
  );
  const rng = createRng(7);
  expect(new Set(Array.from({ length: 200 }, () => rng.integer(1, 3)))).toEqual(new Set([1, 2, 3]));
});
