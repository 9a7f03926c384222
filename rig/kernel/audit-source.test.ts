import { execFile } from "node:child_process";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { silentLog } from "../core/log.ts";
import { ownCache, standIns, temporaryDirectory } from "../testing/bench-dir.ts";
import { sourcePackageOf } from "./audit-debian.ts";
import { type AuditSource, auditSourceOf } from "./audit-source.ts";
import type { KernelNames, KernelOrigin } from "./spec.ts";

vi.mock("./variants.ts", () => ({
  loadVariants: () =>
    Promise.resolve(
      ["seed-defect-1", "slow-stop"].map(name => ({
        name,
        title: name,
        kind: "defect",
        about: name,
        excludes: [],
        patches: [],
      })),
    ),
  applyVariants: (_tree: string, _title: string, variants: readonly { name: string }[]) =>
    Promise.resolve({
      files: new Map(variants.map(({ name }) => ["drivers/scsi/libiscsi.c", `int patched; /* ${name} */`])),
      used: [],
    }),
}));

const FILES = ["drivers/scsi/libiscsi.c", "drivers/scsi/iscsi_tcp.c"];
const CATALOGUE: KernelNames = {
  kernels: [
    {
      name: "linux-6.1",
      title: "Linux 6.1",
      origin: { kind: "source", from: { package: "linux-source-6.1", suites: ["bookworm", "bookworm-security"] } },
      suffixes: [],
    },
  ],
  suffixes: [],
};

const sourceOf = (origin: KernelOrigin, suffixes: readonly string[] = []): Promise<AuditSource> =>
  auditSourceOf(
    { name: "x", text: "x", title: "x", origin, suffixes },
    { files: FILES, catalogue: CATALOGUE, log: silentLog },
  );

/** A Linux tree as far as the rig looks at it. */
const tree = async (text = "int f(void) { } // Ä\n"): Promise<string> => {
  const dir = path.join(await temporaryDirectory(), "linux-source-6.1");
  for (const [name, content] of [
    ["Makefile", "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 9\nEXTRAVERSION =\n"],
    ["Kconfig", ""],
    ["arch/x86/Makefile", ""],
    ["drivers/scsi/libiscsi.c", text],
    ["drivers/scsi/iscsi_tcp.c", "int g(void) { }\n"],
  ] as const) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), content);
  }
  return dir;
};

describe("the source of a built tree is", () => {
  test("the tree", async () => {
    const dir = await tree();
    expect(await sourceOf({ kind: "tree", dir })).toEqual({
      title: dir,
      sources: new Map([
        [FILES[0], "int f(void) { } // Ä\n"],
        [FILES[1], "int g(void) { }\n"],
      ]),
    });
  });

  test.each<[string, (out: string, source: string) => Promise<void>]>([
    ["the link of its output directory", (out, source) => symlink(source, path.join(out, "source"))],
    [
      "the Makefile of its output directory",
      (out, source) => writeFile(path.join(out, "Makefile"), `# made by Kbuild\ninclude ${source}/Makefile\n`),
    ],
  ])("where it points to: %s", async (_name, point) => {
    const source = await tree();
    const out = await temporaryDirectory();
    await point(out, source);
    expect(await sourceOf({ kind: "tree", dir: out })).toMatchObject({ title: source });
  });

  test("not there, as with headers alone", async () => {
    const dir = await temporaryDirectory();
    expect(await sourceOf({ kind: "tree", dir })).toEqual({ why: `there is no source in ${dir}` });
  });

  test("an error where there is no tree at all", async () => {
    await expect(sourceOf({ kind: "tree", dir: "/no/such/tree" })).rejects.toMatchObject({
      code: "RIG_FILE",
      blame: "usage",
    });
  });
});

describe("the source of a kernel that the rig builds is", () => {
  test("what it is built from", async () => {
    await ownCache();
    const dir = await tree();
    const source = await sourceOf({ kind: "source", from: { dir } });
    expect(source).toMatchObject({ title: "linux-source-6.1" });
    expect("sources" in source && source.sources.get("drivers/scsi/libiscsi.c")).toBe("int f(void) { } // Ä\n");
  });

  test("with its variants", async () => {
    await ownCache();
    const source = await sourceOf({ kind: "source", from: { dir: await tree() } }, ["seed-defect-1", "kasan"]);
    expect(source).toMatchObject({ title: "linux-source-6.1 with +seed-defect-1" });
    expect("sources" in source && source.sources.get("drivers/scsi/libiscsi.c")).toBe(
      "int patched; /* seed-defect-1 */",
    );
  });
});

test("an image has none, if it is there", async () => {
  const file = path.join(await temporaryDirectory(), "vmlinuz");
  await expect(sourceOf({ kind: "image", file })).rejects.toMatchObject({ code: "RIG_FILE", blame: "usage" });
  await writeFile(file, "x");
  expect(await sourceOf({ kind: "image", file })).toMatchObject({ why: expect.stringContaining("--run") as string });
});

