import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lunOf, requestOf } from "./cdb.ts";

const cdb = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", "").padEnd(32, "0"), "hex");

describe("a command descriptor block", () => {
  test.each([
    ["2a 00 00000010 00 0008 00", { action: "write", sector: 16, sectors: 8, fua: false }],
    ["2a 08 00000010 00 0008 00", { action: "write", sector: 16, sectors: 8, fua: true }],
    ["28 00 00000000 00 0100 00", { action: "read", sector: 0, sectors: 256, fua: false }],
    ["8a 08 0000000100000000 00000008", { action: "write", sector: 2 ** 32, sectors: 8, fua: true }],
    ["0a 1fffff 00", { action: "write", sector: 0x1fffff, sectors: 256, fua: false }],
    ["08 000007 01", { action: "read", sector: 7, sectors: 1, fua: false }],
    ["35", { action: "flush", sector: 0, sectors: 0, fua: false }],
    ["42 00 00000000 00 0018", { action: "discard", sector: 0, sectors: 0, fua: false }],
    ["93 08 0000000000000040 00000008", { action: "discard", sector: 64, sectors: 8, fua: false }],
    ["93 00 0000000000000040 00000008", { action: "zeroes", sector: 64, sectors: 8, fua: false }],
    ["89 00 0000000000000040 000000 01", { action: "write", sector: 64, sectors: 1, fua: false }],
    ["00", { action: "other", sector: 0, sectors: 0, fua: false }],
    ["a3 0a", { action: "other", sector: 0, sectors: 0, fua: false }],
  ])("%s", (hex, expected) => {
    expect(requestOf(cdb(hex))).toEqual(expected);
  });

  test("of a LUN with blocks of 4 KiB is counted in sectors all the same", () => {
    expect(requestOf(cdb("2a 00 00000002 00 0001"), 4096)).toMatchObject({ sector: 16, sectors: 8 });
  });

  test("of any bytes makes nobody stumble", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), bytes => {
        const { sector, sectors } = requestOf(Buffer.from(bytes));
        expect(Number.isSafeInteger(sector) && Number.isSafeInteger(sectors)).toBe(true);
      }),
    );
  });
});

test("a LUN is a number in either addressing", () => {
  expect([lunOf(0x0003), lunOf(0x4103)]).toEqual([3, 259]);
});
