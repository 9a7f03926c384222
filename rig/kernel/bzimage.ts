/**
 * The x86 boot image format, as far as the rig needs it (Documentation/arch/x86/boot.rst): the release string, and the
 * compressed kernel inside, which QEMU can start directly through its PVH note and so without unpacking it in the guest.
 */
import { RigError } from "../core/errors.ts";

/** Offsets in the setup header. */
const SETUP_SECTS = 0x1f1;
const MAGIC = 0x202;
const VERSION = 0x206;
const KERNEL_VERSION = 0x20e;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

export type Compression = "xz" | "zstd" | "gzip" | "lz4";

const MAGICS: readonly (readonly [Compression, string])[] = [
  ["xz", "fd377a585a00"],
  ["zstd", "28b52ffd"],
  ["gzip", "1f8b"],
  ["lz4", "02214c18"],
];

export interface BzImage {
  /** As `uname -r` prints it. */
  readonly release: string;
  readonly compression: Compression;
  /** The compressed ELF image. */
  readonly payload: Buffer;
}

const bad = (file: string, why: string) =>
  new RigError(
    "RIG_KERNEL_BUNDLE",
    `${file}: expected an x86-64 Linux bzImage (boot protocol 2.08 or newer); ${why}.`,
    { blame: "usage" },
  );

/** Takes a bzImage apart. `file` is for messages. */
export const parseBzImage = (image: Buffer, file: string): BzImage => {
  if (image.length < 0x1000) throw bad(file, `it has only ${image.length} bytes`);
  if (image.toString("latin1", MAGIC, MAGIC + 4) !== "HdrS") throw bad(file, "it has no HdrS mark");
  if (image.readUInt16LE(VERSION) < 0x0208)
    throw bad(file, `its boot protocol is 0x${image.readUInt16LE(VERSION).toString(16)}`);
  const setup = ((image[SETUP_SECTS] ?? 0) || 4) * 512 + 512;
  const versionAt = image.readUInt16LE(KERNEL_VERSION) + 0x200;
  const release = image.toString("latin1", versionAt, Math.min(versionAt + 200, image.length)).split(/[ \0]/)[0] ?? "";
  if (!/^[0-9]+\.[0-9]+[A-Za-z0-9.+~_-]*$/.test(release)) throw bad(file, "its release string is unreadable");
  const start = setup + image.readUInt32LE(PAYLOAD_OFFSET);
  const length = image.readUInt32LE(PAYLOAD_LENGTH);
  if (length < 16 || start + length > image.length) throw bad(file, "it is cut short");
  const head = image.toString("hex", start, start + 6);
  const compression = MAGICS.find(([, magic]) => head.startsWith(magic))?.[0];
  if (compression === undefined)
    throw bad(file, `its payload begins with ${head}, which is none of xz, zstd, gzip, lz4`);
  // The build appends the unpacked size (4 bytes) to every format but gzip, which has it at its end already.
  const end = start + length - (compression === "gzip" ? 0 : 4);
  return { release, compression, payload: image.subarray(start, end) };
};
