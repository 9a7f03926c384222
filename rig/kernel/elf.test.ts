import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { elf, PVH_NOTES } from "../testing/elf.ts";
import { bannerRelease, elfMachine, embeddedConfig, foreignArchitecture, hasPvhEntry } from "./elf.ts";

const marked = (at: number, mark: string): Buffer => {
  const bytes = Buffer.alloc(0x11000);
  bytes.write("MZ");
  bytes.write(mark, at, "latin1");
  return bytes;
};

describe("an architecture that is not supported is told:", () => {
  test.each<[string, Buffer, string]>([
    ["an arm64 vmlinux", elf({ machine: 183 }), "arm64"],
    ["a 32-bit vmlinux", elf({ machine: 3 }), "x86, 32 bits"],
    ["one that nobody knows", elf({ machine: 999 }), "ELF machine 999"],
    ["an arm64 Image", marked(0x38, "ARMd"), "arm64"],
    ["a riscv Image", marked(0x30, "RISCV\0\0\0RSC\u0005"), "riscv"],
    ["an arm zImage", marked(0x24, "\u0018\u0028\u006f\u0001"), "arm"],
    ["an EFI zboot image", marked(4, "zimg"), "arm64, loongarch or riscv"],
    ["an s390 image", marked(0x10008, "S390EP"), "s390"],
  ])("%s", (_name, bytes, architecture) => {
    expect(foreignArchitecture(bytes)).toBe(architecture);
  });

  test("a big-endian one", () => {
    const bytes = elf();
    bytes[5] = 2;
    bytes.writeUInt16BE(21, 18);
    expect(foreignArchitecture(bytes)).toBe("powerpc");
  });

  test("x86-64, and what is no kernel at all, is none of them", () => {
    expect(elfMachine(elf())).toBe("x86-64");
    for (const bytes of [
      elf(),
      Buffer.alloc(0),
      Buffer.from("\u007fELF"),
      Buffer.alloc(0x11000),
      marked(0x202, "HdrS"),
    ])
      expect(foreignArchitecture(bytes)).toBeUndefined();
    expect(elfMachine(Buffer.alloc(100))).toBeUndefined();
  });
});

test.each<[string, string | undefined]>([
  ["Linux version 5.10.262 (root@vm) (gcc", "5.10.262"],
  ["%s version %s\0Linux version %s (\0Linux version 6.12.0-rc1-next-20260101+ (x)", "6.12.0-rc1-next-20260101+"],
  ["Linux version ../../x (x)", undefined],
  ["Linux version", undefined],
  ["", undefined],
])("the release in the banner %j", (content, release) => {
  expect(bannerRelease(elf({ content }))).toBe(release);
});

describe("a PVH entry", () => {
  test("is found among the notes", () => {
    expect(hasPvhEntry(elf())).toBe(true);
    expect(hasPvhEntry(elf({ notes: PVH_NOTES.toReversed() }))).toBe(true);
  });

  test.each<[string, Buffer]>([
    ["without notes", elf({ notes: [] })],
    ["with Xen's other notes only", elf({ notes: [["Xen", 1, 8]] })],
    ["with somebody else's note of that type", elf({ notes: [["GNU", 18, 8]] })],
    ["that is cut short", elf().subarray(0, 180)],
    ["without anything behind its header", elf().subarray(0, 64)],
  ])("is not in a kernel %s", (_name, bytes) => {
    expect(hasPvhEntry(bytes)).toBe(false);
  });
});

describe("the configuration inside a kernel", () => {
  const config = "CONFIG_X86_64=y\n# CONFIG_PVH is not set\n";
  const inside = (packed: Buffer) => Buffer.concat([Buffer.from("xIKCFG_ST"), packed, Buffer.from("IKCFG_EDx")]);

  test("is read", () => {
    expect(embeddedConfig(elf({ content: inside(gzipSync(config)) }))).toBe(config);
  });

  test.each<[string, Buffer]>([
    ["no mark", gzipSync(config)],
    ["no end", Buffer.concat([Buffer.from("IKCFG_ST"), gzipSync(config)])],
    ["nothing that can be unpacked", inside(Buffer.from("x"))],
    ["its end before its mark", Buffer.from("IKCFG_EDIKCFG_ST")],
  ])("is not there with %s", (_name, content) => {
    expect(embeddedConfig(elf({ content }))).toBeUndefined();
  });
});
