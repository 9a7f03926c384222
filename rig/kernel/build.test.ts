import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, unlink, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { discardEntry } from "../core/cache.ts";
import { poll } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import { type Log, silentLog } from "../core/log.ts";
import { ownCache, temporaryDirectory } from "../testing/bench-dir.ts";
import { buildKernel, cachedBuild, type SourceTree } from "./build.ts";
import { type BuildPlaces, localVersionOf } from "./build-plan.ts";
import { tinyLinux } from "./testdata/tiny-linux.ts";

const diff = (from: string, to: string) =>
  `--- a/a.c\n+++ b/a.c\n@@ -1,3 +1,3 @@\n int a;\n-${from}\n+${to}\n int c;\n`;

const VARIANTS: Readonly<Record<string, string>> = {
  bigger: diff("int b;", "int B;"),
  broken: diff("int b;", "error b;"),
  endless: diff("int b;", "int wait;"),
  elsewhere: diff("int q;", "int Q;"),
};

const places = async (more: Readonly<Record<string, string>> = {}): Promise<BuildPlaces & { variants: string }> => {
  const dir = await temporaryDirectory();
  const fragments = { base: "CONFIG_A=y\n", iscsi: "CONFIG_I=y\n", rdma: "", faults: "", kasan: "CONFIG_KASAN=y\n" };
  await mkdir(path.join(dir, "config"));
  for (const [name, text] of Object.entries({ ...fragments, ...more }))
    await writeFile(path.join(dir, "config", `${name}.config`), text);
  for (const [name, patch] of Object.entries(VARIANTS)) {
    await mkdir(path.join(dir, "variants", name), { recursive: true });
    await writeFile(path.join(dir, "variants", name, "variant.yaml"), "title: t\nkind: defect\nabout: a\n");
    await writeFile(path.join(dir, "variants", name, "5.10.patch"), patch);
  }
  return { config: path.join(dir, "config"), variants: path.join(dir, "variants") };
};

const failure = async (promise: Promise<unknown>): Promise<RigError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof RigError) return error;
  throw new Error("it did not fail as expected", { cause: error });
};

/** A log that keeps what was said. */
const listening = (): Log & { lines: string[]; states: string[] } => {
  const [lines, states]: [string[], string[]] = [[], []];
  return {
    lines,
    states,
    say: text => void lines.push(text),
    status: text => void states.push(text),
    alsoTo: () => undefined,
  };
};

/** The one object tree of a test. */
const objectTree = async (cache: string) => {
  const [name, more] = await readdir(path.join(cache, "kernel-objects"));
  if (name === undefined || more !== undefined) throw new Error("expected one object tree");
  const dir = path.join(cache, "kernel-objects", name);
  return {
    dir,
    source: path.join(dir, "src"),
    objects: path.join(dir, "src/obj"),
    state: path.join(dir, "state.json"),
  };
};

/** What a build said that it compiled. */
const compiled = async (log: string) =>
  [...(await readFile(log, "utf8")).matchAll(/^ {2}CC +(\S+)$/gm)].map(([, name]) => name).toSorted();

const contents = async (source: SourceTree) =>
  Promise.all(
    (await readdir(source.directory)).map(async name => [
      name,
      await readFile(path.join(source.directory, name), "utf8"),
    ]),
  );

