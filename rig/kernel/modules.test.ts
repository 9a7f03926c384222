import { describe, expect, test } from "vitest";
import { BOOT_MODULES, LAB_MODULES, moduleName, parseModuleIndex, ROLE_MODULES } from "./modules.ts";

test.each([
  ["kernel/drivers/scsi/iscsi_tcp.ko", "iscsi_tcp"],
  ["kernel/drivers/scsi/iscsi_tcp.ko.xz", "iscsi_tcp"],
  ["kernel/crypto/crc32c-generic.ko.zst", "crc32c_generic"],
  ["kernel/x.ko.gz", "x"],
  ["iscsi-tcp", "iscsi_tcp"],
])("the module in %s is %s", (file, name) => {
  expect(moduleName(file)).toBe(name);
});

const DEP = `kernel/drivers/scsi/iscsi_tcp.ko.xz: kernel/drivers/scsi/libiscsi_tcp.ko.xz kernel/drivers/scsi/libiscsi.ko.xz kernel/drivers/scsi/scsi_transport_iscsi.ko.xz kernel/drivers/scsi/scsi_mod.ko.xz
kernel/drivers/scsi/libiscsi_tcp.ko.xz: kernel/drivers/scsi/libiscsi.ko.xz kernel/drivers/scsi/scsi_transport_iscsi.ko.xz kernel/drivers/scsi/scsi_mod.ko.xz
kernel/drivers/scsi/libiscsi.ko.xz: kernel/drivers/scsi/scsi_transport_iscsi.ko.xz kernel/drivers/scsi/scsi_mod.ko.xz
kernel/drivers/scsi/scsi_transport_iscsi.ko.xz: kernel/drivers/scsi/scsi_mod.ko.xz
kernel/drivers/scsi/scsi_mod.ko.xz:
kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz
kernel/lib/crc16.ko.xz:
kernel/crypto/crc32c-generic.ko.xz:
kernel/crypto/aes-x.ko.xz:
kernel/a.ko: kernel/b.ko
kernel/b.ko: kernel/a.ko

not a line of depmod
`;
const SOFTDEP = `# Soft dependencies extracted from modules themselves.
softdep ext4 pre: crc32c-generic
softdep ext4 pre: aes-x
softdep libiscsi post: scsi_debug
softdep scsi-mod post: ext4 pre: nothing-known aes-x
softdep a pre: b post: ext4
`;
const index = parseModuleIndex(DEP, SOFTDEP);
const names = (...wanted: readonly string[]) => index.resolve(wanted).map(moduleName);

describe("the order of loading", () => {
  test("is dependencies first, soft ones too", () => {
    expect(names("iscsi_tcp")).toEqual([
      "aes_x",
      "scsi_mod",
      "scsi_transport_iscsi",
      "libiscsi",
      "libiscsi_tcp",
      "iscsi_tcp",
    ]);
  });

  test("has every soft dependency of a module that names several, and none that should come after", () => {
    expect(names("ext4")).toEqual(["crc32c_generic", "aes_x", "crc16", "ext4"]);
    expect(names("libiscsi")).not.toContain("scsi_debug");
  });

  test("names each once, whoever needs it", () => {
    const all = names("iscsi_tcp", "libiscsi", "iscsi_tcp", "scsi_mod");
    expect(new Set(all).size).toBe(all.length);
  });

  test("takes hyphens for underscores, as modprobe does", () => {
    expect(names("crc32c_generic")).toEqual(names("crc32c-generic"));
    expect(names("iscsi-tcp")).toEqual(names("iscsi_tcp"));
    expect(index.has("crc32c-generic") && index.has("crc32c_generic")).toBe(true);
  });

  test("leaves out what is unknown or built in", () => {
    expect(names("virtio_blk", "crc16", "nothing")).toEqual(["crc16"]);
    expect(index.has("virtio_blk")).toBe(false);
    expect(parseModuleIndex("", "").resolve(["ext4"])).toEqual([]);
  });

  test("of a circle ends", () => {
    expect(names("a")).toEqual(["b", "a"]);
  });
});

test("no list names a module twice", () => {
  for (const list of [BOOT_MODULES, LAB_MODULES, ...Object.values(ROLE_MODULES)]) {
    expect(new Set(list).size).toBe(list.length);
  }
});
