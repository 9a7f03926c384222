import { mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import { run, runOk } from "../core/exec.ts";
import { silentLog } from "../core/log.ts";
import { ownCache, standIns, temporaryDirectory } from "../testing/bench-dir.ts";
import { cachedSourceTree, sourceTree } from "./source.ts";
import { versionOf } from "./source-tree.ts";

const MAKEFILE = "# SPDX\nVERSION = 5\nPATCHLEVEL = 10\nSUBLEVEL = 262\nEXTRAVERSION =\nNAME = Dare mighty things\n";

const linux = async (dir?: string): Promise<string> => {
  const at = dir ?? (await temporaryDirectory());
  await mkdir(path.join(at, "arch/x86"), { recursive: true });
  await mkdir(path.join(at, "drivers"), { recursive: true });
  await writeFile(path.join(at, "Makefile"), MAKEFILE);
  await writeFile(path.join(at, "Kconfig"), "");
  await writeFile(path.join(at, "arch/x86/Makefile"), "");
  await writeFile(path.join(at, "drivers/x.c"), "int x;\n");
  return at;
};

const directory = (dir: string) => ({ kind: "source", from: { dir } }) as const;
const commit = (dir: string, ref: string) => ({ kind: "git", dir, ref }) as const;

const failure = async (promise: Promise<unknown>): Promise<RigError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof RigError) return error;
  throw new Error("it did not fail as expected", { cause: error });
};

test.each([
  [MAKEFILE, "5.10.262"],
  ["VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 0\nEXTRAVERSION = -rc3\n", "6.12.0-rc3"],
  ["VERSION = 6\nPATCHLEVEL = 1\n", "6.1"],
  ["VERSION = $(shell date)\nPATCHLEVEL = 1\n", undefined],
  ["all:\n\techo hello\n", undefined],
])("the version of a source: %j", (makefile, version) => {
  expect(versionOf(makefile)).toBe(version);
});

