/**
 * Content-keyed cache entries. An entry is a directory `<cache>/<kind>/<key>` whose key is a hash of everything that
 * shapes it, so an entry is never stale, only absent. It is built beside its place and renamed into it whole: a writer that
 * is killed leaves nothing that could be taken for an entry. A manifest holds each file's size, time and SHA-256; a file
 * that was touched since is hashed again before use, and an entry that does not match is thrown away and built again.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, statfs, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { wallClock } from "./clock.ts";
import { messageOf, RigError } from "./errors.ts";
import { acquireLock } from "./lock.ts";
import type { Log } from "./log.ts";
import { cacheDir } from "./paths.ts";

const manifestSchema = z.strictObject({
  version: z.literal(1),
  files: z.array(z.strictObject({ name: z.string(), bytes: z.number(), mtimeMs: z.number(), sha256: z.string() })),
});
type ManifestFile = z.infer<typeof manifestSchema>["files"][number];

/** A short hash over strings and buffers; parts are length-prefixed, so no two lists of parts run together. */
export const contentKey = (...parts: readonly (string | Uint8Array)[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest("hex").slice(0, 24);
};

/** SHA-256 of a file, in hex. */
export const sha256File = async (file: string): Promise<string> => {
  const hash = createHash("sha256");
  // The buffers are of the stream's making: large ones for large files only.
  const { size } = await stat(file);
  const highWaterMark = Math.min(1 << 20, Math.max(1 << 14, size));
  for await (const chunk of createReadStream(file, { highWaterMark })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
};

const MANIFEST = "manifest.json";

const writeManifest = async (dir: string): Promise<void> => {
  const files: ManifestFile[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (!entry.isFile() || entry.name === MANIFEST) continue;
    const file = path.join(dir, entry.name);
    const facts = await stat(file);
    files.push({
      name: entry.name,
      bytes: facts.size,
      mtimeMs: Math.round(facts.mtimeMs),
      sha256: await sha256File(file),
    });
  }
  await writeFile(path.join(dir, MANIFEST), `${JSON.stringify({ version: 1, files }, null, 2)}\n`);
};

/** What is wrong with an entry, or undefined if it can be used. */
const flaw = async (dir: string): Promise<string | undefined> => {
  let files: readonly ManifestFile[];
  try {
    files = manifestSchema.parse(JSON.parse(await readFile(path.join(dir, MANIFEST), "utf8"))).files;
  } catch (error) {
    return `its manifest cannot be read (${error instanceof z.ZodError ? "it is no manifest" : messageOf(error)})`;
  }
  for (const expected of files) {
    const file = path.join(dir, expected.name);
    try {
      const facts = await stat(file);
      if (facts.size !== expected.bytes) return `${expected.name} has ${facts.size} bytes instead of ${expected.bytes}`;
      // Rounded: a time that is set comes back a few hundred nanoseconds early.
      if (Math.round(facts.mtimeMs) === expected.mtimeMs) continue;
      if ((await sha256File(file)) !== expected.sha256)
        return `${expected.name} does not have the content that it was stored with`;
      await utimes(file, facts.atime, new Date(expected.mtimeMs));
    } catch (error) {
      return `${expected.name} cannot be read (${messageOf(error)})`;
    }
  }
  return undefined;
};

/** What is wrong with the content of some of an entry's files, whatever their times say; undefined if nothing. */
export const contentFlaw = async (dir: string, names: readonly string[]): Promise<string | undefined> => {
  const { files } = manifestSchema.parse(JSON.parse(await readFile(path.join(dir, MANIFEST), "utf8")));
  for (const name of names) {
    const expected = files.find(file => file.name === name);
    if (expected?.sha256 !== (await sha256File(path.join(dir, name))))
      return `${name} does not have the content that it was stored with`;
  }
  return undefined;
};

const exists = (dir: string): Promise<boolean> =>
  stat(dir).then(
    () => true,
    () => false,
  );

/** Whether a builder's directory is of a process that is no more: its name ends with the process. */
const isAbandoned = (name: string): boolean =>
  name.startsWith(".") && !existsSync(`/proc/${name.split(".").at(-1) ?? ""}`);

/** Removes what builders that died left behind. The caller holds the entry's lock, so nobody is building it now. */
const sweep = async (parent: string, prefix: string): Promise<void> => {
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix) || isAbandoned(name))
      await rm(path.join(parent, name), { recursive: true, force: true });
  }
};

/** Marks an entry as used now; `trimCache` goes by it. */
export const touchEntry = async (dir: string): Promise<void> => {
  const now = wallClock();
  await utimes(path.join(dir, MANIFEST), now, now).catch(() => undefined);
};

