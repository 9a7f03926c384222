import { spawn } from "node:child_process";
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type CacheRequest,
  cached,
  contentKey,
  discardEntry,
  peekCache,
  requireSpace,
  sha256File,
  touchEntry,
  trimCache,
} from "./cache.ts";
import { poll, wallClock } from "./clock.ts";
import { type Log, silentLog } from "./log.ts";

let base = "";
let kept: string | undefined;
let builds = 0;
let said: string[] = [];

const log: Log = { ...silentLog, say: line => said.push(line) };

const request = (more: Partial<CacheRequest> = {}): CacheRequest => ({
  kind: "thing",
  key: "k1",
  what: "the thing",
  needsMiB: 1,
  log,
  build: async dir => {
    builds++;
    await writeFile(path.join(dir, "data"), "the data");
    await writeFile(path.join(dir, "more"), "more");
  },
  ...more,
});

const parent = () => path.join(base, "iscsi-rig/thing");

beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), "rig-cache-"));
  kept = process.env["XDG_CACHE_HOME"];
  process.env["XDG_CACHE_HOME"] = base;
  builds = 0;
  said = [];
});
afterEach(async () => {
  if (kept === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = kept;
  await rm(base, { recursive: true });
});

describe("an entry", () => {
  test("is built once", async () => {
    const dir = await cached(request());
    expect(dir).toBe(path.join(parent(), "k1"));
    expect(await readFile(path.join(dir, "data"), "utf8")).toBe("the data");
    expect(await cached(request())).toBe(dir);
    expect({ builds, said }).toEqual({ builds: 1, said: [] });
    expect(await readdir(parent())).toEqual(["k1"]);
  });

  test("of another key is another one", async () => {
    await cached(request());
    await cached(request({ key: "k2" }));
    expect(builds).toBe(2);
  });

  test("is seen by peekCache only when it is there and whole", async () => {
    expect(await peekCache("thing", "k1")).toBeUndefined();
    const dir = await cached(request());
    expect(await peekCache("thing", "k1")).toBe(dir);
    await rm(path.join(dir, "more"));
    expect(await peekCache("thing", "k1")).toBeUndefined();
  });

  test("whose file was touched but is the same is used, and not hashed again the next time", async () => {
    const dir = await cached(request());
    const file = path.join(dir, "data");
    const before = (await stat(file)).mtimeMs;
    await utimes(file, wallClock(), new Date("2001-01-01"));
    await cached(request());
    expect(builds).toBe(1);
    expect(Math.round((await stat(file)).mtimeMs)).toBe(Math.round(before));
  });
});

describe("an entry is thrown away and built again, with a word about it, when", () => {
  const manifest = (text: string) => (dir: string) => writeFile(path.join(dir, "manifest.json"), text);
  test.each<[string, (dir: string) => Promise<unknown>, RegExp]>([
    ["a file was cut short", dir => writeFile(path.join(dir, "data"), "the"), /data has 3 bytes instead of 8/],
    [
      "a file has other content of the same size",
      async dir => {
        await writeFile(path.join(dir, "data"), "not data");
        await utimes(path.join(dir, "data"), wallClock(), new Date("2001-01-01"));
      },
      /data does not have the content/,
    ],
    ["a file is missing", dir => rm(path.join(dir, "more")), /more cannot be read/],
    ["its manifest is missing", dir => rm(path.join(dir, "manifest.json")), /manifest cannot be read/],
    ["its manifest is cut short", manifest('{"version":1,"fi'), /manifest cannot be read/],
    ["its manifest is something else", manifest("{}"), /it is no manifest/],
    ["its manifest is null", manifest("null"), /it is no manifest/],
    ["its manifest lists what is no file", manifest('{"version":1,"files":[{}]}'), /it is no manifest/],
  ])("%s", async (_name, damage, words) => {
    const dir = await cached(request());
    await damage(dir);
    expect(await cached(request())).toBe(dir);
    expect(builds).toBe(2);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^Cached the thing is damaged: .* Making it again\.$/);
    expect(said[0]).toMatch(words);
    expect(await readFile(path.join(dir, "data"), "utf8")).toBe("the data");
    await cached(request());
    expect(builds).toBe(2);
  });
});

describe("a builder", () => {
  test("that fails leaves nothing, its error is passed on, and the next one may try", async () => {
    const failing = request({
      build: async dir => {
        await writeFile(path.join(dir, "data"), "half");
        throw new Error("the network went away");
      },
    });
    await expect(cached(failing)).rejects.toThrow("the network went away");
    expect(await readdir(parent())).toEqual([]);
    await cached(request());
    expect(builds).toBe(1);
  });

  test("that was interrupted leaves nothing", async () => {
    const controller = new AbortController();
    const interrupted = request({
      signal: controller.signal,
      build: () => {
        controller.abort(new Error("stopped"));
        return Promise.resolve();
      },
    });
    await expect(cached(interrupted)).rejects.toThrow("stopped");
    expect(await readdir(parent())).toEqual([]);
  });

  test("that found no space is told as such", async () => {
    const full = request({
      build: async () => {
        await writeFile("/dev/full", "x");
      },
    });
    await expect(cached(full)).rejects.toMatchObject({ code: "RIG_NO_SPACE", blame: "environment" });
    expect(await readdir(parent())).toEqual([]);
  });

  test("is not begun where there is too little space", async () => {
    await expect(cached(request({ needsMiB: 1e9 }))).rejects.toMatchObject({ code: "RIG_NO_SPACE" });
    expect(builds).toBe(0);
    await requireSpace(base, 0, "nothing");
  });
});