describe("a kernel", () => {
  test("is built once, and then known", async () => {
    await ownCache();
    const [source, where, log] = [await tinyLinux(), await places(), listening()];
    expect(await cachedBuild(source, [], where)).toBeUndefined();
    const built = await buildKernel(source, [], log, undefined, where);
    expect(await readFile(built.image, "utf8")).toBe(
      "int a;\nint b;\nint c;\nint z;\nrig@iscsi-rig Thu Jan  1 00:00:00 UTC 1970 1\n",
    );
    expect(await readFile(built.config, "utf8")).toBe("CONFIG_A=y\nCONFIG_I=y\n");
    expect(await readdir(path.join(built.modules ?? "", "lib/modules/5.10.1-rig"))).toContain("modules.builtin");
    expect(await compiled(built.log)).toEqual(["a.o", "b.o"]);
    expect(log.states.some(state => /^Building tiny-linux: 2 of about \d+ steps, \d+ s\.$/.test(state))).toBe(true);
    expect(log.states.at(-1)).toBe("");
    const said = log.lines.length;
    expect(await buildKernel(source, [], log, undefined, where)).toEqual(built);
    expect(await cachedBuild(source, [], where)).toEqual(built);
    expect(log.lines.length).toBe(said);
  });

  test("with a variant compiles what that changes, and without it is the same again, bit for bit", async () => {
    await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const before = await contents(source);
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    const variant = await buildKernel(source, ["bigger"], silentLog, undefined, where);
    expect(await readFile(variant.image, "utf8")).toContain("int B;");
    expect(await readdir(path.join(variant.modules ?? "", "lib/modules"))).toEqual(["5.10.1-rig+bigger"]);
    expect(await compiled(variant.log)).toEqual(["a.o"]);
    expect(variant.key).not.toBe(plain.key);
    await discardEntry("kernel-build", plain.key);
    const again = await buildKernel(source, [], silentLog, undefined, where);
    expect(await compiled(again.log)).toEqual(["a.o"]);
    expect([again.key, again.sha256]).toEqual([plain.key, plain.sha256]);
    expect(await contents(source)).toEqual(before);
  });

  test("with a flavour has a tree and a configuration of its own", async () => {
    const cache = await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    const kasan = await buildKernel(source, ["bigger", "kasan"], silentLog, undefined, where);
    expect(await readFile(kasan.config, "utf8")).toBe("CONFIG_A=y\nCONFIG_I=y\nCONFIG_KASAN=y\n");
    expect(await readdir(path.join(kasan.modules ?? "", "lib/modules"))).toEqual(["5.10.1-rig+bigger+kasan"]);
    expect(await readdir(path.join(cache, "kernel-objects"))).toHaveLength(2);
    expect(await cachedBuild(source, ["kasan", "bigger"], where)).toEqual(kasan);
    expect(await cachedBuild(source, [], where)).toEqual(plain);
  });

  test("is another one as soon as a patch, a fragment or the source changes", async () => {
    await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const keys = new Set<string>();
    const build = async (from: SourceTree) =>
      keys.add((await buildKernel(from, ["bigger"], silentLog, undefined, where)).key);
    await build(source);
    await writeFile(path.join(where.variants, "bigger/5.10.patch"), diff("int b;", "int BB;"));
    await build(source);
    await writeFile(path.join(where.config ?? "", "base.config"), "CONFIG_A=n\n");
    await build(source);
    await build(await tinyLinux({ "b.c": "int y;\n" }));
    expect(keys.size).toBe(4);
  });

  test("with debugging information does not say where it was built", async () => {
    await ownCache();
    const [source, where] = [await tinyLinux(), await places({ debug: "CONFIG_DEBUG_INFO=y\n" })];
    const flags = async (suffixes: readonly string[]) => {
      const { log } = await buildKernel(source, suffixes, silentLog, undefined, where);
      return /^flags: (.*)$/m.exec(await readFile(log, "utf8"))?.[1];
    };
    expect(await flags(["debug"])).toMatch(/^-ffile-prefix-map=\/.*\/kernel-objects\/[0-9a-f]+\/src=\/linux$/);
    expect(await flags([])).toBe("");
  });

  test("is not shaped by the environment of whoever builds it", async () => {
    await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    await discardEntry("kernel-build", plain.key);
    for (const [name, value] of [
      ["KBUILD_BUILD_USER", "somebody"],
      ["LOCALVERSION", "-mine"],
      ["MAKEFLAGS", "-n"],
      ["O", "/nowhere"],
    ] as const)
      vi.stubEnv(name, value);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await buildKernel(source, [], silentLog, undefined, where)).sha256).toBe(plain.sha256);
  });

  test("that does not compile says so in the compiler's words, leaves nothing, and does not spoil the next", async () => {
    const cache = await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    for (const _ of [1, 2]) {
      const error = await failure(buildKernel(source, ["broken"], silentLog, undefined, where));
      expect(error).toMatchObject({ code: "RIG_KERNEL_BUILD", blame: "environment" });
      expect(error.message).toContain("First error: ../a.c:2:1: error: expected an identifier\n");
      const log = /Log: (.*)$/.exec(error.message)?.[1] ?? "";
      // Only what the variant changes, the second time too.
      expect(await compiled(log)).toEqual(["a.o"]);
    }
    expect(await readdir(path.join(cache, "kernel-build"))).toEqual([plain.key]);
    await discardEntry("kernel-build", plain.key);
    expect((await buildKernel(source, [], silentLog, undefined, where)).sha256).toBe(plain.sha256);
  });

  test("whose configuration does not stick names each symbol, and why", async () => {
    const cache = await ownCache();
    const [source, where] = [await tinyLinux(), await places({ rdma: "CONFIG_DROPPED=y\n" })];
    const error = await failure(buildKernel(source, [], silentLog, undefined, where));
    expect(error).toMatchObject({ code: "RIG_KERNEL_BUILD", blame: "usage" });
    expect(error.message).toContain("CONFIG_DROPPED: expected y, got n; it depends on NOTHING, or something else");
    expect(await readdir(path.join(cache, "kernel-build"))).toEqual([]);
  });

  test.each([
    ["a suffix that there is not", "biger", "RIG_UNKNOWN_KERNEL", "Did you mean bigger?"],
    ["a variant that does not apply", "elsewhere", "RIG_KERNEL_VARIANT", "+elsewhere does not apply to tiny-linux"],
  ])("with %s is refused before anything is done", async (_what, suffix, code, said) => {
    const cache = await ownCache();
    const error = await failure(buildKernel(await tinyLinux(), [suffix], silentLog, undefined, await places()));
    expect(error).toMatchObject({ code, blame: "usage" });
    expect(error.message).toContain(said);
    expect(existsSync(path.join(cache, "kernel-objects"))).toBe(false);
  });
});

