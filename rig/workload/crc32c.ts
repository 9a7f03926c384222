/**
 * CRC32C, the Castagnoli checksum that iSCSI uses for its own digests (RFC 7143 section 13.1). The ledger puts one into
 * every sector it writes, so that a sector made of two writes is told from a sector that one write left behind.
 *
 * The checksum divides the message by a polynomial over GF(2). A table of 256 remainders takes one byte a step; eight
 * such tables, each for a byte one place further from the end, take eight bytes a step ("slicing by 8"), which is what
 * makes it fast enough to check every byte a workload moves.
 */

/** The Castagnoli polynomial 0x1EDC6F41 with its bits reversed, since the checksum takes the lowest bit first. */
const POLYNOMIAL = 0x82f63b78;

/** Eight tables of 256 remainders, one behind the other. */
const TABLES = ((): Uint32Array => {
  const tables = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ ((remainder & 1) === 0 ? 0 : POLYNOMIAL);
    tables[byte] = remainder;
  }
  for (let index = 256; index < tables.length; index++) {
    const previous = tables[index - 256] ?? 0;
    tables[index] = (previous >>> 8) ^ (tables[previous & 0xff] ?? 0);
  }
  return tables;
})();

const at = (table: number, byte: number): number => TABLES[table * 256 + byte] as number;

/**
 * The CRC32C of `bytes[begin..end)` as an unsigned 32-bit number. `previous` is the checksum of what came before, so
 * that `crc32c(b, crc32c(a))` is the checksum of a and b in a row.
 */
export const crc32c = (bytes: Uint8Array, previous = 0, begin = 0, end = bytes.length): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = ~previous;
  let offset = begin;
  for (; offset + 8 <= end; offset += 8) {
    const low = crc ^ view.getInt32(offset, true);
    const high = view.getInt32(offset + 4, true);
    crc =
      at(7, low & 0xff) ^
      at(6, (low >>> 8) & 0xff) ^
      at(5, (low >>> 16) & 0xff) ^
      at(4, low >>> 24) ^
      at(3, high & 0xff) ^
      at(2, (high >>> 8) & 0xff) ^
      at(1, (high >>> 16) & 0xff) ^
      at(0, high >>> 24);
  }
  for (; offset < end; offset++) crc = (crc >>> 8) ^ at(0, (crc ^ view.getUint8(offset)) & 0xff);
  return ~crc >>> 0;
};