describe("an entry that is not wanted", () => {
  test("is thrown away, and built again by the next who asks", async () => {
    const dir = await cached(request());
    await discardEntry("thing", "k1");
    expect(await readdir(parent())).toEqual([]);
    await discardEntry("thing", "k1");
    expect(await cached(request())).toBe(dir);
    expect({ builds, said }).toEqual({ builds: 2, said: [] });
  });

  test("leaves the files to whoever has them open", async () => {
    const dir = await cached(request());
    await using handle = await open(path.join(dir, "data"));
    await discardEntry("thing", "k1");
    expect(await handle.readFile("utf8")).toBe("the data");
  });
});

describe("trimming", () => {
  /** Entries of a MiB each, the first used longest ago. */
  const entries = async (...keys: readonly string[]) => {
    for (const [index, key] of keys.entries()) {
      const dir = await cached(
        request({ key, build: to => writeFile(path.join(to, "data"), Buffer.alloc(2 ** 20, 1)) }),
      );
      const used = new Date(Date.UTC(2001, 0, 1 + index));
      await utimes(path.join(dir, "manifest.json"), used, used);
    }
  };

  test("removes what was not used for longest, until the rest fits", async () => {
    await entries("k1", "k2", "k3", "k4");
    expect(await trimCache("thing", 2.5, "k4")).toEqual(["k1", "k2"]);
    expect(await readdir(parent())).toEqual(["k3", "k4"]);
    expect(await trimCache("thing", 2.5, "k4")).toEqual([]);
  });

  test("goes by when an entry was last touched, and touching harms none", async () => {
    await entries("k1", "k2", "k3");
    await touchEntry(path.join(parent(), "k1"));
    expect(await trimCache("thing", 1.5, "k3")).toEqual(["k2", "k1"]);
    await entries("k1", "k2");
    await touchEntry(path.join(parent(), "k1"));
    expect(await trimCache("thing", 2.5, "k3")).toEqual(["k2"]);
    expect(await peekCache("thing", "k1")).toBe(path.join(parent(), "k1"));
  });

  test("leaves one that is to be kept, however little may stay", async () => {
    await entries("k1", "k2");
    expect(await trimCache("thing", 0, "k1")).toEqual(["k2"]);
    expect(await readdir(parent())).toEqual(["k1"]);
  });

  test("counts what is on the disk: holes are free", async () => {
    const sparse = async (dir: string) => {
      await writeFile(path.join(dir, "data"), "");
      await truncate(path.join(dir, "data"), 64 * 2 ** 20);
    };
    await entries("k1");
    await cached(request({ key: "k2", build: sparse }));
    expect(await trimCache("thing", 2, "k2")).toEqual([]);
  });

  test("leaves what is being built, and removes what no builder will finish and what is of no use", async () => {
    await entries("k1", "k2");
    // Process 1 is always there; no process has a number as large as the other one.
    for (const name of [".k3.1", ".k4.999999999"]) await mkdir(path.join(parent(), name));
    await rm(path.join(parent(), "k2", "manifest.json"));
    expect(await trimCache("thing", 0, "k9")).toEqual(["k2", "k1"]);
    expect(await readdir(parent())).toEqual([".k3.1"]);
  });

  test("touching what is not there does nothing", async () => {
    await touchEntry(path.join(parent(), "k1"));
    await expect(readdir(parent())).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("builders in several processes", () => {
  const child = (key: string, ms: number) =>
    spawn(process.execPath, [path.join(import.meta.dirname, "testdata/build-entry.ts"), key, String(ms)], {
      stdio: ["ignore", "pipe", "inherit"],
    });

  test("build once; the others wait for the first", async () => {
    const outputs = await Promise.all([child("k3", 500), child("k3", 500)].map(process => text(process.stdout)));
    const lines = outputs.flatMap(output => output.trim().split("\n"));
    const dir = path.join(parent(), "k3");
    expect(lines.toSorted()).toEqual([dir, dir, "building"].toSorted());
  });

  test("one that was killed half way is forgotten, and what it left is swept up", async () => {
    const victim = child("k4", 60_000);
    const leftover = path.join(parent(), `.k4.${String(victim.pid)}`);
    const halfMade = () =>
      stat(path.join(leftover, "half")).then(
        () => true,
        () => undefined,
      );
    await poll(halfMade, { everyMs: 20, withinMs: 20_000, expected: "the victim to be half way" });
    victim.kill("SIGKILL");
    await mkdir(path.join(parent(), ".k4.1"));
    await mkdir(path.join(parent(), ".k40.1"));
    await cached(request({ key: "k4" }));
    expect(builds).toBe(1);
    // The other entry's builder may well be alive.
    expect(await readdir(parent())).toEqual([".k40.1", "k4"]);
  });
});

test("keys tell lists of parts apart", () => {
  const keys = [contentKey("ab", "c"), contentKey("a", "bc"), contentKey("abc"), contentKey(), contentKey("")];
  expect(new Set(keys).size).toBe(keys.length);
  expect(contentKey("ab")).toBe(contentKey(Buffer.from("ab")));
  expect(contentKey("ab")).toMatch(/^[0-9a-f]{24}$/);
});

test("a file's hash", async () => {
  const file = path.join(base, "abc");
  await writeFile(file, "abc");
  expect(await sha256File(file)).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
