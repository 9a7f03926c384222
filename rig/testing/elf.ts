/** ELF files for tests of what reads kernels: as much of one as is looked at. */

export interface ElfParts {
  readonly machine?: number;
  /** Bytes that stand for the kernel's code and data. */
  readonly content?: string | Buffer;
  /** Notes, each a name, a type and its content's length. */
  readonly notes?: readonly (readonly [name: string, type: number, bytes: number])[];
}

/** XEN_ELFNOTE_PHYS32_ENTRY, behind another note as in a real kernel. */
export const PVH_NOTES: NonNullable<ElfParts["notes"]> = [
  ["Linux", 0x101, 5],
  ["Xen", 18, 8],
];

export const elf = ({ machine = 62, content = "", notes = PVH_NOTES }: ElfParts = {}): Buffer => {
  const header = Buffer.alloc(64);
  header.write("\u007fELF\u0002\u0001\u0001", "latin1");
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  const padded = (length: number) => (length + 3) & ~3;
  const bytes = Buffer.concat(
    notes.map(([name, type, length]) => {
      const note = Buffer.alloc(12 + padded(name.length + 1) + padded(length));
      note.writeUInt32LE(name.length + 1, 0);
      note.writeUInt32LE(length, 4);
      note.writeUInt32LE(type, 8);
      note.write(name, 12, "latin1");
      return note;
    }),
  );
  // One segment to load, which says nothing here, and one of notes.
  const segments = Buffer.alloc(2 * 56);
  segments.writeUInt32LE(1, 0);
  segments.writeUInt32LE(4, 56);
  segments.writeBigUInt64LE(64n + 112n, 56 + 8);
  segments.writeBigUInt64LE(BigInt(bytes.length), 56 + 32);
  return Buffer.concat([header, segments, bytes, Buffer.from(content)]);
};

export interface BootImageParts {
  readonly setupSectors?: number;
  readonly magic?: string;
  readonly protocol?: number;
  readonly release?: string;
  readonly payload: Buffer;
  /** What the header says of the payload's length. */
  readonly length?: number;
}

/** A boot image as arch/x86/boot lays it out: setup sectors, then the protected-mode code with the payload in it. */
export const bootImage = (parts: BootImageParts): Buffer => {
  const { payload, setupSectors = 27, magic = "HdrS", protocol = 0x20f, length = payload.length } = parts;
  const { release = "6.1.0-13-amd64 (x) #1 SMP" } = parts;
  const setup = Buffer.alloc(((setupSectors || 4) + 1) * 512);
  setup[0x1f1] = setupSectors;
  setup.write(magic, 0x202, "latin1");
  setup.writeUInt16LE(protocol, 0x206);
  const versionAt = 0x400;
  setup.writeUInt16LE(versionAt - 0x200, 0x20e);
  setup.write(`${release}\0`, versionAt, "latin1");
  setup.writeUInt32LE(0x123, 0x248);
  setup.writeUInt32LE(length, 0x24c);
  return Buffer.concat([setup, Buffer.alloc(0x123, 0x90), payload, Buffer.alloc(100)]);
};
