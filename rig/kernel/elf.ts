/** What an unpacked kernel, an ELF file, says of itself: its machine, its release, its way to be started, its configuration. */
import { gunzipSync } from "node:zlib";

/** EM_* of the ELF specification, by what Linux calls the architecture. */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [2, "sparc"],
  [3, "x86, 32 bits"],
  [4, "m68k"],
  [8, "mips"],
  [15, "parisc"],
  [20, "powerpc, 32 bits"],
  [21, "powerpc"],
  [22, "s390"],
  [40, "arm"],
  [42, "sh"],
  [43, "sparc64"],
  [62, "x86-64"],
  [183, "arm64"],
  [243, "riscv"],
  [258, "loongarch"],
]);

export const X86_64 = "x86-64";

/** The architecture that an ELF file is for; undefined where it is none. */
export const elfMachine = (bytes: Buffer): string | undefined => {
  if (bytes.length < 64 || bytes.toString("latin1", 0, 4) !== "\u007fELF") return undefined;
  const machine = bytes[5] === 2 ? bytes.readUInt16BE(18) : bytes.readUInt16LE(18);
  return MACHINES.get(machine) ?? `ELF machine ${machine}`;
};

/** The marks of images that are no ELF files: Documentation/arch/{arm64,riscv}/boot*, zImage's and zboot's headers. */
const IMAGES: readonly (readonly [string, number, string])[] = [
  ["arm64", 0x38, "ARM\u0064"],
  ["riscv", 0x30, "RISCV"],
  ["arm", 0x24, "\u0018\u0028\u006f\u0001"],
  ["arm64, loongarch or riscv", 4, "zimg"],
  ["s390", 0x10008, "S390EP"],
];

/** The architecture other than x86-64 that a kernel image is for, as far as it can be told; undefined for anything else. */
export const foreignArchitecture = (bytes: Buffer): string | undefined => {
  const machine = elfMachine(bytes);
  if (machine !== undefined) return machine === X86_64 ? undefined : machine;
  return IMAGES.find(([, at, mark]) => bytes.toString("latin1", at, at + mark.length) === mark)?.[0];
};

/** As `uname -r` prints it, from the banner (init/version.c); undefined where there is none. */
export const bannerRelease = (elf: Buffer): string | undefined => {
  const mark = "Linux version ";
  for (let at = elf.indexOf(mark); at >= 0; at = elf.indexOf(mark, at + 1)) {
    // A format string of the same words, with %s, is there as well.
    const release = /^[0-9]+\.[0-9]+[A-Za-z0-9.+~_-]*(?= )/.exec(elf.toString("latin1", at + 14, at + 214))?.[0];
    if (release !== undefined) return release;
  }
  return undefined;
};

const PT_NOTE = 4;
/** XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h. */
const PHYS32_ENTRY = 18;

/** Whether QEMU can start it as it is: through the entry that a note of CONFIG_PVH names. */
export const hasPvhEntry = (elf: Buffer): boolean => {
  const headers = Number(elf.readBigUInt64LE(32));
  const size = elf.readUInt16LE(54);
  const padded = (length: number) => Math.ceil(length / 4) * 4;
  for (let i = 0; i < elf.readUInt16LE(56); i++) {
    const header = headers + i * size;
    if (header + 56 > elf.length || elf.readUInt32LE(header) !== PT_NOTE) continue;
    let at = Number(elf.readBigUInt64LE(header + 8));
    const end = Math.min(at + Number(elf.readBigUInt64LE(header + 32)), elf.length);
    while (at + 12 <= end) {
      const name = elf.readUInt32LE(at);
      const content = elf.readUInt32LE(at + 4);
      const type = elf.readUInt32LE(at + 8);
      if (type === PHYS32_ENTRY && elf.toString("latin1", at + 12, at + 15) === "Xen") return true;
      at += 12 + padded(name) + padded(content);
    }
  }
  return false;
};

/** The .config that CONFIG_IKCONFIG puts into a kernel or its module configs.ko (kernel/configs.c); undefined without it. */
export const embeddedConfig = (elf: Buffer): string | undefined => {
  const start = elf.indexOf("IKCFG_ST");
  const end = elf.indexOf("IKCFG_ED", start);
  if (start < 0 || end < 0) return undefined;
  try {
    return gunzipSync(elf.subarray(start + 8, end)).toString("utf8");
  } catch {
    return undefined;
  }
};
