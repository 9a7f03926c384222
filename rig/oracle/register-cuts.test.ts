import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { INITIAL, type RegisterRead } from "./register.ts";
import { isLegal } from "./register-cuts.ts";
import type { Cut, CutWrite } from "./register-holdings.ts";
import { type CutStory, survivable } from "./testdata/brute-force-cuts.ts";

const never = Number.POSITIVE_INFINITY;

const judged = ({ writes, reads, flushes, cuts }: CutStory): boolean => {
  const register = writes.map(
    ({ value, start, end, ok, fua }): CutWrite => ({ id: value, startNs: start, endNs: end, required: ok, fua }),
  );
  const seen = reads.map(
    ({ value, start, end }, id): RegisterRead => ({
      id,
      of: value === 0 ? INITIAL : value,
      startNs: start,
      endNs: end,
    }),
  );
  const disk = cuts.map(({ begin, end }): Cut => {
    const flushed = flushes.filter(flush => flush.end < begin).map(flush => flush.start);
    return { beginNs: begin, endNs: end, flushedNs: Math.max(Number.NEGATIVE_INFINITY, ...flushed) };
  });
  return isLegal(register, seen, disk);
};

const write = (value: number, start: number, end: number, more: { ok?: boolean; fua?: boolean } = {}) => ({
  value,
  start,
  end,
  ok: end !== never,
  fua: false,
  ...more,
});
const read = (value: number, start: number, end = start + 1) => ({ value, start, end });
const story = (more: Partial<CutStory>): CutStory => ({ writes: [], reads: [], flushes: [], cuts: [], ...more });
const cut = { begin: 10, end: 12 };

describe("through a power cut", () => {
  test.each<[string, boolean, CutStory]>([
    ["an acknowledged write may be gone", true, story({ writes: [write(1, 1, 2)], reads: [read(0, 20)], cuts: [cut] })],
    [
      "even one that was read",
      true,
      story({ writes: [write(1, 1, 2)], reads: [read(1, 3), read(0, 20)], cuts: [cut] }),
    ],
    [
      "a flushed write may not",
      false,
      story({ writes: [write(1, 1, 2)], reads: [read(0, 20)], flushes: [{ start: 3, end: 4 }], cuts: [cut] }),
    ],
    [
      "a flush that began before the acknowledgement covers nothing",
      true,
      story({ writes: [write(1, 1, 4)], reads: [read(0, 20)], flushes: [{ start: 3, end: 5 }], cuts: [cut] }),
    ],
    [
      "nor does one that was under way when the power went",
      true,
      story({ writes: [write(1, 1, 2)], reads: [read(0, 20)], flushes: [{ start: 3, end: 10 }], cuts: [cut] }),
    ],
    [
      "a FUA write may not be gone",
      false,
      story({ writes: [write(1, 1, 2, { fua: true })], reads: [read(0, 20)], cuts: [cut] }),
    ],
    [
      "what is older than what was flushed may not come back",
      false,
      story({
        writes: [write(1, 1, 2), write(2, 3, 4), write(3, 7, 8)],
        reads: [read(1, 20)],
        flushes: [{ start: 5, end: 6 }],
        cuts: [cut],
      }),
    ],
    [
      "what was flushed may come back",
      true,
      story({
        writes: [write(1, 1, 2), write(2, 3, 4), write(3, 7, 8)],
        reads: [read(2, 20)],
        flushes: [{ start: 5, end: 6 }],
        cuts: [cut],
      }),
    ],
    [
      "a sector holds one value afterwards",
      false,
      story({ writes: [write(1, 1, 2), write(2, 3, 4)], reads: [read(1, 20), read(2, 22)], cuts: [cut] }),
    ],
    [
      "until it is written again",
      false,
      story({ writes: [write(1, 1, 2), write(2, 21, 22)], reads: [read(1, 24)], cuts: [cut] }),
    ],
    [
      "a write that was under way may come, go, and come again",
      true,
      story({ writes: [write(1, 5, never)], reads: [read(1, 7), read(0, 14), read(1, 16)], cuts: [cut] }),
    ],
    [
      "but not go without a reason",
      false,
      story({ writes: [write(1, 5, never)], reads: [read(1, 7), read(0, 14), read(1, 16), read(0, 18)], cuts: [cut] }),
    ],
    [
      "what one cut left the next may not take",
      false,
      story({ writes: [write(1, 1, 2)], reads: [read(1, 14), read(0, 24)], cuts: [cut, { begin: 20, end: 21 }] }),
    ],
    [
      "each of two cuts may take what was written since",
      true,
      story({
        writes: [write(1, 1, 2), write(2, 16, 17)],
        reads: [read(1, 14), read(1, 24)],
        cuts: [cut, { begin: 20, end: 21 }],
      }),
    ],
  ])("%s: %s", (_name, legal, told) => {
    expect(survivable(told)).toBe(legal);
    expect(judged(told)).toBe(legal);
  });
});

