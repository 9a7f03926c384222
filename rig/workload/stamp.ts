/**
 * The stamp that makes every sector tell its own story. A sector the ledger writes carries its own address, the number
 * of the operation that wrote it, and a checksum; whatever is read back therefore names the write it came from, or is
 * foreign. No two operations of a run write the same bytes, which is what lets the integrity oracle decide exactly.
 *
 *     offset  0  magic, 8 bytes            offset 24  the sector's own address, u64
 *             8  format version, u32               32  operation number, u64
 *            12  index in the operation, u32       40  filler, 58 words of 64 bits, then 4 bytes
 *            16  run tag, u64                     508  CRC32C of bytes 0 to 507
 *
 * All numbers are little-endian. Each filler word is made of two 32-bit halves, the first scrambled from the operation
 * number, the second from the address and the first. Scrambling is one-to-one, so two operations differ in every word of
 * a sector, and a word found in the wrong place can be turned back into the operation it belongs to.
 */
import { RigError } from "../core/errors.ts";
import { SECTOR_BYTES } from "../core/names.ts";
import type { Extent } from "../history/extent.ts";
import { crc32c } from "./crc32c.ts";

/** "ISCSIRIG" */
const MAGIC_LOW = 0x53435349;
const MAGIC_HIGH = 0x47495249;
const VERSION = 1;
const HEADER_BYTES = 40;
const CRC_OFFSET = SECTOR_BYTES - 4;
const HEAD_BYTES = 64;
const MAX_INDEX = 0xffffffff;
const ZEROS = Buffer.alloc(SECTOR_BYTES);

/** One operation's data: `sectors` sectors from `sector` on. `run` is what `runTag` made of the run's and cell's name. */
export interface StampedWrite {
  readonly run: bigint;
  readonly op: number;
  readonly sector: number;
  readonly sectors: number;
}

/** A 64-bit tag for a run and cell (FNV-1a of the text's UTF-8), so that data left by another run is told apart. */
export const runTag = (text: string): bigint => {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text, "utf8")) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
};

/** A one-to-one scrambling of 32 bits in which every input bit reaches every output bit. */
const scramble = (input: number): number => {
  let x = input | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
};

/** The inverse of an odd number modulo 2^32, by Newton's iteration. */
const inverse = (odd: number): number => {
  let x = odd;
  for (let step = 0; step < 5; step++) x = Math.imul(x, 2 - Math.imul(odd, x));
  return x;
};
const INVERSE_1 = inverse(0x7feb352d);
const INVERSE_2 = inverse(0x846ca68b);

const unscramble = (output: number): number => {
  let x = output ^ (output >>> 16);
  x = Math.imul(x, INVERSE_2);
  x = Math.imul(x ^ (x >>> 15) ^ (x >>> 30), INVERSE_1);
  return (x ^ (x >>> 16)) >>> 0;
};

/** Differs for every place in the sector, so that no shift of the filler looks like the filler. */
const saltAt = (offset: number): number => Math.imul(offset + 1, 0x9e3779b1);

interface Stamp {
  readonly op: number;
  readonly address: number;
  readonly index: number;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const readSafe = (view: DataView, offset: number): number | undefined => {
  const value = view.getUint32(offset + 4, true) * 0x100000000 + view.getUint32(offset, true);
  return Number.isSafeInteger(value) ? value : undefined;
};

const putSafe = (view: DataView, offset: number, value: number): void => {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x100000000), true);
};

const putStamp = (bytes: Uint8Array, view: DataView, base: number, run: bigint, stamp: Stamp): void => {
  view.setUint32(base, MAGIC_LOW, true);
  view.setUint32(base + 4, MAGIC_HIGH, true);
  view.setUint32(base + 8, VERSION, true);
  view.setUint32(base + 12, stamp.index, true);
  view.setBigUint64(base + 16, run, true);
  putSafe(view, base + 24, stamp.address);
  putSafe(view, base + 32, stamp.op);
  const address = (stamp.address ^ Math.floor(stamp.address / 0x100000000)) >>> 0;
  for (let offset = HEADER_BYTES; offset < CRC_OFFSET; offset += 8) {
    // The last word's second half is where the checksum goes, which is put there afterwards.
    const first = scramble(stamp.op ^ saltAt(offset));
    view.setUint32(base + offset, first, true);
    view.setUint32(base + offset + 4, scramble(address ^ first), true);
  }
  view.setUint32(base + CRC_OFFSET, crc32c(bytes, 0, base, base + CRC_OFFSET), true);
};

/**
 * The bytes of a whole write.
 * @throws RigError RIG_BUG for a number that the stamp cannot hold.
 */
export const stampWrite = (write: StampedWrite): Buffer => {
  const { run, op, sector, sectors } = write;
  const fits = [op, sector, sectors, sector + sectors].every(n => Number.isSafeInteger(n) && n >= 0);
  if (!fits || sectors > MAX_INDEX) {
    throw new RigError(
      "RIG_BUG",
      `Expected a write that a stamp can hold; got ${sectors} sectors at ${sector}, op ${op}.`,
    );
  }
  const bytes = Buffer.allocUnsafeSlow(sectors * SECTOR_BYTES);
  const view = viewOf(bytes);
  for (let index = 0; index < sectors; index++) {
    putStamp(bytes, view, index * SECTOR_BYTES, run, { op, address: sector + index, index });
  }
  return bytes;
};

