/**
 * What a SCSI command asks for, read from its command descriptor block (SBC-4 and SPC-5): which action, and on which sectors.
 * Only what a disk is asked in earnest is told apart; the rest (TEST UNIT READY, INQUIRY ...) is `other`, and touches no sector.
 */
import type { EventOf } from "../history/event.ts";

export interface Request {
  readonly action: EventOf<"command">["action"];
  /** In sectors of 512 bytes. 0 where the command names none, or names them in its data (UNMAP). */
  readonly sector: number;
  readonly sectors: number;
  readonly fua: boolean;
}

/** Where a command's fields are; `blocks` is undefined where they are in its data. */
interface Shape {
  readonly action: Request["action"];
  readonly lba?: readonly [offset: number, bytes: number];
  readonly blocks?: readonly [offset: number, bytes: number];
  /** Byte 1 has FUA in bit 3. */
  readonly fua?: boolean;
}

const TEN = { lba: [2, 4], blocks: [7, 2] } as const;
const TWELVE = { lba: [2, 4], blocks: [6, 4] } as const;
const SIXTEEN = { lba: [2, 8], blocks: [10, 4] } as const;

const SHAPES: Readonly<Record<number, Shape>> = {
  0x28: { action: "read", ...TEN, fua: true },
  0xa8: { action: "read", ...TWELVE, fua: true },
  0x88: { action: "read", ...SIXTEEN, fua: true },
  0x2a: { action: "write", ...TEN, fua: true },
  0xaa: { action: "write", ...TWELVE, fua: true },
  0x8a: { action: "write", ...SIXTEEN, fua: true },
  0x2e: { action: "write", ...TEN },
  0x8e: { action: "write", ...SIXTEEN },
  // COMPARE AND WRITE has one byte for its blocks.
  0x89: { action: "write", lba: [2, 8], blocks: [13, 1], fua: true },
  0x35: { action: "flush", ...TEN },
  0x91: { action: "flush", ...SIXTEEN },
  0x42: { action: "discard" },
  0x41: { action: "zeroes", ...TEN },
  0x93: { action: "zeroes", ...SIXTEEN },
};

const WRITE_SAME: readonly number[] = [0x41, 0x93];
/** WRITE SAME with this bit of byte 1 may unmap. */
const UNMAP_BIT = 0x08;
const FUA_BIT = 0x08;

const OTHER: Request = { action: "other", sector: 0, sectors: 0, fua: false };

/** Six-byte reads and writes: 21 bits of address, and 0 for 256 blocks. */
const short = (cdb: Buffer, action: "read" | "write", factor: number): Request => ({
  action,
  sector: (cdb.readUIntBE(1, 3) & 0x1fffff) * factor,
  sectors: (cdb.readUInt8(4) || 256) * factor,
  fua: false,
});

/** A number of up to eight bytes; no disk has so many blocks that its upper bits count. */
const numberAt = (cdb: Buffer, [offset, bytes]: readonly [number, number]): number =>
  bytes === 8 ? Number(cdb.readBigUInt64BE(offset) & 0x1fffffffffffffn) : cdb.readUIntBE(offset, bytes);

/** Reads the first 16 bytes of a CDB. `blockBytes` is the logical block of the LUN. */
export const requestOf = (cdb: Buffer, blockBytes = 512): Request => {
  if (cdb.length < 16) return OTHER;
  const opcode = cdb.readUInt8(0);
  const factor = blockBytes / 512;
  if (opcode === 0x08 || opcode === 0x0a) return short(cdb, opcode === 0x08 ? "read" : "write", factor);
  const shape = SHAPES[opcode];
  if (shape === undefined) return OTHER;
  const flags = cdb.readUInt8(1);
  const unmaps = WRITE_SAME.includes(opcode) && (flags & UNMAP_BIT) !== 0;
  return {
    action: unmaps ? "discard" : shape.action,
    sector: shape.lba === undefined ? 0 : numberAt(cdb, shape.lba) * factor,
    sectors: shape.blocks === undefined ? 0 : numberAt(cdb, shape.blocks) * factor,
    fua: shape.fua === true && (flags & FUA_BIT) !== 0,
  };
};

/** A LUN of eight bytes as a number: peripheral or flat addressing (SAM-5, 4.7.7). */
export const lunOf = (field: number): number => field & 0x3fff;
