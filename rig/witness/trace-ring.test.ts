import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LABS, recorded } from "./testdata/recorded.ts";
import { readTraceRing, TRACE_PAGE } from "./trace-ring.ts";

/** A page with these words after its header. */
const page = (words: readonly number[], timeNs = 1000n, commit = words.length * 4): Buffer => {
  const bytes = Buffer.alloc(TRACE_PAGE);
  bytes.writeBigUInt64LE(timeNs, 0);
  bytes.writeUInt32LE(commit, 8);
  words.forEach((word, index) => bytes.writeUInt32LE(word >>> 0, 16 + index * 4));
  return bytes;
};
const head = (kind: number, delta: number): number => (kind | (delta << 5)) >>> 0;
/** A record of two words: type 7, pid 42. */
const RECORD = [7, 42];

describe("the trace ring", () => {
  test.each(LABS)("of %s is read whole, and its times never go back", lab => {
    const { records, lost, damage } = readTraceRing([recorded(`${lab}.ring`)]);
    expect(records.length).toBeGreaterThan(200);
    expect({ lost, damage }).toEqual({ lost: false, damage: undefined });
    expect(records.every(({ guestNs }, index) => guestNs >= (records[index - 1]?.guestNs ?? 0))).toBe(true);
    expect(records.every(({ pid }) => pid >= 0 && pid < 40_000)).toBe(true);
  });

  test("adds differences up, long ones and absolute times too", () => {
    const words = [
      ...[head(2, 5), ...RECORD],
      // Half a second more than a difference holds; then a time of its own.
      ...[head(30, 1), 4, head(2, 0), ...RECORD],
      ...[head(31, 9), 64, head(2, 1), ...RECORD],
    ];
    expect(readTraceRing([page(words)]).records.map(({ guestNs }) => guestNs)).toEqual([
      1005,
      1006 + 4 * 2 ** 27,
      64 * 2 ** 27 + 10,
    ]);
  });

  test("passes over what was discarded, and takes long records by their length", () => {
    const words = [head(29, 1), 8, 99, head(0, 2), 4 + 8, ...RECORD, head(29, 0), 0];
    const { records, damage } = readTraceRing([page(words)]);
    expect(records.map(({ id, pid }) => [id, pid])).toEqual([[7, 42]]);
    expect(damage).toBeUndefined();
  });

  test("says that something was overwritten", () => {
    const bytes = page([head(2, 5), ...RECORD]);
    bytes.writeUInt32LE((12 | 0x8000_0000) >>> 0, 8);
    expect(readTraceRing([bytes])).toMatchObject({ lost: true, damage: undefined });
  });

  test("joins several CPUs in the order of time", () => {
    const rings = [page([head(2, 5), ...RECORD], 2000n), page([head(2, 5), 8, 43], 1000n)];
    expect(readTraceRing(rings).records.map(({ id }) => id)).toEqual([8, 7]);
  });

  test("that was cut is read as far as it goes, and said to be damaged", () => {
    const whole = recorded("debian-5.10.ring");
    const cut = readTraceRing([whole.subarray(0, TRACE_PAGE + 700)]);
    expect(cut.records.length).toBeGreaterThan(50);
    expect(cut.damage).toMatch(/^a page of 700 bytes says that it holds/);
    expect(readTraceRing([whole.subarray(0, 7)]).damage).toBe("the ring ends with 7 bytes of a page");
  });

  test("with a record longer than its page ends there", () => {
    expect(readTraceRing([page([head(0, 1), 60_000, ...RECORD])]).damage).toMatch(/^a record of 59996 bytes/);
    expect(readTraceRing([page([head(29, 1), 0xffff_ffff])]).records).toEqual([]);
    expect(readTraceRing([page([], 0n, 0xf_ffff)]).damage).toMatch(/says that it holds/);
  });

  test("of any bytes makes nobody stumble", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3 * TRACE_PAGE, size: "max" }), bytes => {
        const { records } = readTraceRing([Buffer.from(bytes)]);
        expect(records.length).toBeLessThanOrEqual(bytes.length / 12);
      }),
      { numRuns: 200 },
    );
  });
});