test.each<[string, string, string | undefined, unknown]>([
  [
    "linux-image-6.1.0-56-amd64",
    "6.1.192-2",
    "linux-signed-amd64 (6.1.192+2)",
    { package: "linux-source-6.1", version: "6.1.192-2" },
  ],
  [
    "linux-image-6.12.9-amd64-unsigned",
    "6.12.9-1~bpo12+1",
    "linux (6.12.9-1)",
    { package: "linux-source-6.12", version: "6.12.9-1~bpo12+1" },
  ],
  ["linux-image-6.1.0-5-amd64", "6.1.7-1", "linux", { package: "linux-source-6.1", version: "6.1.7-1" }],
  [
    "linux-image-7.0~rc3-amd64-unsigned",
    "7.0~rc3-1~exp1",
    "linux",
    { package: "linux-source-7.0", version: "7.0~rc3-1~exp1" },
  ],
  [
    "proxmox-kernel-6.8.4-2-pve",
    "6.8.4-2",
    "proxmox-kernel-6.8",
    expect.stringContaining("built from the source package proxmox-kernel-6.8"),
  ],
  [
    "linux-image-6.9.0",
    "6.9.0-2",
    undefined,
    expect.stringContaining("built from the source package linux-image-6.9.0"),
  ],
  ["linux-image-6.1.0-5-amd64", "2:6.1.7-1", "linux", expect.stringContaining("does not begin as one of Linux does")],
])("the source package of %s %s", (name, version, source, expected) => {
  expect(sourcePackageOf({ package: name, version, source })).toEqual(expected);
});

const exec = promisify(execFile);

/** Makes a .deb of a directory. */
const makeDeb = async (root: string, fields: Readonly<Record<string, string>>, to: string): Promise<void> => {
  await mkdir(path.join(root, "DEBIAN"), { recursive: true });
  const control = { ...fields, Architecture: "amd64", Maintainer: "nobody <nobody@example.org>", Description: "test" };
  await writeFile(
    path.join(root, "DEBIAN/control"),
    Object.entries(control)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join(""),
  );
  await exec("dpkg-deb", ["--build", "--root-owner-group", root, to]);
};

/** A kernel package, and an archive that has these versions of linux-source-6.1. */
const debian = async (versions: readonly string[], kernel = "6.1.9-1") => {
  const dir = await temporaryDirectory();
  const image = path.join(dir, "image.deb");
  await makeDeb(
    path.join(dir, "image"),
    { Package: "linux-image-6.1.0-9-amd64", Version: kernel, Source: "linux-signed-amd64 (6.1.9+1)" },
    image,
  );
  const usrSrc = path.join(dir, "source/usr/src");
  await mkdir(usrSrc, { recursive: true });
  const from = await tree();
  await exec("tar", [
    "-cJf",
    path.join(usrSrc, "linux-source-6.1.tar.xz"),
    "-C",
    path.dirname(from),
    "linux-source-6.1",
  ]);
  const source = path.join(dir, "source.deb");
  await makeDeb(path.join(dir, "source"), { Package: "linux-source-6.1", Version: versions[0] ?? "0" }, source);
  const stanzas = versions.map(
    version => `printf 'Package: linux-source-6.1\\nVersion: ${version}\\nSHA256: ${"0".repeat(64)}\\n\\n'`,
  );
  const calls = await standIns({
    "apt-get": `case "$*" in
      *indextargets*) echo 'http://mirror/debian/|bookworm|main' ;;
      *download*) cp ${source} linux-source-6.1_all.deb ;;
    esac`,
    "apt-config": "true",
    "apt-cache": `${stanzas.join("; ")}; true`,
  });
  return { image, downloads: async () => (await calls()).filter(call => call.includes("download")).length };
};

describe("the source of a Debian package is", () => {
  test("the source package of its version, fetched once, and of it the files that are read", async () => {
    const cache = await ownCache();
    const { image, downloads } = await debian(["6.1.10-1", "6.1.9-1"]);
    const first = await sourceOf({ kind: "deb", file: image });
    expect(first).toMatchObject({ title: "linux-source-6.1 6.1.9-1" });
    expect("sources" in first && [...first.sources.keys()]).toEqual(FILES);
    expect(await sourceOf({ kind: "deb", file: image })).toEqual(first);
    expect(await downloads()).toBe(1);
    const [entry = ""] = await readdir(path.join(cache, "audit-source"));
    const kept = await readdir(path.join(cache, "audit-source", entry));
    expect(kept.toSorted()).toEqual([
      "drivers%scsi%iscsi_tcp.c",
      "drivers%scsi%libiscsi.c",
      "manifest.json",
      "package.json",
    ]);
  });

  test("never another version's", async () => {
    await ownCache();
    const { image, downloads } = await debian(["6.1.10-1"]);
    expect(await sourceOf({ kind: "deb", file: image })).toEqual({
      why: "the archive no longer has linux-source-6.1 6.1.9-1 (bookworm, bookworm-security has 6.1.10-1), and another version would say nothing about this kernel",
    });
    expect(await downloads()).toBe(0);
  });

  test("not known where the archive has no such package", async () => {
    await ownCache();
    const { image } = await debian([]);
    expect(await sourceOf({ kind: "deb", file: image })).toMatchObject({
      why: expect.stringContaining("does not have that package") as string,
    });
  });

  test("not known where no suite is known for it", async () => {
    await ownCache();
    const { image } = await debian([], "6.9.9-1");
    expect(await sourceOf({ kind: "deb", file: image })).toMatchObject({
      why: expect.stringContaining("no suite is known to have linux-source-6.9") as string,
    });
  });

  test("an error where the file is no package", async () => {
    const file = path.join(await temporaryDirectory(), "x.deb");
    await writeFile(file, "x");
    await expect(sourceOf({ kind: "deb", file })).rejects.toMatchObject({ code: "RIG_FILE", blame: "usage" });
  });
});
