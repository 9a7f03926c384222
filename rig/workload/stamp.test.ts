import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import { SECTOR_BYTES } from "../core/names.ts";
import { extentSchema } from "../history/extent.ts";
import { fillerOwner, readExtents, runTag, stampWrite } from "./stamp.ts";

const run = runTag("run-1/writes/six/1");
const write = (op: number, sector: number, sectors: number) => stampWrite({ run, op, sector, sectors });

describe("what was written is read back", () => {
  test("one write is one extent", () => {
    expect(readExtents(write(7, 100, 8), 100, run)).toEqual([{ is: "write", at: 100, n: 8, op: 7, i: 0 }]);
  });

  test("the middle of a write names the place in it", () => {
    const bytes = write(7, 100, 8).subarray(3 * SECTOR_BYTES, 5 * SECTOR_BYTES);
    expect(readExtents(bytes, 103, run)).toEqual([{ is: "write", at: 103, n: 2, op: 7, i: 3 }]);
  });

  test("zeroes, two writes and zeroes again", () => {
    const zero = Buffer.alloc(2 * SECTOR_BYTES);
    const bytes = Buffer.concat([zero, write(1, 12, 1), write(2, 13, 2), zero]);
    expect(readExtents(bytes, 10, run)).toEqual([
      { is: "zero", at: 10, n: 2 },
      { is: "write", at: 12, n: 1, op: 1, i: 0 },
      { is: "write", at: 13, n: 2, op: 2, i: 0 },
      { is: "zero", at: 15, n: 2 },
    ]);
  });

  test("large numbers survive", () => {
    const op = Number.MAX_SAFE_INTEGER;
    const sector = 2 ** 48;
    expect(readExtents(write(op, sector, 2), sector, run)).toEqual([{ is: "write", at: sector, n: 2, op, i: 0 }]);
  });

  test("nothing is nothing", () => {
    expect(readExtents(Buffer.alloc(0), 0, run)).toEqual([]);
  });
});

test("the format on disk is this one, and changes only with its version", () => {
  const op = 0x123456789ab;
  const sector = 0x1122334455;
  const second = write(op, sector, 2).subarray(SECTOR_BYTES);
  expect(second.toString("hex", 0, 64)).toBe(
    "4953435349524947" + // ISCSIRIG
      "01000000" + // version
      "01000000" + // index
      "62717ecb370e4433" + // run
      "5644332211000000" + // address
      "ab89674523010000" + // operation
      "ca666fb2467d484de3853ca88331bbba4a04188a31dc6e1c",
  );
  expect(second.toString("hex", 504)).toBe("9387b0578a7ae79c");
});

describe("what does not belong there", () => {
  test("another address", () => {
    expect(readExtents(write(7, 100, 4), 200, run)).toEqual([
      { is: "elsewhere", at: 200, n: 4, op: 7, i: 0, address: 100 },
    ]);
  });

  test("sectors that changed places are not one extent, nor are those of two writes", () => {
    const bytes = write(7, 100, 2);
    const swapped = Buffer.concat([bytes.subarray(SECTOR_BYTES), bytes.subarray(0, SECTOR_BYTES)]);
    expect(readExtents(swapped, 100, run)).toEqual([
      { is: "elsewhere", at: 100, n: 1, op: 7, i: 1, address: 101 },
      { is: "elsewhere", at: 101, n: 1, op: 7, i: 0, address: 100 },
    ]);
    const two = Buffer.concat([write(7, 100, 1), write(8, 100, 2).subarray(SECTOR_BYTES)]);
    expect(readExtents(two, 300, run).map(extent => extent.n)).toEqual([1, 1]);
  });

  test("another run, and its sectors merge", () => {
    const other = stampWrite({ run: runTag("run-2"), op: 7, sector: 100, sectors: 3 });
    expect(readExtents(other, 100, run)).toEqual([
      { is: "foreign", at: 100, n: 3, head: other.toString("hex", 0, 64), otherRun: true },
    ]);
  });

  test("bytes nobody stamped, with the head of the first sector", () => {
    const bytes = Buffer.concat([Buffer.alloc(SECTOR_BYTES, 0x41), Buffer.alloc(SECTOR_BYTES, 0x42), write(1, 2, 1)]);
    expect(readExtents(bytes, 0, run)).toEqual([
      { is: "foreign", at: 0, n: 2, head: "41".repeat(64) },
      { is: "write", at: 2, n: 1, op: 1, i: 0 },
    ]);
  });

  test("a sector of zeroes but for its last byte", () => {
    const bytes = Buffer.alloc(SECTOR_BYTES);
    bytes[SECTOR_BYTES - 1] = 1;
    expect(readExtents(bytes, 5, run)).toEqual([{ is: "foreign", at: 5, n: 1, head: "00".repeat(64) }]);
  });

  test("an operation number no write can have", () => {
    const bytes = write(1, 0, 1);
    bytes.fill(0xff, 32, 40);
    expect(readExtents(bytes, 0, run)[0]?.is).toBe("foreign");
  });
});