const hex = (bytes: Buffer, from: number, length: number): string => bytes.toString("hex", from, from + length);

/** The first byte of the sector, 0 to 511, that is not what its own stamp says it should be. */
const firstDifference = (bytes: Buffer, base: number, run: bigint, stamp: Stamp): number => {
  const expected = Buffer.allocUnsafeSlow(SECTOR_BYTES);
  putStamp(expected, viewOf(expected), 0, run, stamp);
  let offset = 0;
  while (offset < SECTOR_BYTES - 1 && bytes[base + offset] === expected[offset]) offset++;
  return offset;
};

const readSector = (bytes: Buffer, view: DataView, base: number, at: number, run: bigint): Extent => {
  const low = view.getUint32(base, true);
  if (low === 0 && ZEROS.compare(bytes, base, base + SECTOR_BYTES) === 0) return { is: "zero", at, n: 1 };
  const op = readSafe(view, base + 32);
  const address = readSafe(view, base + 24);
  const stamped =
    low === MAGIC_LOW && view.getUint32(base + 4, true) === MAGIC_HIGH && view.getUint32(base + 8, true) === VERSION;
  if (!stamped || op === undefined || address === undefined) {
    return { is: "foreign", at, n: 1, head: hex(bytes, base, HEAD_BYTES) };
  }
  const i = view.getUint32(base + 12, true);
  const intact = view.getUint32(base + CRC_OFFSET, true) === crc32c(bytes, 0, base, base + CRC_OFFSET);
  if (view.getBigUint64(base + 16, true) !== run) {
    const head = hex(bytes, base, HEAD_BYTES);
    return intact ? { is: "foreign", at, n: 1, head, otherRun: true } : { is: "foreign", at, n: 1, head };
  }
  if (!intact) {
    const badFrom = firstDifference(bytes, base, run, { op, address, index: i });
    const head = hex(bytes, base + badFrom, Math.min(HEAD_BYTES, SECTOR_BYTES - badFrom));
    return { is: "damaged", at, n: 1, op, i, badFrom, head };
  }
  return address === at ? { is: "write", at, n: 1, op, i } : { is: "elsewhere", at, n: 1, op, i, address };
};

/** The two adjacent extents as one, or undefined where they do not belong together. */
const merged = (a: Extent, b: Extent): Extent | undefined => {
  const n = a.n + b.n;
  if (a.is === "zero" && b.is === "zero") return { ...a, n };
  if (a.is === "foreign" && b.is === "foreign" && a.otherRun === b.otherRun) return { ...a, n };
  if (a.is === "write" && b.is === "write" && a.op === b.op && b.i === a.i + a.n) return { ...a, n };
  if (a.is === "elsewhere" && b.is === "elsewhere" && a.op === b.op && b.i === a.i + a.n) {
    return b.address === a.address + a.n ? { ...a, n } : undefined;
  }
  return undefined;
};

/**
 * What the sectors hold, run-length encoded, in order and without a gap. `head` of a foreign run is the start of its
 * first sector; `head` of a damaged sector is what stands from `badFrom` on, up to 64 bytes.
 * @throws RigError RIG_BUG where `bytes` is not a whole number of sectors.
 */
export const readExtents = (bytes: Buffer, firstSector: number, run: bigint): Extent[] => {
  if (bytes.length % SECTOR_BYTES !== 0) {
    throw new RigError(
      "RIG_BUG",
      `Expected whole sectors of ${SECTOR_BYTES} bytes to read; got ${bytes.length} bytes.`,
    );
  }
  const view = viewOf(bytes);
  const extents: Extent[] = [];
  for (let index = 0; index * SECTOR_BYTES < bytes.length; index++) {
    const next = readSector(bytes, view, index * SECTOR_BYTES, firstSector + index, run);
    const last = extents.at(-1);
    const both = last === undefined ? undefined : merged(last, next);
    if (both === undefined) extents.push(next);
    else extents[extents.length - 1] = both;
  }
  return extents;
};

/**
 * Whose filler it is: turns a damaged sector's `head`, the hex of what stands from `badFrom` on, back into the operation
 * (its low 32 bits) and the sector address that wrote it. Undefined where it is no operation's filler.
 */
export const fillerOwner = (head: string, badFrom: number): { op: number; address: number } | undefined => {
  const bytes = Buffer.from(head, "hex");
  const view = viewOf(bytes);
  let owner: { op: number; address: number } | undefined;
  let seen = 0;
  for (let offset = Math.max(HEADER_BYTES, Math.ceil(badFrom / 8) * 8); offset + 8 <= CRC_OFFSET; offset += 8) {
    if (offset - badFrom + 8 > bytes.length) break;
    const first = view.getUint32(offset - badFrom, true);
    const op = (unscramble(first) ^ saltAt(offset)) >>> 0;
    const address = (unscramble(view.getUint32(offset - badFrom + 4, true)) ^ first) >>> 0;
    if (owner !== undefined && (owner.op !== op || owner.address !== address)) return undefined;
    owner = { op, address };
    seen++;
  }
  return seen >= 2 ? owner : undefined;
};
