import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  derivedSeed,
  type OperationMix,
  type PlannedOperation,
  plainMix,
  planCover,
  planOperations,
} from "./operation-plan.ts";

const REGION = 2 ** 22;
const MIX: OperationMix = {
  blockBytes: [512, 4096, 65_536, 2 ** 20],
  alignBytes: 512,
  near: 50,
  reads: 30,
  flushes: 5,
  discards: 5,
  zeroes: 5,
  fua: 20,
};
const plan = (seed: number, count: number, mix = MIX): readonly PlannedOperation[] =>
  planOperations(seed, mix, REGION).take(count).toArray();

const mixes = fc
  .record({
    blockBytes: fc.uniqueArray(fc.constantFrom(512, 1024, 4096, 12_288, 65_536, 2 ** 20), { minLength: 1 }),
    alignBytes: fc.constantFrom(512, 4096),
    near: fc.nat(100),
    reads: fc.nat(25),
    flushes: fc.nat(20),
    discards: fc.nat(25),
    zeroes: fc.nat(25),
    fua: fc.nat(100),
  })
  .filter(mix => mix.blockBytes.length > 0);

describe("a plan", () => {
  test("is the same for the same seed, and another for another", () => {
    expect(plan(7, 2000)).toEqual(plan(7, 2000));
    expect(plan(8, 2000)).not.toEqual(plan(7, 2000));
    expect(plan(7, 10)).toEqual(plan(7, 2000).slice(0, 10));
  });

  test("changes only with the code that makes it", () => {
    expect(plan(1, 6).map(({ action, sector, sectors, fua }) => [action, sector, sectors, fua])).toMatchInlineSnapshot(`
      [
        [
          "read",
          6409,
          8,
          false,
        ],
        [
          "write",
          5177,
          2048,
          false,
        ],
        [
          "zeroes",
          4822,
          8,
          false,
        ],
        [
          "read",
          4825,
          1,
          false,
        ],
        [
          "discard",
          4826,
          128,
          true,
        ],
        [
          "discard",
          204,
          128,
          false,
        ],
      ]
    `);
  });

  test("keeps to the region, the sizes and the alignment, whatever the mix", () => {
    fc.assert(
      fc.property(mixes, fc.integer(), (mix, seed) => {
        for (const { action, sector, sectors, fua } of plan(seed, 300, mix)) {
          if (action === "flush") {
            expect([sector, sectors, fua]).toEqual([0, 0, false]);
            continue;
          }
          expect(mix.blockBytes).toContain(sectors * 512);
          expect((sector * 512) % mix.alignBytes).toBe(0);
          expect((sector + sectors) * 512).toBeLessThanOrEqual(REGION);
          if (action === "read") expect(fua).toBe(false);
        }
      }),
      { numRuns: 50 },
    );
  });

  test("has the shares that were asked for", () => {
    const all = plan(3, 20_000);
    const share = (action: string) => (100 * all.filter(one => one.action === action).length) / all.length;
    for (const [action, percent] of [
      ["read", 30],
      ["flush", 5],
      ["discard", 5],
      ["zeroes", 5],
      ["write", 55],
    ] as const)
      expect(Math.abs(share(action) - percent), action).toBeLessThan(1.5);
  });

  test("has operations that are adjacent, that overlap in part, and that lie within each other", () => {
    let [adjacent, partly, within] = [0, 0, 0];
    let before: PlannedOperation | undefined;
    for (const one of plan(5, 5000).filter(({ action }) => action !== "flush")) {
      if (before !== undefined) {
        const [begin, end] = [before.sector, before.sector + before.sectors];
        if (one.sector === end) adjacent++;
        else if (one.sector > begin && one.sector < end) {
          if (one.sector + one.sectors > end) partly++;
          else within++;
        }
      }
      before = one;
    }
    expect(Math.min(adjacent, partly, within)).toBeGreaterThan(200);
  });

  test("of a ledger that says nothing writes whole slots", () => {
    for (const one of plan(1, 500, plainMix(4096))) {
      expect(one).toMatchObject({ action: "write", sectors: 8, fua: false });
      expect(one.sector % 8).toBe(0);
    }
  });
});

test("a cover writes every sector of its ranges once and no other", () => {
  const range = fc.record({ sector: fc.nat(3000), sectors: fc.integer({ min: 1, max: 5000 }) });
  fc.assert(
    fc.property(fc.integer(), fc.array(range, { maxLength: 4 }), (seed, gaps) => {
      let at = 0;
      const ranges = gaps.map(({ sector, sectors }) => {
        const begin = at + sector;
        at = begin + sectors;
        return { sector: begin, sectors };
      });
      const written = new Uint8Array(at);
      for (const { action, sector, sectors } of planCover(seed, MIX, ranges)) {
        expect(action).toBe("write");
        for (let i = sector; i < sector + sectors; i++) written[i] = (written[i] ?? 0) + 1;
      }
      const wanted = new Uint8Array(at);
      for (const { sector, sectors } of ranges) wanted.fill(1, sector, sector + sectors);
      expect(written).toEqual(wanted);
    }),
    { numRuns: 50 },
  );
});

test("seeds derived for different purposes differ", () => {
  const seeds = [1, 2, 3].flatMap(seed => [0, 1, 2].flatMap(a => [0, 1, 2].map(b => derivedSeed(seed, a, b))));
  expect(new Set(seeds).size).toBe(27);
});
