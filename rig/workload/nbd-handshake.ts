/**
 * The negotiation of the Network Block Device protocol: fixed newstyle, and the option GO, which names the export and asks for
 * its size, flags and block sizes in one exchange. Whatever the server sends is bounded before it is believed.
 */
import type { BlockSizes, Capabilities } from "./block-device.ts";
import type { ReadExactly } from "./byte-queue.ts";
import {
  blockSizesOf,
  capabilitiesOf,
  DEFAULT_BLOCKS,
  FIXED_NEWSTYLE,
  INFO_BLOCK_SIZE,
  INFO_EXPORT,
  NBD_MAGIC,
  NO_ZEROES,
  OPT_GO,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  REP_ACK,
  REP_ERROR,
  REP_INFO,
} from "./nbd-wire.ts";

/** What a server says of an export. */
export interface Export {
  readonly sizeBytes: number;
  readonly can: Capabilities;
  readonly blocks: BlockSizes;
}

const MAX_REPLY_BYTES = 65_536;
/** There are five kinds of information; a server that goes on and on wants to keep us. */
const MAX_REPLIES = 32;
/** From the protocol: the longest string. */
const MAX_NAME_BYTES = 4096;

/** The client's flags, and the option GO with a wish for block sizes. */
const greeting = (name: Buffer): Buffer => {
  const head = Buffer.alloc(4 + 16 + 4);
  head.writeUInt32BE(FIXED_NEWSTYLE | NO_ZEROES, 0);
  head.writeBigUInt64BE(OPTION_MAGIC, 4);
  head.writeUInt32BE(OPT_GO, 12);
  head.writeUInt32BE(4 + name.length + 4, 16);
  head.writeUInt32BE(name.length, 20);
  const wishes = Buffer.alloc(4);
  wishes.writeUInt16BE(1, 0);
  wishes.writeUInt16BE(INFO_BLOCK_SIZE, 2);
  return Buffer.concat([head, name, wishes]);
};

/** What is left of a server's words in a message: short and printable. */
const quoted = (data: Buffer): string =>
  data
    .toString("latin1")
    .slice(0, 200)
    .replaceAll(/[^\x20-\x7e]/g, "?");

/** Negotiates an export; the connection is then ready for requests. Throws an Error that says what the server did. */
export const negotiate = async (
  send: (bytes: Buffer) => void,
  read: ReadExactly,
  exportName: string,
): Promise<Export> => {
  const name = Buffer.from(exportName, "utf8");
  if (name.length > MAX_NAME_BYTES) throw new Error(`the export's name is longer than ${MAX_NAME_BYTES} bytes`);
  const hello = await read(18);
  if (hello.readBigUInt64BE(0) !== NBD_MAGIC || hello.readBigUInt64BE(8) !== OPTION_MAGIC)
    throw new Error("what answers is no NBD server");
  if ((hello.readUInt16BE(16) & FIXED_NEWSTYLE) === 0) throw new Error("the server's protocol is too old");
  send(greeting(name));
  let size: bigint | undefined;
  let flags = 0;
  let blocks = DEFAULT_BLOCKS;
  for (let replies = 0; ; replies++) {
    const head = await read(20);
    if (head.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC || replies > MAX_REPLIES)
      throw new Error("the server broke the negotiation");
    const type = head.readUInt32BE(12);
    const length = head.readUInt32BE(16);
    if (length > MAX_REPLY_BYTES) throw new Error("the server sent an option reply of absurd length");
    const data = length === 0 ? Buffer.alloc(0) : await read(length);
    if (type >= REP_ERROR)
      throw new Error(`the server refused the export ${exportName} (${type - REP_ERROR}): ${quoted(data)}`);
    if (type === REP_ACK) break;
    if (type !== REP_INFO || data.length < 2) continue;
    const info = data.readUInt16BE(0);
    if (info === INFO_EXPORT && data.length === 12) {
      size = data.readBigUInt64BE(2);
      flags = data.readUInt16BE(10);
    } else if (info === INFO_BLOCK_SIZE) {
      const sizes = blockSizesOf(data);
      if (sizes === undefined) throw new Error("the server told block sizes that cannot be");
      blocks = sizes;
    }
  }
  if (size === undefined) throw new Error("the server did not tell the size of the export");
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error(`the server told an absurd size, ${size} bytes`);
  return { sizeBytes: Number(size), can: capabilitiesOf(flags), blocks };
};