test.each([
  ["5.10.262", [], "-rig"],
  ["5.10.262", ["offload-model", "seed-defect-1", "kasan"], "-rig+offload-model+seed-defect-1+kasan"],
])("the end of a release: %s with %j", (version, suffixes, wanted) => {
  expect(localVersionOf(version, suffixes)).toBe(wanted);
});

test("the end of a release is short where the suffixes are many, and still tells them apart", () => {
  const many = Array.from({ length: 9 }, (_, i) => `seed-defect-${i}`);
  const [one, two] = [localVersionOf("5.10.262", many), localVersionOf("5.10.262", many.slice(1))];
  expect(one.length).toBeLessThan(40);
  expect(one).not.toBe(two);
  expect(one).toMatch(/^-rig\+[0-9a-f]+$/);
});

describe("a build that was broken off", () => {
  /** Begins a build that does not end by itself; resolves when it is in the middle of it. */
  const begun = async (cache: string, source: SourceTree, where: BuildPlaces, signal: AbortSignal) => {
    const building = buildKernel(source, ["endless"], silentLog, signal, where);
    building.catch(() => undefined);
    const waiting = await poll(
      async () => {
        const { objects } = await objectTree(cache);
        return existsSync(path.join(objects, "wait")) ? path.join(objects, "wait") : undefined;
      },
      { everyMs: 10, withinMs: 20_000, expected: "the build to be in the middle of it" },
    );
    return { building, waiting };
  };

  test("by its signal ends make at once, and the next one is as if it had not been", async () => {
    const cache = await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    const controller = new AbortController();
    const { building, waiting } = await begun(cache, source, where, controller.signal);
    controller.abort(new RigError("RIG_INTERRUPTED", "Stopped."));
    expect((await failure(building)).code).toBe("RIG_INTERRUPTED");
    expect(await readdir(path.join(cache, "kernel-build"))).toEqual([plain.key]);
    await unlink(waiting);
    await discardEntry("kernel-build", plain.key);
    expect((await buildKernel(source, [], silentLog, undefined, where)).sha256).toBe(plain.sha256);
  });

  test("leaves half-written files, which the next one does not take for finished", async () => {
    const cache = await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    await discardEntry("kernel-build", plain.key);
    const { objects, state } = await objectTree(cache);
    // An old object that is whole, and a newer one that is not.
    const now = (await stat(path.join(objects, "a.o"))).mtimeMs / 1000;
    for (const name of await readdir(objects)) await utimes(path.join(objects, name), now - 600, now - 600);
    for (const name of ["a.c", "b.c"]) await utimes(path.join(objects, "..", name), now - 900, now - 900);
    await writeFile(path.join(objects, "a.o"), "int");
    await writeFile(state, JSON.stringify({ dirty: true, touched: [] }));
    const again = await buildKernel(source, [], silentLog, undefined, where);
    expect(again.sha256).toBe(plain.sha256);
    expect(await compiled(again.log)).toEqual(["a.o"]);
  });

  test("and whose tree is of no use is built from the start", async () => {
    const cache = await ownCache();
    const [source, where, log] = [await tinyLinux(), await places(), listening()];
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    await discardEntry("kernel-build", plain.key);
    const { objects, state } = await objectTree(cache);
    const now = (await stat(path.join(objects, "a.o"))).mtimeMs / 1000;
    // Something that make cannot get past, too old to be thrown away.
    await rm(path.join(objects, "arch"), { recursive: true });
    await writeFile(path.join(objects, "arch"), "");
    await utimes(path.join(objects, "arch"), now - 900, now - 900);
    await writeFile(state, JSON.stringify({ dirty: true, touched: [] }));
    const again = await buildKernel(source, [], log, undefined, where);
    expect(again.sha256).toBe(plain.sha256);
    expect(log.lines.join("\n")).toContain("from the start");
  });

  test("waits for what make left running before it touches the tree", async () => {
    const cache = await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    await discardEntry("kernel-build", plain.key);
    const { dir, source: src, state } = await objectTree(cache);
    await writeFile(state, JSON.stringify({ dirty: true, touched: ["a.c"] }));
    await rm(path.join(src, "a.c"));
    await writeFile(path.join(src, "a.c"), "int other;\n");
    const holder = spawn("flock", [path.join(dir, "make.lock"), "sh", "-c", "echo held; read line"]);
    onTestFinished(() => void holder.kill("SIGKILL"));
    await once(holder.stdout, "data");
    const building = buildKernel(source, [], silentLog, undefined, where);
    const { ino } = await stat(path.join(dir, "make.lock"));
    const waits = async () =>
      (await readFile("/proc/locks", "utf8"))
        .split("\n")
        .some(line => line.includes("->") && line.includes(`:${ino} `));
    await poll(async () => ((await waits()) ? true : undefined), {
      everyMs: 10,
      withinMs: 20_000,
      expected: "a waiter",
    });
    expect(await readFile(path.join(src, "a.c"), "utf8")).toBe("int other;\n");
    holder.stdin.end("\n");
    expect((await building).sha256).toBe(plain.sha256);
  });
});

