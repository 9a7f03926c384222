/**
 * The Network Block Device protocol's numbers, and how its messages look on the wire (NetworkBlockDevice/nbd, doc/proto.md).
 * All numbers are big-endian. Pure.
 */
import type { BlockSizes, Capabilities } from "./block-device.ts";

export const NBD_MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;

/** Flags of the handshake: both sides speak the fixed newstyle, and leave out 124 zero bytes. */
export const FIXED_NEWSTYLE = 1;
export const NO_ZEROES = 2;

export const OPT_GO = 7;
export const REP_ACK = 1;
export const REP_INFO = 3;
/** Option replies from here on are errors. */
export const REP_ERROR = 0x80000000;
export const INFO_EXPORT = 0;
export const INFO_BLOCK_SIZE = 3;

const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const;
export type Command = keyof typeof COMMAND;

export const COMMAND_FLAG = { fua: 1, noHole: 2 } as const;

export const REQUEST_BYTES = 28;
/** Bytes of a simple reply's head. */
export const REPLY_BYTES = 16;

/** Linux error numbers that NBD carries. */
const ERRNO: Readonly<Record<number, string>> = {
  1: "EPERM",
  5: "EIO",
  12: "ENOMEM",
  22: "EINVAL",
  28: "ENOSPC",
  75: "EOVERFLOW",
  95: "ENOTSUP",
  108: "ESHUTDOWN",
};

export const errnoName = (error: number): string => ERRNO[error] ?? `error ${error}`;

/** What the transmission flags of an export say. */
export const capabilitiesOf = (flags: number): Capabilities => {
  const has = (bit: number) => (flags & (1 << bit)) !== 0;
  // Without bit 0 the others mean nothing.
  const told = has(0);
  return {
    readOnly: told && has(1),
    flush: told && has(2),
    fua: told && has(3),
    trim: told && has(5),
    writeZeroes: told && has(6),
    multiConnection: told && has(8),
  };
};

/** What a client may assume of a server that says nothing. */
export const DEFAULT_BLOCKS: BlockSizes = { minimum: 1, preferred: 4096, maximum: 32 * 2 ** 20 };

const isPowerOfTwo = (value: number): boolean => value > 0 && (value & (value - 1)) === 0;

/** The sizes of an NBD_INFO_BLOCK_SIZE, or undefined where they are none that the protocol allows. */
export const blockSizesOf = (info: Buffer): BlockSizes | undefined => {
  if (info.length !== 14) return undefined;
  const [minimum, preferred, maximum] = [info.readUInt32BE(2), info.readUInt32BE(6), info.readUInt32BE(10)];
  const legal =
    isPowerOfTwo(minimum) && minimum <= 65_536 && isPowerOfTwo(preferred) && preferred >= minimum && maximum >= minimum;
  return legal ? { minimum, preferred, maximum } : undefined;
};

/** The head of a request. */
export const requestHead = (
  command: Command,
  cookie: bigint,
  offset: number,
  length: number,
  flags: number,
): Buffer => {
  const head = Buffer.allocUnsafe(REQUEST_BYTES);
  head.writeUInt32BE(REQUEST_MAGIC, 0);
  head.writeUInt16BE(flags, 4);
  head.writeUInt16BE(COMMAND[command], 6);
  head.writeBigUInt64BE(cookie, 8);
  head.writeBigUInt64BE(BigInt(offset), 16);
  head.writeUInt32BE(length, 24);
  return head;
};

/** A simple reply's error (0 for none) and cookie, or undefined where it is none. */
export const replyOf = (head: Buffer): { error: number; cookie: bigint } | undefined =>
  head.readUInt32BE(0) === REPLY_MAGIC ? { error: head.readUInt32BE(4), cookie: head.readBigUInt64BE(8) } : undefined;
