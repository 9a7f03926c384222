/** A kernel image as it lies on a disk, made into what QEMU starts: as a rule the ELF file inside, unpacked. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { sha256File } from "../core/cache.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import { type BzImage, parseBzImage } from "./bzimage.ts";
import { bannerRelease, elfMachine, foreignArchitecture, hasPvhEntry } from "./elf.ts";

/** Runs a filter from one file to another. */
export const filter = async (
  argv: readonly [string, ...string[]],
  from: string,
  to: string,
  signal: AbortSignal | undefined,
): Promise<void> => {
  await runOk(
    ["sh", "-c", 'in=$1 out=$2; shift 2; exec "$@" < "$in" > "$out"', "sh", from, to, ...argv],
    "RIG_KERNEL_BUNDLE",
    { signal },
  );
};

/** Unpacks bytes; what is damaged is told with its name. */
export const whole = (unpack: (bytes: Buffer) => Buffer, bytes: Buffer, what: string): Buffer => {
  try {
    return unpack(bytes);
  } catch (error) {
    throw new RigError(
      "RIG_KERNEL_BUNDLE",
      `Expected ${what} to be whole; it cannot be unpacked (${messageOf(error)}). Fetch or build it again.`,
      { blame: "usage", cause: error },
    );
  }
};

type Decompressor = (from: string, to: string, signal: AbortSignal | undefined) => Promise<void>;

const DECOMPRESS: Readonly<Record<BzImage["compression"], Decompressor>> = {
  xz: (from, to, signal) => filter(["xz", "-dc", "--single-stream"], from, to, signal),
  lz4: (from, to, signal) => filter(["lz4", "-dc"], from, to, signal),
  zstd: async (from, to) => writeFile(to, whole(zstdDecompressSync, await readFile(from), "the kernel image")),
  gzip: async (from, to) => writeFile(to, whole(gunzipSync, await readFile(from), "the kernel image")),
};

/** How QEMU starts a kernel: the ELF file through its PVH entry, or the boot image, which unpacks itself in the guest. */
export type BootEntry = "pvh" | "bzimage";

export interface ImageFacts {
  readonly release: string;
  /** SHA-256 of the image as it came, compressed. */
  readonly sha256: string;
  readonly entry: BootEntry;
}

export interface UnpackedImage {
  readonly facts: ImageFacts;
  /** The kernel's ELF file. */
  readonly elf: Buffer;
}

const bad = (message: string): RigError => new RigError("RIG_KERNEL_BUNDLE", message, { blame: "usage" });

const requireX86 = (bytes: Buffer, what: string): void => {
  const other = foreignArchitecture(bytes);
  if (other !== undefined) throw bad(`${what} is for ${other}; only kernels for x86-64 are supported.`);
};

const unpackPayload = async (image: BzImage, dir: string, signal: AbortSignal | undefined): Promise<Buffer> => {
  const [packed, elf] = [path.join(dir, "payload"), path.join(dir, "elf")];
  await writeFile(packed, image.payload);
  await DECOMPRESS[image.compression](packed, elf, signal);
  return readFile(elf);
};

/** Reads an image's release, and refuses what is no x86-64 kernel; a vmlinux is no boot image. */
const parseImage = (bytes: Buffer, file: string): { release: string; boot?: BzImage } => {
  requireX86(bytes, file);
  if (elfMachine(bytes) === undefined) {
    const boot = parseBzImage(bytes, file);
    return { release: boot.release, boot };
  }
  const release = bannerRelease(bytes);
  if (release === undefined)
    throw bad(`Expected a kernel in ${file}; it is an ELF file without the words "Linux version".`);
  return { release };
};

/** The release of the kernel in `file`, as `uname -r` prints it. */
export const imageRelease = async (file: string): Promise<string> => parseImage(await readFile(file), file).release;

/**
 * Puts what QEMU starts down as `kernel`: the kernel's ELF file or, where that has no PVH entry, the boot image that it came
 * in. `scratch` is removed by the caller.
 */
export const unpackImage = async (
  file: string,
  kernel: string,
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<UnpackedImage> => {
  const bytes = await readFile(file);
  const { release, boot } = parseImage(bytes, file);
  const sha256 = await sha256File(file);
  if (boot === undefined) {
    if (!hasPvhEntry(bytes))
      throw bad(
        `${file} was built without CONFIG_PVH, so QEMU cannot start it; give the rig its arch/x86/boot/bzImage.`,
      );
    await writeFile(kernel, bytes);
    return { facts: { release, sha256, entry: "pvh" }, elf: bytes };
  }
  const elf = await unpackPayload(boot, scratch, signal);
  if (elfMachine(elf) === undefined) throw bad(`The kernel inside ${file} is no ELF file.`);
  requireX86(elf, file);
  const entry = hasPvhEntry(elf) ? "pvh" : "bzimage";
  await writeFile(kernel, entry === "pvh" ? elf : bytes);
  return { facts: { release, sha256, entry }, elf };
};