describe("a build that was killed with all that it started", () => {
  test("is followed by one that gives the same", async () => {
    const cache = await ownCache();
    const [source, where] = [await tinyLinux(), await places()];
    const plain = await buildKernel(source, [], silentLog, undefined, where);
    await discardEntry("kernel-build", plain.key);
    const program = path.join(import.meta.dirname, "testdata/tiny-build.ts");
    const rig = spawn(process.execPath, [program, JSON.stringify(source), JSON.stringify(where), "endless"]);
    onTestFinished(() => void rig.kill("SIGKILL"));
    const { objects, dir } = await objectTree(cache);
    const waiting = path.join(objects, "wait");
    const inTheMiddle = () => Promise.resolve(existsSync(waiting) ? true : undefined);
    await poll(inTheMiddle, { everyMs: 10, withinMs: 20_000, expected: "the build to be in the middle of it" });
    rig.kill("SIGKILL");
    // Nobody tells make to stop but the kernel; the tree's lock is free once it has.
    await runOk(["flock", path.join(dir, "make.lock"), "true"], "RIG_BUG", { timeoutMs: 20_000 });
    expect(existsSync(waiting)).toBe(true);
    await unlink(waiting);
    const again = await buildKernel(source, [], silentLog, undefined, where);
    expect([again.key, again.sha256]).toEqual([plain.key, plain.sha256]);
    expect((await readdir(path.join(cache, "kernel-build"))).filter(name => !name.startsWith("."))).toEqual([
      plain.key,
    ]);
  });
});

describe("the disk", () => {
  test("holds a few object trees, and the ones used last stay", async () => {
    const cache = await ownCache();
    const where = await places();
    const objects = path.join(cache, "kernel-objects");
    let first: readonly string[] = [];
    for (let i = 0; i < 7; i++) {
      const source = await tinyLinux({ "b.c": `int ${"z".repeat(i + 1)};\n` });
      await buildKernel(source, [], silentLog, undefined, where);
      if (i === 0) first = await readdir(objects);
    }
    const left = await readdir(objects);
    expect(left).toHaveLength(6);
    expect(left).not.toContain(first[0]);
    // Kernels that were built stay.
    expect(await readdir(path.join(cache, "kernel-build"))).toHaveLength(7);
  });
});