describe("a directory", () => {
  test("is copied, and known again for as long as its content is the same", async () => {
    await ownCache();
    const dir = await linux();
    await symlink("drivers/x.c", path.join(dir, "link.c"));
    expect(await cachedSourceTree(directory(dir))).toBeUndefined();
    const tree = await sourceTree(directory(dir), silentLog);
    expect(tree).toMatchObject({ title: path.basename(dir), version: "5.10.262" });
    expect(await readFile(path.join(tree.directory, "link.c"), "utf8")).toBe("int x;\n");
    expect(await cachedSourceTree(directory(dir))).toEqual(tree);
    await utimes(path.join(dir, "drivers/x.c"), 1, 1);
    expect((await cachedSourceTree(directory(dir)))?.key).toBe(tree.key);
    const same = await linux();
    await symlink("drivers/x.c", path.join(same, "link.c"));
    expect((await cachedSourceTree(directory(same)))?.key).toBe(tree.key);
  });

  test("that is reached by a link is looked at behind it", async () => {
    await ownCache();
    const dir = await linux();
    const link = `${dir}-link`;
    await symlink(dir, link);
    const before = await sourceTree(directory(link), silentLog);
    await writeFile(path.join(dir, "drivers/x.c"), "int y;\n");
    expect(await cachedSourceTree(directory(link))).toBeUndefined();
    expect((await sourceTree(directory(link), silentLog)).key).not.toBe(before.key);
    await rm(link);
  });

  test("whose copy was removed in part is copied again", async () => {
    const cache = await ownCache();
    const dir = await linux();
    const tree = await sourceTree(directory(dir), silentLog);
    await rm(path.join(tree.directory, "Kconfig"));
    expect(await cachedSourceTree(directory(dir))).toBeUndefined();
    expect(await sourceTree(directory(dir), silentLog)).toEqual(tree);
    expect(await readdir(path.join(cache, "kernel-sources"))).toEqual([tree.key]);
  });

  test("makes room: of many sources those go that were not used for longest, if not for an hour", async () => {
    const cache = await ownCache();
    const keys: string[] = [];
    for (let i = 0; i < 8; i++) {
      const dir = await linux();
      await writeFile(path.join(dir, "drivers/x.c"), `int x${i};\n`);
      const tree = await sourceTree(directory(dir), silentLog);
      keys.push(tree.key);
      // Two were used just now.
      if (i > 1) await utimes(tree.directory, i, i);
    }
    expect((await readdir(path.join(cache, "kernel-sources"))).toSorted()).toEqual(
      [...keys.slice(0, 2), ...keys.slice(4)].toSorted(),
    );
  });

  test.each<[string, (dir: string) => Promise<unknown>]>([
    ["a line", dir => writeFile(path.join(dir, "drivers/x.c"), "int y;\n")],
    ["a new file", dir => writeFile(path.join(dir, "drivers/y.c"), "")],
    ["a file less", dir => rm(path.join(dir, "drivers/x.c"))],
    ["a link", dir => symlink("x.c", path.join(dir, "drivers/l.c"))],
    [
      "a line, with the times as they were",
      async dir => {
        const file = path.join(dir, "drivers/x.c");
        await writeFile(file, "int z;\n");
        await utimes(file, 1, 1);
      },
    ],
  ])("is another source after a change: %s", async (_what, change) => {
    await ownCache();
    const dir = await linux();
    await utimes(path.join(dir, "drivers/x.c"), 1, 1);
    const before = await sourceTree(directory(dir), silentLog);
    await change(dir);
    const after = await sourceTree(directory(dir), silentLog);
    expect(after.key).not.toBe(before.key);
    expect(await readFile(path.join(before.directory, "drivers/x.c"), "utf8")).toBe("int x;\n");
  });

  test("that is a repository is taken as it is, without its history", async () => {
    await ownCache();
    const dir = await linux();
    await mkdir(path.join(dir, ".git"));
    await writeFile(path.join(dir, ".git/HEAD"), "ref: refs/heads/main\n");
    const tree = await sourceTree(directory(dir), silentLog);
    expect(await readdir(tree.directory)).not.toContain(".git");
    await writeFile(path.join(dir, ".git/HEAD"), "ref: refs/heads/other\n");
    expect((await cachedSourceTree(directory(dir)))?.key).toBe(tree.key);
  });

  test.each<[string, (dir: string) => Promise<unknown>, string]>([
    ["there is none", dir => rm(dir, { recursive: true }), "there is none"],
    ["it holds no kernel", dir => writeFile(path.join(dir, "Makefile"), "all:\n"), "Expected a Linux source tree"],
    ["it has no x86", dir => rm(path.join(dir, "arch"), { recursive: true }), "no arch/x86"],
    ["it was configured", dir => writeFile(path.join(dir, ".config"), ""), "make mrproper"],
    ["it was built in", dir => mkdir(path.join(dir, "include/config"), { recursive: true }), "tree:"],
  ])("is refused where %s", async (_what, spoil, said) => {
    const cache = await ownCache();
    const dir = await linux();
    await spoil(dir);
    const error = await failure(sourceTree(directory(dir), silentLog));
    expect(error).toMatchObject({ code: "RIG_KERNEL_SOURCE", blame: "usage" });
    expect(error.message).toContain(said);
    expect(error.message).toContain(dir);
    expect(await readdir(path.join(cache, "kernel-sources")).catch(() => [])).toEqual([]);
  });

  test("that cannot be copied whole leaves nothing behind, and what a killed copy left is cleared away", async () => {
    const cache = await ownCache();
    const dir = await linux();
    await standIns({ cp: "for to; do :; done; echo half > $to/Makefile; exit 1" });
    await failure(sourceTree(directory(dir), silentLog));
    expect(await readdir(path.join(cache, "kernel-sources"))).toEqual([]);
  });

  test("that changes while it is read is refused", async () => {
    const cache = await ownCache();
    const dir = await linux();
    await standIns({ cp: `/bin/cp "$@" && for to; do :; done && echo more >> $to/drivers/x.c` });
    expect((await failure(sourceTree(directory(dir), silentLog))).message).toContain("changed while it was read");
    expect(await readdir(path.join(cache, "kernel-sources"))).toEqual([]);
  });
});

const IDENTITY = { GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@b", GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@b" };

const repository = async (): Promise<{ dir: string; first: string }> => {
  const dir = await linux();
  const git = (...args: string[]) => runOk(["git", "-C", dir, ...args], "RIG_BUG", { env: IDENTITY });
  await git("init", "-q", "-b", "main");
  await git("add", ".");
  await git("commit", "-qm", "one");
  await git("tag", "v1");
  const first = (await git("rev-parse", "HEAD")).stdout.trim();
  await writeFile(path.join(dir, "drivers/x.c"), "int two;\n");
  await git("commit", "-qam", "two");
  return { dir, first };
};

