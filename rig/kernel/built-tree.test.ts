import { readFile, realpath, rm } from "node:fs/promises";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { kernelImage, moduleOf, writeFiles } from "../testing/kernel-programs.ts";
import { builtTree } from "./built-tree.ts";

const RELEASE = "6.1.0-mine";
const IMAGE = "arch/x86/boot/bzImage";
const TREE = {
  ".config": "CONFIG_X86_64=y\nCONFIG_MODULES=y\nCONFIG_ISCSI_TCP=m\n",
  [IMAGE]: kernelImage(RELEASE),
  "modules.order": "drivers/scsi/iscsi_tcp.o\nlib/crc.o\n",
  "modules.builtin": "kernel/drivers/scsi/sd_mod.ko\n",
  "drivers/scsi/iscsi_tcp.ko": moduleOf(RELEASE),
  "lib/crc.ko": moduleOf(RELEASE),
};

let dir: string;
beforeEach(async () => {
  dir = await temporaryDirectory();
});

describe("a built tree", () => {
  test("has its modules laid out as an installation would, and stays as it is", async () => {
    await writeFiles(dir, TREE);
    const to = await temporaryDirectory();
    const parts = await (await builtTree(dir)).open(to);
    expect(parts).toEqual({ image: path.join(dir, IMAGE), modules: to, config: path.join(dir, ".config") });
    const tree = path.join(to, "lib/modules", RELEASE);
    expect(await realpath(path.join(tree, "kernel/drivers/scsi/iscsi_tcp.ko"))).toBe(
      path.join(dir, "drivers/scsi/iscsi_tcp.ko"),
    );
    expect(await readFile(path.join(tree, "modules.order"), "utf8")).toBe(
      "kernel/drivers/scsi/iscsi_tcp.ko\nkernel/lib/crc.ko\n",
    );
    expect(await readFile(path.join(tree, "modules.builtin"), "utf8")).toBe(TREE["modules.builtin"]);
  });

  test("of an older kernel lists modules instead of objects", async () => {
    await writeFiles(dir, { ...TREE, "modules.order": "kernel/drivers/scsi/iscsi_tcp.ko\nlib/crc.ko\n" });
    const to = await temporaryDirectory();
    await (await builtTree(dir)).open(to);
    expect(await readFile(path.join(to, "lib/modules", RELEASE, "modules.order"), "utf8")).toBe(
      "kernel/drivers/scsi/iscsi_tcp.ko\nkernel/lib/crc.ko\n",
    );
  });

  test("may have modules in the source's own directory kernel", async () => {
    const order = "drivers/scsi/iscsi_tcp.o\nlib/crc.o\nkernel/configs.o\n";
    await writeFiles(dir, { ...TREE, "modules.order": order, "kernel/configs.ko": "configs" });
    const to = await temporaryDirectory();
    await (await builtTree(dir)).open(to);
    expect(await readFile(path.join(to, "lib/modules", RELEASE, "modules.order"), "utf8")).toContain(
      "kernel/kernel/configs.ko\n",
    );
  });

  test("may have everything built in", async () => {
    await writeFiles(dir, { [IMAGE]: TREE[IMAGE], ".config": "CONFIG_MODULES=y\n" });
    const to = await temporaryDirectory();
    expect(await (await builtTree(dir)).open(to)).toMatchObject({ modules: to });
  });

  test("is known by its image, its configuration and its modules", async () => {
    await writeFiles(dir, TREE);
    const { content } = await builtTree(dir);
    expect((await builtTree(dir)).content).toEqual(content);
    const changes: Record<string, string | Buffer>[] = [
      { [IMAGE]: kernelImage(RELEASE, { content: "x" }) },
      { ".config": `${TREE[".config"]}CONFIG_X=y\n` },
      { "lib/crc.ko": `${moduleOf(RELEASE)}x` },
    ];
    for (const change of changes) {
      await writeFiles(dir, { ...TREE, ...change });
      expect((await builtTree(dir)).content).not.toEqual(content);
    }
  });
});

describe("a tree that cannot be used is told, and what to do:", () => {
  const without = (...names: readonly string[]) =>
    Object.fromEntries(Object.entries(TREE).filter(([name]) => !names.includes(name)));
  test.each<[string, Record<string, string | Buffer>, RegExp]>([
    ["no image", without(IMAGE), /Expected arch\/x86\/boot\/bzImage in .*make -j\$\(nproc\) bzImage modules$/],
    [
      "no list of modules",
      without("modules.order"),
      /Expected modules\.order.*1 modules \(CONFIG_ISCSI_TCP.* modules$/,
    ],
    ["a module missing", without("lib/crc.ko"), /Expected the module lib\/crc\.ko .* modules$/],
    ["not configured", { Kconfig: "" }, /it has no \.config\. Configure it and run make there, or .* source:/],
    ["no tree at all", { x: "" }, /it is no Linux tree/],
    ["another architecture", { ".config": "CONFIG_ARM64=y\n" }, /CONFIG_ARM64; only kernels for x86-64/],
    [
      "another architecture, built",
      { ".config": "CONFIG_PPC=y\n", "arch/powerpc/boot/zImage": "x" },
      /CONFIG_PPC; only kernels for x86-64/,
    ],
  ])("%s", async (_name, files, words) => {
    await writeFiles(dir, files);
    await expect(builtTree(dir)).rejects.toMatchObject({
      code: "RIG_KERNEL_BUNDLE",
      blame: "usage",
      message: expect.stringMatching(words) as string,
    });
  });

  test("not there", async () => {
    await rm(dir, { recursive: true });
    await expect(builtTree(dir)).rejects.toThrow(`Expected a built Linux tree at ${dir}; there is none.`);
  });

  test("one that loads signed modules only", async () => {
    await writeFiles(dir, { ...TREE, ".config": `${TREE[".config"]}CONFIG_MODULE_SIG_FORCE=y\n` });
    const tree = await builtTree(dir);
    await expect(tree.open(await temporaryDirectory())).rejects.toThrow("CONFIG_MODULE_SIG_FORCE");
  });
});