/** Throws an entry away, so that the next who asks for it makes it again. Whoever has its files open keeps them. */
export const discardEntry = async (kind: string, key: string): Promise<void> => {
  const dir = path.join(cacheDir(), kind, key);
  await using _lock = await acquireLock(dir);
  await rm(dir, { recursive: true, force: true });
};

/** Bytes that a directory's files take on disk; holes take none. */
const diskBytes = async (dir: string): Promise<number> => {
  const sizes = await Promise.all(
    (await readdir(dir)).map(async name => (await stat(path.join(dir, name))).blocks * 512),
  );
  return sizes.reduce((total, size) => total + size, 0);
};

/** Removes the entries of a kind that were not used for longest, until the rest fits into `maxMiB`; `keep` stays. */
export const trimCache = async (kind: string, maxMiB: number, keep: string): Promise<readonly string[]> => {
  const parent = path.join(cacheDir(), kind);
  const entries: { key: string; bytes: number; used: number }[] = [];
  for (const key of await readdir(parent)) {
    if (key.startsWith(".")) {
      // A builder that was killed: its name ends with its process id. Whoever builds it next would remove it, but may never come.
      if (isAbandoned(key)) await rm(path.join(parent, key), { recursive: true, force: true });
      continue;
    }
    try {
      // One without a manifest is of no use to anybody, and goes first.
      const used = await stat(path.join(parent, key, MANIFEST)).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
      entries.push({ key, bytes: await diskBytes(path.join(parent, key)), used });
    } catch {
      // Somebody else throws it away just now.
    }
  }
  let left = entries.reduce((total, { bytes }) => total + bytes, 0);
  const removed: string[] = [];
  for (const { key, bytes } of entries.filter(entry => entry.key !== keep).toSorted((a, b) => a.used - b.used)) {
    if (left <= maxMiB * 2 ** 20) break;
    await discardEntry(kind, key);
    removed.push(key);
    left -= bytes;
  }
  return removed;
};

export interface CacheRequest {
  /** The kind of entry, a directory name. */
  readonly kind: string;
  readonly key: string;
  /** What it is, for messages: "the guest root". */
  readonly what: string;
  /** Free space that building takes, in MiB. */
  readonly needsMiB: number;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
  /** Makes the entry's files in `dir`. */
  build(dir: string): Promise<void>;
}

/** Fails with RIG_NO_SPACE unless the file system of `dir` has `needsMiB` to spare. `variable` moves it to another disk. */
export const requireSpace = async (
  dir: string,
  needsMiB: number,
  what: string,
  variable = "XDG_CACHE_HOME",
): Promise<void> => {
  const fs = await statfs(dir);
  const freeMiB = Math.floor((fs.bavail * fs.bsize) / 2 ** 20);
  if (freeMiB < needsMiB) {
    throw new RigError(
      "RIG_NO_SPACE",
      `Expected ${needsMiB} MiB free in ${dir} for ${what}; there are ${freeMiB} MiB. Free some space, or set ${variable} to a larger disk.`,
      { blame: "environment" },
    );
  }
};

/** The directory of an entry that is there and intact, or undefined. */
export const peekCache = async (kind: string, key: string): Promise<string | undefined> => {
  const dir = path.join(cacheDir(), kind, key);
  return (await exists(dir)) && (await flaw(dir)) === undefined ? dir : undefined;
};

/** The directory of the entry, built if it is not there or is damaged. */
export const cached = async (request: CacheRequest): Promise<string> => {
  const { kind, key, what, log, signal } = request;
  const parent = path.join(cacheDir(), kind);
  const dir = path.join(parent, key);
  if ((await exists(dir)) && (await flaw(dir)) === undefined) return dir;
  await mkdir(parent, { recursive: true });
  await using _lock = await acquireLock(dir, {
    signal,
    onWait: () => log.say(`Another process is making ${what}; waiting for it.`),
  });
  if (await exists(dir)) {
    const wrong = await flaw(dir);
    if (wrong === undefined) return dir;
    log.say(`Cached ${what} is damaged: ${wrong}. Making it again.`, "warn");
    await rm(dir, { recursive: true, force: true });
  }
  await sweep(parent, `.${key}.`);
  await requireSpace(parent, request.needsMiB, what);
  const building = path.join(parent, `.${key}.${process.pid}`);
  try {
    await mkdir(building);
    await request.build(building);
    signal?.throwIfAborted();
    await writeManifest(building);
    await rename(building, dir);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
      throw new RigError(
        "RIG_NO_SPACE",
        `No space left on the device while making ${what} in ${parent}. Free some space and run the command again.`,
        {
          blame: "environment",
          cause: error,
        },
      );
    }
    throw error;
  }
  return dir;
};
