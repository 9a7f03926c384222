/**
 * A guess at where foreign bytes come from, by the first 64 of them. It is only a guess and says so: what is proven is
 * that no operation wrote them.
 */

/** Kernel addresses of x86-64 begin here; user space ends far below. */
const KERNEL_FROM = 0xffff_8000_0000_0000n;
/** -1 and small negative numbers look like addresses and are error codes or flags. */
const KERNEL_TO = 0xffff_ffff_ffff_0000n;
const MAGIC = Buffer.from("ISCSIRIG");

const printable = (byte: number): boolean =>
  (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d;

const addressesIn = (bytes: Buffer): bigint[] => {
  const found: bigint[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const word = bytes.readBigUInt64LE(at);
    if (word >= KERNEL_FROM && word < KERNEL_TO) found.push(word);
  }
  return found;
};

/**
 * What the bytes look like, as a sentence; undefined where they look like nothing in particular.
 * @param head the first bytes in hex.
 */
export const guessAt = (head: string): string | undefined => {
  const bytes = Buffer.from(head, "hex");
  const [first] = bytes;
  if (first === undefined) return undefined;
  if (bytes.every(byte => byte === first)) {
    return first === 0
      ? "They begin with zeros: memory or a part of a file that was never filled, perhaps."
      : `They repeat the byte 0x${first.toString(16).padStart(2, "0")}: a poison or test pattern, perhaps.`;
  }
  if (bytes.indexOf(MAGIC) > 0) {
    return `A stamp of the ledger begins at byte ${bytes.indexOf(MAGIC)}: a sector that was shifted, perhaps.`;
  }
  const addresses = addressesIn(bytes);
  if (addresses.length >= 2) {
    const [one = 0n] = addresses;
    return `They hold ${addresses.length} words like kernel addresses (0x${one.toString(16)}): kernel memory that leaked, perhaps.`;
  }
  const text = bytes.filter(printable).length;
  if (text >= bytes.length * 0.9) {
    const shown = bytes.toString("latin1").replaceAll(/[^ -~]/g, ".");
    return `They read as text: "${shown}".`;
  }
  return undefined;
};