const spec = fc
  .record({
    writes: fc.array(
      fc.record({
        start: fc.nat(14),
        length: fc.nat(8),
        state: fc.constantFrom("ok", "ok", "ok", "fail", "none"),
        fua: fc.integer({ min: 0, max: 4 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    reads: fc.array(fc.record({ start: fc.nat(20), length: fc.nat(5), value: fc.nat(3) }), {
      minLength: 1,
      maxLength: 4,
    }),
    flushes: fc.array(fc.record({ start: fc.nat(14), length: fc.nat(3) }), { maxLength: 2 }),
    cuts: fc.array(fc.record({ gap: fc.integer({ min: 1, max: 9 }), length: fc.nat(3) }), {
      minLength: 1,
      maxLength: 2,
    }),
  })
  .map(({ writes, reads, flushes, cuts }): CutStory => {
    let at = 0;
    const ends = writes.map(w => (w.state === "none" ? never : w.start + w.length));
    return {
      writes: writes.map((w, i) => ({
        value: i + 1,
        start: w.start,
        end: ends[i] ?? 0,
        ok: w.state === "ok",
        fua: w.fua === 0,
      })),
      // A read of a write that had not begun is none of the register's.
      reads: reads
        .map(r => ({ value: r.value % (writes.length + 1), start: r.start, end: r.start + r.length }))
        .filter(r => r.value === 0 || (writes[r.value - 1]?.start ?? 0) <= r.end),
      flushes: flushes.map(f => ({ start: f.start, end: f.start + f.length })),
      cuts: cuts.map(({ gap, length }) => {
        const begin = at + gap;
        at = begin + length;
        return { begin, end: at };
      }),
    };
  });

const RUNS = Number(process.env["RIG_TRIALS"] ?? 1);

test("the decision by holders agrees with trying every course of events", { timeout: 600_000 }, () => {
  const seen = { legal: 0, illegal: 0 };
  fc.assert(
    fc.property(spec, told => {
      const legal = survivable(told);
      seen[legal ? "legal" : "illegal"]++;
      expect(judged(told)).toBe(legal);
    }),
    { numRuns: 4000 * RUNS },
  );
  expect(Math.min(seen.legal, seen.illegal)).toBeGreaterThan(300);
});

test("what cannot be explained is known to be so, however many writes span the cut, and soon", () => {
  const cuts: Cut[] = [{ beginNs: 100, endNs: 110, flushedNs: -never }];
  const first: CutWrite = { id: 500, startNs: 1, endNs: 2, required: true, fua: true };
  const writes = Array.from({ length: 32 }, (_, i): CutWrite => {
    return { id: i + 1, startNs: 90, endNs: 201 + 10 * i, required: true, fua: false };
  });
  const reads = writes.flatMap(({ id, endNs }): RegisterRead[] => [
    { id: 900 + 2 * id, of: id, startNs: endNs + 1, endNs: endNs + 2 },
    { id: 901 + 2 * id, of: id, startNs: endNs + 3, endNs: endNs + 4 },
  ]);
  expect(isLegal([first, ...writes], reads, cuts)).toBe(true);
  const stale: RegisterRead = { id: 2000, of: 1, startNs: 900, endNs: 901 };
  expect(isLegal([first, ...writes], [...reads, stale], cuts)).toBe(false);
});
