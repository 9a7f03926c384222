import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32c } from "./crc32c.ts";

/** RFC 3720 appendix B.4 lists the digest's bytes in the order they go on the wire: the lowest byte first. */
const onWire = (crc: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc);
  return bytes.toString("hex");
};

const READ_10_COMMAND = [
  "01c00000 00000000 00000000 00000000",
  "14000000 00000400 00000014 00000018",
  "28000000 00000000 02000000 00000000",
]
  .join("")
  .replaceAll(" ", "");

/** The definition, one bit at a time. */
const bitByBit = (bytes: Uint8Array): number => {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0x82f63b78);
  }
  return ~crc >>> 0;
};

describe("the vectors of RFC 3720 B.4", () => {
  test.each([
    ["32 bytes of zeroes", Buffer.alloc(32), "aa36918a"],
    ["32 bytes of ones", Buffer.alloc(32, 0xff), "43aba862"],
    ["32 bytes going up", Buffer.from(Array.from({ length: 32 }, (_, i) => i)), "4e79dd46"],
    ["32 bytes going down", Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), "5cdb3f11"],
    ["a SCSI read (10) command PDU", Buffer.from(READ_10_COMMAND, "hex"), "563a96d9"],
  ])("%s", (_name, bytes, digest) => {
    expect(onWire(crc32c(bytes))).toBe(digest);
  });

  test("the check value of the checksum catalogues", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });
});

test("agrees with the definition at every length and alignment, whole, in a range and in two parts", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(7), (bytes, cut, shift) => {
      const expected = bitByBit(bytes);
      const middle = Math.min(cut, bytes.length);
      expect(crc32c(bytes)).toBe(expected);
      expect(crc32c(bytes.subarray(middle), crc32c(bytes.subarray(0, middle)))).toBe(expected);
      const shifted = new Uint8Array(bytes.length + shift + 3);
      shifted.set(bytes, shift);
      expect(crc32c(shifted, 0, shift, shift + bytes.length)).toBe(expected);
    }),
  );
});

test("nothing has the checksum zero", () => {
  expect(crc32c(new Uint8Array(0))).toBe(0);
});
