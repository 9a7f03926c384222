/** The cpio "newc" format of initramfs archives (Documentation/driver-api/early-userspace/buffer-format.rst). */

export interface CpioEntry {
  /** Path without a leading slash. */
  readonly name: string;
  readonly mode: number;
  readonly data?: Uint8Array;
}

const DIRECTORY = 0o040000;
const REGULAR = 0o100000;

export const directory = (name: string, mode = 0o755): CpioEntry => ({ name, mode: DIRECTORY | mode });
export const file = (name: string, data: Uint8Array | string, mode = 0o644): CpioEntry => ({
  name,
  mode: REGULAR | mode,
  data: typeof data === "string" ? Buffer.from(data) : data,
});

const hex = (value: number): string => value.toString(16).padStart(8, "0");
const pad4 = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);

/**
 * One archive, ended by its trailer and padded to 512 bytes, so that archives can be put one after another (the kernel
 * unpacks them all). Owner 0, time 0: the same entries give the same bytes.
 */
export const cpioArchive = (entries: readonly CpioEntry[]): Buffer => {
  const parts: Buffer[] = [];
  const add = (entry: CpioEntry, inode: number) => {
    const data = entry.data ?? new Uint8Array();
    const name = Buffer.from(`${entry.name}\0`);
    const links = (entry.mode & 0o170000) === DIRECTORY ? 2 : 1;
    const fields = [inode, entry.mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const header = Buffer.from(`070701${fields.map(hex).join("")}`);
    parts.push(header, name, pad4(header.length + name.length), Buffer.from(data), pad4(data.length));
  };
  for (const [index, entry] of entries.entries()) add(entry, index + 1);
  add({ name: "TRAILER!!!", mode: 0 }, 0);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(Buffer.alloc((512 - (length % 512)) % 512));
  return Buffer.concat(parts);
};