describe("a sector made of two", () => {
  test.each([40, 41, 64, 256, 300, 504, 508])("new until byte %i, old from there", cut => {
    const bytes = Buffer.concat([write(9, 50, 1).subarray(0, cut), write(4, 50, 1).subarray(cut)]);
    const [extent, ...rest] = readExtents(bytes, 50, run);
    expect(rest).toEqual([]);
    expect(extent).toMatchObject({ is: "damaged", at: 50, n: 1, op: 9, i: 0 });
    if (extent?.is !== "damaged") return;
    // A byte of the filler of two operations is the same by chance once in 256 times.
    expect(extent.badFrom).toBeGreaterThanOrEqual(cut);
    expect(extent.badFrom).toBeLessThan(Math.min(cut + 4, SECTOR_BYTES));
    expect(extent.head).toBe(bytes.toString("hex", extent.badFrom, Math.min(extent.badFrom + 64, SECTOR_BYTES)));
    if (cut < 480) expect(fillerOwner(extent.head, extent.badFrom)).toEqual({ op: 4, address: 50 });
    else expect(fillerOwner(extent.head, extent.badFrom)).toBeUndefined();
  });

  test("what stands there is nobody's filler", () => {
    const bytes = write(9, 50, 1);
    bytes.fill(0x20, 200, 300);
    const [extent] = readExtents(bytes, 50, run);
    expect(extent).toMatchObject({ is: "damaged", badFrom: 200 });
    if (extent?.is === "damaged") expect(fillerOwner(extent.head, extent.badFrom)).toBeUndefined();
  });
});

test("every changed byte of a sector is noticed", () => {
  const original = write(3, 7, 1);
  for (let offset = 0; offset < SECTOR_BYTES; offset++) {
    const bytes = Buffer.from(original);
    bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
    const expected = offset < 12 || (offset >= 16 && offset < 24) ? "foreign" : "damaged";
    const is = readExtents(bytes, 7, run)[0]?.is;
    // The highest bytes of the two addresses hold nothing in numbers that are safe, so a change there is no stamp.
    if (![30, 31, 38, 39].includes(offset)) expect(is, `byte ${offset}`).toBe(expected);
    expect(is).not.toBe("write");
  }
});

test("two operations differ in every word of the filler, whichever sectors they write", () => {
  const number = fc.nat(0xffffffff);
  fc.assert(
    fc.property(number, number, fc.nat(1e6), fc.nat(1e6), (op1, op2, sector1, sector2) => {
      fc.pre(op1 !== op2);
      const a = write(op1, sector1, 1);
      const b = write(op2, sector2, 1);
      for (let offset = 40; offset < 508; offset += 8) {
        expect(a.readBigUInt64LE(offset)).not.toBe(b.readBigUInt64LE(offset));
      }
    }),
    { numRuns: 50 },
  );
});

test("any mixture of sectors reads back as what it was made of, in valid extents without a gap", () => {
  const piece = fc.record({
    is: fc.constantFrom("write", "zero", "junk", "moved"),
    op: fc.nat(50),
    n: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.nat(1000), (pieces, first) => {
      let at = first;
      const buffers = pieces.map(({ is, op, n }) => {
        const bytes =
          is === "write"
            ? write(op, at, n)
            : is === "moved"
              ? write(op, at + 5000, n)
              : Buffer.alloc(n * SECTOR_BYTES, is === "zero" ? 0 : 1);
        at += n;
        return bytes;
      });
      const extents = readExtents(Buffer.concat(buffers), first, run);
      let expected = first;
      for (const extent of extents) {
        extentSchema.parse(extent);
        expect(extent.at).toBe(expected);
        expected += extent.n;
      }
      expect(expected).toBe(at);
      const kindAt = (sector: number) => extents.find(e => e.at <= sector && sector < e.at + e.n)?.is;
      let sector = first;
      for (const { is, n } of pieces) {
        for (let end = sector + n; sector < end; sector++) {
          expect(kindAt(sector)).toBe({ write: "write", zero: "zero", junk: "foreign", moved: "elsewhere" }[is]);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("what a stamp cannot hold is refused", () => {
  expect(() => write(-1, 0, 1)).toThrow(RigError);
  expect(() => write(1, 2 ** 53, 1)).toThrow(RigError);
  expect(() => readExtents(Buffer.alloc(100), 0, run)).toThrow("whole sectors");
});

test("run tags differ", () => {
  expect(runTag("a")).not.toBe(runTag("b"));
  expect(runTag("")).toBe(0xcbf29ce484222325n);
});
