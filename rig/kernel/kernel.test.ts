import { chmod, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { silentLog } from "../core/log.ts";
import { ownCache, standIns, temporaryDirectory } from "../testing/bench-dir.ts";
import { elf } from "../testing/elf.ts";
import { BUNDLE_PROGRAMS, bundlesInCache, kernelImage, moduleOf, writeFiles } from "../testing/kernel-programs.ts";
import { aboutKernel } from "./about.ts";
import { kernelStatus, resolveKernel } from "./kernel.ts";
import { type KernelNames, parseKernel } from "./spec.ts";

const RELEASE = "6.1.0-x";
const NAMES: KernelNames = { kernels: [], suffixes: [] };

let dir: string;
let cache: string;
beforeEach(async () => {
  cache = await ownCache();
  dir = await temporaryDirectory();
});

const spec = (text: string) => parseKernel(text, NAMES, { cwd: dir, home: "/nowhere" });

/** A .deb is a file with its mark; dpkg-deb knows it by its architecture, and unpacks a kernel from beside it. */
const debian = (architecture = "amd64") => ({
  ...BUNDLE_PROGRAMS,
  "dpkg-deb": `case $1 in
    --show) printf 'linux-image-x\\n6.1-1\\n${architecture}\\n' ;;
    --extract) mkdir -p "$3/boot" && cp "$(dirname "$2")/vmlinuz" "$3/boot/vmlinuz-${RELEASE}" &&
      mkdir -p "$3/lib/modules/${RELEASE}/kernel" ;;
  esac`,
});
const DEB = "!<arch>\ndebian-binary   1";

describe("a kernel on this machine", () => {
  test("as an image is bundled once, and then there without anything being run", async () => {
    const calls = await standIns(BUNDLE_PROGRAMS);
    await writeFiles(dir, { "linux/arch/x86/boot/bzImage": kernelImage(RELEASE) });
    const one = spec("image:linux/arch/x86/boot/bzImage");
    expect(await kernelStatus(one)).toMatchObject({ state: "to bundle" });
    const made = await resolveKernel(one, silentLog);
    expect(made).toMatchObject({
      name: expect.stringMatching(/^image-linux-[0-9a-f]{6}$/) as string,
      identity: { given: `image:${dir}/linux/arch/x86/boot/bzImage`, release: RELEASE },
    });
    expect(made.identity.name).toBe(made.name);
    const before = (await calls()).length;
    expect(await resolveKernel(one, silentLog)).toEqual(made);
    expect(await kernelStatus(one)).toMatchObject({ state: "cached", kernel: made });
    expect((await calls()).length).toBe(before);
  });

  test("is another one when its content is", async () => {
    await standIns(BUNDLE_PROGRAMS);
    const [image, root] = [path.join(dir, "bzImage"), path.join(dir, "root")];
    await writeFiles(dir, {
      bzImage: kernelImage(RELEASE),
      [`root/lib/modules/${RELEASE}/kernel/a.ko`]: moduleOf(RELEASE),
    });
    const one = spec(`image:${image},modules=${root}`);
    const first = await resolveKernel(one, silentLog);
    await writeFiles(dir, { [`root/lib/modules/${RELEASE}/kernel/b.ko`]: moduleOf(RELEASE) });
    const second = await resolveKernel(one, silentLog);
    await writeFile(image, kernelImage(RELEASE, { content: "more" }));
    const third = await resolveKernel(one, silentLog);
    expect(new Set([first, second, third].map(({ bundle }) => bundle.key)).size).toBe(3);
    expect(second.identity.sha256).toBe(first.identity.sha256);
    expect(third.identity.sha256).not.toBe(first.identity.sha256);
  });

  test("as a package has its name and version", async () => {
    await standIns(debian());
    await writeFiles(dir, { "linux.deb": DEB, vmlinuz: kernelImage(RELEASE) });
    const { identity } = await resolveKernel(spec("deb:linux.deb"), silentLog);
    expect(identity).toMatchObject({ package: "linux-image-x", packageVersion: "6.1-1", release: RELEASE });
  });

  test("as a tree is bundled with its modules", async () => {
    await standIns(BUNDLE_PROGRAMS);
    await writeFiles(dir, {
      "linux/.config": "",
      "linux/arch/x86/boot/bzImage": kernelImage(RELEASE),
      "linux/modules.order": "a/virtio_blk.o\n",
      "linux/a/virtio_blk.ko": moduleOf("6.0.0-old"),
    });
    // An empty configuration lacks everything; it is the tree's, and so it counts.
    await expect(resolveKernel(spec("tree:linux"), silentLog)).rejects.toThrow("CONFIG_VIRTIO_BLK is not set");
    expect(await bundlesInCache()).toEqual([]);
  });
});

describe("what cannot be used is told, and leaves nothing behind:", () => {
  const files = { "linux.deb": DEB, vmlinuz: kernelImage(RELEASE), "arm.img": elf({ machine: 183 }), "x.rpm": "rpm" };
  test.each<[string, string, RegExp]>([
    ["a package of another architecture", "deb:linux.deb", /is for arm64; only kernels for x86-64 \(amd64\)/],
    ["a package of another kind", "deb:x.rpm", /x\.rpm is no Debian package.*image:FILE,modules=DIR/],
    ["no such package", "deb:none.deb", /Expected a kernel package at .*none\.deb/],
    ["a device for an image", "image:/dev/null", /Expected a kernel image at \/dev\/null; it is no file/],
    ["a suffix behind a file", "image:vmlinuz+foo", /take no suffixes/],
    ["a directory for an image", "image:.", /Expected a kernel image at .*; it is a directory\. For a tree .*: tree:/],
    ["an image of another architecture", "image:arm.img", /arm\.img is for arm64; only kernels for x86-64/],
    ["no modules of its release", "image:vmlinuz,modules=.", /Expected modules of 6\.1\.0-x.*there are none of any/],
    ["no such directory of modules", "image:vmlinuz,modules=none", /Expected modules of 6\.1\.0-x.*no such directory/],
    ["no such tree", "tree:none", /Expected a built Linux tree at .*none; there is none/],
  ])("%s", async (_name, text, words) => {
    await standIns(debian("arm64"));
    await writeFiles(dir, files);
    const failure = { code: "RIG_KERNEL_BUNDLE", blame: "usage", message: expect.stringMatching(words) as string };
    await expect(resolveKernel(spec(text), silentLog)).rejects.toMatchObject(failure);
    expect(await kernelStatus(spec(text))).toEqual({ state: "cannot", why: expect.stringMatching(words) as string });
    expect(await readdir(path.join(cache, "boot-bundle")).catch(() => [])).toEqual([]);
  });

  test("a package whose modules are in another one", async () => {
    await standIns({
      ...debian(),
      "dpkg-deb": `case $1 in
        --show) printf 'l\\n1\\namd64\\n' ;;
        --extract) mkdir -p "$3/boot" && cp "$(dirname "$2")/vmlinuz" "$3/boot/vmlinuz-${RELEASE}" ;;
      esac`,
    });
    await writeFiles(dir, files);
    await expect(resolveKernel(spec("deb:linux.deb"), silentLog)).rejects.toThrow(
      /Expected modules of 6\.1\.0-x.* in the package .*linux\.deb \(one with modules of its own: unpack both/,
    );
    expect(await bundlesInCache()).toEqual([]);
  });

  test("a meta package", async () => {
    await standIns({ ...debian(), "dpkg-deb": "case $1 in --show) printf 'l\\n1\\namd64\\n' ;; esac" });
    await writeFiles(dir, files);
    await expect(resolveKernel(spec("deb:linux.deb"), silentLog)).rejects.toThrow(
      /Expected boot\/vmlinuz-\* in the package .*A meta package has none/,
    );
    expect(await bundlesInCache()).toEqual([]);
  });
});

describe("what is known of a kernel", () => {
  test("that is neither fetched nor built is what it takes", async () => {
    await standIns({ "apt-get": "exit 1", make: "exit 1" });
    const about = (text: string) => aboutKernel(spec(text), []);
    expect(await about("debian:trixie/linux-image-amd64")).toMatchObject({ state: "to fetch", files: [], bytes: 0 });
    expect(await about("source:trixie/linux-source-6.12")).toMatchObject({ state: "to build", files: [], bytes: 0 });
  });

  test("that is ready is what it is, where it is, and what it takes on the disk", async () => {
    await standIns(BUNDLE_PROGRAMS);
    await writeFiles(dir, { vmlinuz: kernelImage(RELEASE) });
    const { identity } = await resolveKernel(spec("image:vmlinuz"), silentLog);
    const about = await aboutKernel(spec("image:vmlinuz"), []);
    expect(about).toMatchObject({ state: "cached", from: `image:${dir}/vmlinuz`, identity, entry: "pvh" });
    expect(about.files.map(({ what }) => what)).toEqual(["image", "boot bundle"]);
    expect(about.bytes).toBe(about.files.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(about.config).toBeUndefined();
  });

  test("that cannot be read is why", async () => {
    await writeFiles(dir, { vmlinuz: "x" });
    await chmod(path.join(dir, "vmlinuz"), 0o600);
    expect(await aboutKernel(spec("image:vmlinuz"), [])).toMatchObject({
      state: "cannot",
      why: expect.stringContaining("it has only 1 bytes") as string,
      files: [],
    });
  });
});
