import fc from "fast-check";
import { expect, test } from "vitest";
import { cut, union } from "./sector-ranges.ts";

const ranges = fc.array(fc.record({ sector: fc.nat(60), sectors: fc.integer({ min: 1, max: 9 }) }), { maxLength: 8 });
const sectorsOf = (list: readonly { sector: number; sectors: number }[]): number[] =>
  list.flatMap(({ sector, sectors }) => Array.from({ length: sectors }, (_, i) => sector + i));

test("a union has the same sectors, each once, in ranges that do not touch", () => {
  fc.assert(
    fc.property(ranges, list => {
      const joined = union(list);
      expect(sectorsOf(joined)).toEqual([...new Set(sectorsOf(list))].toSorted((a, b) => a - b));
      for (const [index, { sector }] of joined.entries()) {
        const before = joined[index - 1];
        if (before !== undefined) expect(sector).toBeGreaterThan(before.sector + before.sectors);
      }
    }),
  );
});

test("what is cut is the same sectors in smaller pieces", () => {
  fc.assert(
    fc.property(ranges, fc.integer({ min: 1, max: 5 }), (list, most) => {
      const pieces = cut(list, most);
      expect(sectorsOf(pieces)).toEqual(sectorsOf(list));
      for (const { sectors } of pieces) expect(sectors).toBeLessThanOrEqual(most);
    }),
  );
});