describe("a commit", () => {
  test("is unpacked by any name it has, and the repository stays as it was", async () => {
    await ownCache();
    const { dir, first } = await repository();
    await writeFile(path.join(dir, "drivers/x.c"), "int in_the_work_tree;\n");
    const status = async () => (await run(["git", "-C", dir, "status", "--porcelain=v2", "--branch"])).stdout;
    const before = await status();
    const tree = await sourceTree(commit(dir, "v1"), silentLog);
    expect(tree.title).toContain(`v1 (${first.slice(0, 12)})`);
    expect(await readFile(path.join(tree.directory, "drivers/x.c"), "utf8")).toBe("int x;\n");
    expect((await readdir(tree.directory)).filter(name => name.startsWith("."))).toEqual([]);
    for (const ref of ["main~1", first, first.slice(0, 10), "HEAD^"])
      expect((await cachedSourceTree(commit(dir, ref)))?.key).toBe(tree.key);
    expect(await cachedSourceTree(commit(dir, "main"))).toBeUndefined();
    expect((await sourceTree(commit(dir, "main"), silentLog)).key).not.toBe(tree.key);
    expect(await status()).toBe(before);
  });

  test.each([
    ["a ref that is not there", (dir: string) => commit(dir, "v9"), '"v9"'],
    ["a file instead of a commit", (dir: string) => commit(dir, "HEAD:Makefile"), "git knows none"],
    ["an option", (dir: string) => commit(dir, "--help"), "git knows none"],
    ["no directory", (dir: string) => commit(`${dir}/none`, "HEAD"), "there is none"],
  ])("is refused in one message: %s", async (_what, origin, said) => {
    await ownCache();
    const { dir } = await repository();
    const error = await failure(sourceTree(origin(dir), silentLog));
    expect(error).toMatchObject({ code: "RIG_KERNEL_SOURCE", blame: "usage" });
    expect(error.message).toContain(said);
  });

  test("of something else is refused", async () => {
    const cache = await ownCache();
    const dir = await temporaryDirectory();
    expect((await failure(sourceTree(commit(dir, "HEAD"), silentLog))).message).toContain("git cannot use it");
    const git = (...args: string[]) => runOk(["git", "-C", dir, ...args], "RIG_BUG", { env: IDENTITY });
    await git("init", "-q");
    await git("commit", "-q", "--allow-empty", "-m", "nothing");
    expect((await failure(sourceTree(commit(dir, "HEAD"), silentLog))).message).toContain("Expected a Linux source");
    expect(await readdir(path.join(cache, "kernel-sources"))).toEqual([]);
  });
});

const PACKAGE = { kind: "source", from: { package: "linux-source-5.10", suites: ["bullseye"] } } as const;

/** An archive with one source package of this version, and a dpkg-deb that unpacks it. */
const archive = async (version: string) => {
  const dir = await linux(path.join(await temporaryDirectory(), "linux-source-5.10"));
  const tar = path.join(path.dirname(dir), "linux-source-5.10.tar.xz");
  await writeFile(path.join(dir, "version"), version);
  await runOk(["tar", "-cJf", tar, "-C", path.dirname(dir), "linux-source-5.10"], "RIG_BUG");
  return {
    "apt-get": `case "$*" in
      *indextargets*) echo 'http://mirror/debian/|bullseye|main' ;;
      *download*) echo deb > linux-source-5.10_${version}_all.deb ;;
    esac`,
    "apt-cache": `echo "Package: linux-source-5.10"; echo "Version: ${version}"; echo "SHA256: $(printf '%064d' ${version.replaceAll(/\D/g, "")})"`,
    "dpkg-deb": `mkdir -p "$3/usr/src" && cp ${tar} "$3/usr/src"`,
  };
};

describe("a package", () => {
  test("is fetched and unpacked once, and stays until the newest is asked for", async () => {
    const cache = await ownCache();
    const calls = await standIns(await archive("5.10.1-1"));
    expect(await cachedSourceTree(PACKAGE)).toBeUndefined();
    const tree = await sourceTree(PACKAGE, silentLog);
    expect(tree).toMatchObject({ title: "linux-source-5.10 5.10.1-1", version: "5.10.262" });
    const asked = (await calls()).length;
    expect(await sourceTree(PACKAGE, silentLog)).toEqual(tree);
    expect(await cachedSourceTree(PACKAGE)).toEqual(tree);
    expect((await calls()).length).toBe(asked);

    await rm(path.join(cache, "kernel-sources"), { recursive: true });
    expect(await cachedSourceTree(PACKAGE)).toBeUndefined();
    expect(await sourceTree(PACKAGE, silentLog)).toEqual(tree);
    expect((await calls()).slice(asked).map(([name]) => name)).toEqual(["dpkg-deb"]);

    await standIns(await archive("5.10.2-1"));
    expect(await sourceTree(PACKAGE, silentLog)).toEqual(tree);
    const newest = await sourceTree(PACKAGE, silentLog, { refresh: true });
    expect(newest.title).toBe("linux-source-5.10 5.10.2-1");
    expect((await cachedSourceTree(PACKAGE))?.key).toBe(newest.key);
  });

  test("without a source in it is refused", async () => {
    await ownCache();
    await standIns({
      ...(await archive("5.10.1-1")),
      "dpkg-deb": `mkdir -p "$3/usr/src" && touch "$3/usr/src/README"`,
    });
    const error = await failure(sourceTree(PACKAGE, silentLog));
    expect(error).toMatchObject({ code: "RIG_KERNEL_SOURCE" });
    expect(error.message).toContain("linux-source-*.tar.xz");
  });

  test("is fetched again when the cached one is damaged", async () => {
    const cache = await ownCache();
    const calls = await standIns(await archive("5.10.1-1"));
    const tree = await sourceTree(PACKAGE, silentLog);
    await rm(path.join(cache, "kernel-sources"), { recursive: true });
    const kept = path.join(cache, "kernel-source", tree.key);
    await writeFile(path.join(kept, "linux-source-5.10_5.10.1-1_all.deb"), "x");
    const asked = (await calls()).length;
    expect(await sourceTree(PACKAGE, silentLog)).toEqual(tree);
    expect((await calls()).slice(asked).some(call => call.includes("download"))).toBe(true);
  });
});
