import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { silentLog } from "../core/log.ts";
import { ownCache, standIns } from "../testing/bench-dir.ts";
import { cachedKernelPackage, imageBehind, kernelPackage } from "./package.ts";

test.each<[string, string | undefined, string | undefined]>([
  ["a meta package", "linux-image-6.1.0-48-amd64 (= 6.1.170-1)", "linux-image-6.1.0-48-amd64"],
  ["among others", "initramfs-tools, linux-image-6.12.9+deb13-amd64, kmod", "linux-image-6.12.9+deb13-amd64"],
  ["a real one", "kmod, linux-base (>= 4.3~), linux-image-cloud-amd64", undefined],
  ["no dependency", undefined, undefined],
])("the image behind %s", (_name, depends, image) => {
  expect(imageBehind(depends === undefined ? {} : { Depends: depends })).toBe(image);
});

const ENTRY = { name: "debian-6.1", suites: ["bookworm"], package: "linux-image-amd64" };

/** An archive with one kernel of this version, which leaves the package in the working directory as apt does. */
const archive = (version: string) => ({
  "apt-get": `case "$*" in
    *indextargets*) echo 'http://mirror/debian/|bookworm|main' ;;
    *download*) for last in "$@"; do :; done; echo "contents of $last" > "\${last%%=*}_${version}_amd64.deb" ;;
  esac`,
  "apt-cache": `for name in "$@"; do :; done
    echo "Package: $name"; echo "Version: ${version}"; echo "SHA256: $(printf '%064d' ${version.replaceAll(/\D/g, "")})"
    [ $name = linux-image-amd64 ] && echo "Depends: linux-image-6.1.0-x-amd64 (= ${version})"; true`,
});

describe("a kernel package", () => {
  test("is fetched once and then known without asking the archive", async () => {
    const cache = await ownCache();
    const calls = await standIns(archive("6.1.1-1"));
    expect(await cachedKernelPackage(ENTRY)).toBeUndefined();
    const first = await kernelPackage(ENTRY, silentLog);
    expect(first).toMatchObject({ package: "linux-image-6.1.0-x-amd64", version: "6.1.1-1", suites: ["bookworm"] });
    expect(await readFile(first.deb, "utf8")).toBe("contents of linux-image-6.1.0-x-amd64=6.1.1-1\n");
    const asked = (await calls()).length;
    expect(await kernelPackage(ENTRY, silentLog)).toEqual(first);
    expect(await cachedKernelPackage(ENTRY)).toEqual(first);
    expect((await calls()).length).toBe(asked);
    expect(await readdir(path.join(cache, "kernel-pointers"))).toEqual(["debian-6.1.json"]);
  });

  test("stays when the archive moves on, until the newest is asked for", async () => {
    await ownCache();
    await standIns(archive("6.1.1-1"));
    await kernelPackage(ENTRY, silentLog);
    await standIns(archive("6.1.2-1"));
    expect((await kernelPackage(ENTRY, silentLog)).version).toBe("6.1.1-1");
    expect((await kernelPackage(ENTRY, silentLog, { refresh: true })).version).toBe("6.1.2-1");
    expect((await kernelPackage(ENTRY, silentLog)).version).toBe("6.1.2-1");
  });

  test.each<[string, (cache: string, deb: string) => Promise<void>]>([
    ["its file is damaged", (_cache, deb) => writeFile(deb, "x")],
    ["the pointer to it is garbled", cache => writeFile(path.join(cache, "kernel-pointers/debian-6.1.json"), "{")],
    ["the pointer is no pointer", cache => writeFile(path.join(cache, "kernel-pointers/debian-6.1.json"), "{}")],
  ])("is fetched again when %s", async (_name, damage) => {
    const cache = await ownCache();
    await standIns(archive("6.1.1-1"));
    const first = await kernelPackage(ENTRY, silentLog);
    await damage(cache, first.deb);
    expect(await cachedKernelPackage(ENTRY)).toBeUndefined();
    expect(await kernelPackage(ENTRY, silentLog)).toEqual(first);
    expect(await readFile(first.deb, "utf8")).toMatch(/^contents of/);
  });

  test("is fetched again when the catalogue names other suites", async () => {
    await ownCache();
    await standIns(archive("6.1.1-1"));
    await kernelPackage(ENTRY, silentLog);
    expect(await cachedKernelPackage({ ...ENTRY, suites: ["trixie"] })).toBeUndefined();
  });

  test("is fetched again when the catalogue names another package, but not because a pointer does not say", async () => {
    const cache = await ownCache();
    await standIns(archive("6.1.1-1"));
    const first = await kernelPackage(ENTRY, silentLog);
    const other = { ...ENTRY, package: "linux-image-cloud-amd64" };
    expect(await cachedKernelPackage(other)).toBeUndefined();
    const file = path.join(cache, "kernel-pointers/debian-6.1.json");
    const { wanted, ...older } = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    expect(wanted).toBe("linux-image-amd64");
    await writeFile(file, JSON.stringify(older));
    expect(await cachedKernelPackage(ENTRY)).toMatchObject({ sha256: first.sha256 });
  });

  test("that apt does not leave is an error, until it does", async () => {
    await ownCache();
    await standIns({ ...archive("6.1.1-1"), "apt-get": "echo 'http://mirror/debian/|bookworm|main'" });
    await expect(kernelPackage(ENTRY, silentLog)).rejects.toMatchObject({ code: "RIG_KERNEL_FETCH" });
    expect(await cachedKernelPackage(ENTRY)).toBeUndefined();
    await standIns(archive("6.1.1-1"));
    expect((await kernelPackage(ENTRY, silentLog)).version).toBe("6.1.1-1");
  });
});
