import { readFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { silentLog } from "../core/log.ts";
import { ownCache, standIns, temporaryDirectory } from "../testing/bench-dir.ts";
import { elf } from "../testing/elf.ts";
import {
  BUNDLE_PROGRAMS,
  bundlesInCache,
  kernelImage,
  moduleOf,
  withConfig,
  writeFiles,
} from "../testing/kernel-programs.ts";
import { type BootBundle, bundleOf, cachedBundle, type KernelParts } from "./bundle.ts";
import { missingNeeds } from "./needs.ts";

const RELEASE = "6.1.0-x";
const NEEDED = missingNeeds({ config: new Map(), hasModule: () => false }).map(line => line.split(" ")[0] ?? "");
const CONFIG = NEEDED.map(symbol => `${symbol}=y\n`).join("");

let dir: string;
beforeEach(async () => {
  await ownCache();
  await standIns(BUNDLE_PROGRAMS);
  dir = await temporaryDirectory();
});

/** A bundle of files in `dir`, the image being called `image`. */
const bundle = async (
  files: Readonly<Record<string, string | Buffer>>,
  more: Partial<KernelParts> = {},
): Promise<BootBundle> => {
  await writeFiles(dir, files);
  const open = () => Promise.resolve({ image: path.join(dir, "image"), ...more });
  return bundleOf({ name: "mine", content: ["x"], open, log: silentLog });
};

const inBundle = ({ directory }: BootBundle, name: string) => readFile(path.join(directory, name));

describe("a boot bundle", () => {
  test("has the kernel unpacked, where QEMU can start it so, and knows it again", async () => {
    expect(await cachedBundle(["x"])).toBeUndefined();
    const made = await bundle({ image: kernelImage(RELEASE) });
    expect(made).toMatchObject({ release: RELEASE, entry: "pvh" });
    expect((await inBundle(made, "kernel")).equals(elf())).toBe(true);
    expect(await cachedBundle(["x"])).toEqual(made);
    expect(await cachedBundle(["y"])).toBeUndefined();
  });

  test("has the image as it came, where the kernel has no PVH entry", async () => {
    const image = kernelImage(RELEASE, { notes: [] });
    const made = await bundle({ image });
    expect(made.entry).toBe("bzimage");
    expect((await inBundle(made, "kernel")).equals(image)).toBe(true);
  });

  test("can be made of a vmlinux", async () => {
    const image = elf({ content: "Linux version 6.6.1 (x)" });
    const made = await bundle({ image });
    expect(made).toMatchObject({ release: "6.6.1", entry: "pvh" });
    expect((await inBundle(made, "kernel")).equals(image)).toBe(true);
  });

  test("of a kernel without modules has empty lists, and an empty but whole disk", async () => {
    const made = await bundle({ image: kernelImage(RELEASE) });
    const archive = (await readFile(made.initramfs)).toString("latin1");
    for (const name of ["m/boot.list", "m/target.list", "m/initiator.list"]) expect(archive).toContain(name);
    expect(archive).not.toContain(".ko");
    expect((await inBundle(made, "modules.erofs")).toString()).toContain(`./${RELEASE}/modules.builtin\n`);
  });

  test("has the modules that a lab loads, unpacked, and no others", async () => {
    const modules = path.join(dir, "root");
    const lacking = bundle(
      {
        image: kernelImage(RELEASE),
        [`root/lib/modules/${RELEASE}/kernel/a/virtio_blk.ko`]: moduleOf(RELEASE),
        [`root/lib/modules/${RELEASE}/kernel/a/iscsi_tcp.ko`]: moduleOf(RELEASE),
        [`root/lib/modules/${RELEASE}/kernel/a/floppy.ko`]: moduleOf(RELEASE),
        [`root/lib/modules/${RELEASE}/modules.builtin`]: "kernel/drivers/scsi/sd_mod.ko\n",
      },
      { modules },
    );
    // What it lacks is told from the two lists: sd_mod is built in, erofs is in neither.
    await expect(lacking).rejects.toThrow("CONFIG_EROFS_FS is neither built in nor a module (erofs)");
    await expect(lacking).rejects.not.toThrow(/VIRTIO_BLK|ISCSI_TCP|BLK_DEV_SD/);
    const whole = await bundle({ image: kernelImage(RELEASE, { content: withConfig(CONFIG) }) }, { modules });
    const archive = (await readFile(whole.initramfs)).toString("latin1");
    expect(archive).toContain("m/virtio_blk.ko");
    expect(archive).toContain("m/iscsi_tcp.ko");
    const disk = (await inBundle(whole, "modules.erofs")).toString();
    expect(disk).toContain("iscsi_tcp.ko");
    expect(disk).not.toContain("floppy");
  });

  test("has modules without symbols for a debugger, unless that would break a signature", async () => {
    await standIns({ ...BUNDLE_PROGRAMS, strip: 'echo stripped > "$3"' });
    const place = `root/lib/modules/${RELEASE}/kernel`;
    const made = await bundle(
      {
        image: kernelImage(RELEASE, { content: withConfig(CONFIG) }),
        [`${place}/virtio_blk.ko`]: `${moduleOf(RELEASE)}.debug_info`,
        [`${place}/virtio_net.ko`]: `${moduleOf(RELEASE)}.debug_info signed ~Module signature appended~\n`,
      },
      { modules: path.join(dir, "root") },
    );
    const archive = (await readFile(made.initramfs)).toString("latin1");
    expect(archive.match(/stripped|signed/g)).toEqual(["stripped", "signed"]);
  });

  test("keeps the configuration: the kernel's own rather than the one that lies beside it", async () => {
    const made = await bundle(
      { image: kernelImage(RELEASE, { content: withConfig(CONFIG) }), config: "CONFIG_OTHER=y\n" },
      { config: path.join(dir, "config") },
    );
    expect(await readFile(made.config ?? "", "utf8")).toBe(CONFIG);
    expect(made.configSha256).toMatch(/^[0-9a-f]{64}$/);
    const beside = await bundleOf({
      name: "mine",
      content: ["beside"],
      open: async to => {
        await writeFiles(to, { image: kernelImage(RELEASE), config: CONFIG });
        return { image: path.join(to, "image"), config: path.join(to, "config") };
      },
      log: silentLog,
    });
    expect(beside.configSha256).toBe(made.configSha256);
  });
});

describe("a kernel that is of no use leaves nothing in the cache:", () => {
  const other = `root/lib/modules/6.6.6/kernel/virtio_blk.ko`;
  const under = `root/lib/modules/${RELEASE}/kernel/virtio_blk.ko`;
  const lacking = CONFIG.replace("CONFIG_VIRTIO_PCI=y\n", "").replace("CONFIG_TMPFS=y", "CONFIG_TMPFS=n");

  test.each<[string, Record<string, string | Buffer>, boolean, string]>([
    ["another architecture", { image: elf({ machine: 183 }) }, false, "is for arm64; only kernels for x86-64"],
    ["another inside", { image: kernelImage(RELEASE, { machine: 3 }) }, false, "is for x86, 32 bits; only"],
    ["a program", { image: elf() }, false, 'an ELF file without the words "Linux version"'],
    ["a text", { image: "x".repeat(5000) }, false, "it has no HdrS mark"],
    ["a vmlinux without PVH", { image: elf({ content: "Linux version 6.6.1 (x)", notes: [] }) }, false, "CONFIG_PVH"],
    [
      "symbols missing, all of them at once",
      { image: kernelImage(RELEASE, { content: withConfig(lacking) }) },
      false,
      "  CONFIG_TMPFS is not set: everything that a guest writes\n  CONFIG_VIRTIO_PCI is not set: QEMU's devices\n",
    ],
    [
      "modules, and nobody says where",
      { image: kernelImage(RELEASE, { content: withConfig(CONFIG.replace("EROFS_FS=y", "EROFS_FS=m")) }) },
      false,
      ",modules=DIR",
    ],
    [
      "no modules of its release",
      { image: kernelImage(RELEASE), [other]: moduleOf("6.6.6") },
      true,
      `Expected modules of ${RELEASE}, the kernel's own release, in`,
    ],
    [
      "modules of another release",
      { image: kernelImage(RELEASE), [other]: moduleOf("6.6.6") },
      true,
      "there are those of 6.6.6.",
    ],
    [
      "modules that were built for another release",
      { image: kernelImage(RELEASE, { content: withConfig(CONFIG) }), [under]: moduleOf("6.1.0-y") },
      true,
      `was built for 6.1.0-y, the kernel is ${RELEASE}`,
    ],
  ])("%s", async (_name, files, withModules, words) => {
    const made = bundle(files, withModules ? { modules: path.join(dir, "root") } : {});
    await expect(made).rejects.toMatchObject({
      code: "RIG_KERNEL_BUNDLE",
      blame: "usage",
      message: expect.stringContaining(words) as string,
    });
    expect(await bundlesInCache()).toEqual([]);
    expect(await cachedBundle(["x"])).toBeUndefined();
  });

  test("a full disk, after which the next try works", async () => {
    await standIns({ "mkfs.erofs": "echo 'write failed: No space left on device' >&2; exit 1" });
    const image = kernelImage(RELEASE);
    await expect(bundle({ image })).rejects.toMatchObject({ code: "RIG_NO_SPACE", blame: "environment" });
    expect(await bundlesInCache()).toEqual([]);
    await standIns(BUNDLE_PROGRAMS);
    expect(await bundle({ image })).toMatchObject({ release: RELEASE });
  });
});
