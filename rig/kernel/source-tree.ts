/**
 * Unpacked kernel sources: directories of the rig's own under `kernel-sources`, called by a hash of their content, made
 * beside their place and renamed into it whole, and never written to again.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { requireSpace } from "../core/cache.ts";
import { wallClock } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { acquireLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";

/** A kernel source that can be built. */
export interface SourceTree {
  /** A hash of its content. */
  readonly key: string;
  /** Never written to. */
  readonly directory: string;
  /** For people: "linux-source-5.10 5.10.262-1". */
  readonly title: string;
  /** From its Makefile, such as 5.10.262. */
  readonly version: string;
}

export interface SourceOptions {
  /** Asks the archive for the newest version of a package. */
  readonly refresh?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** MiB that an unpacked source and what it is unpacked from may take. */
const NEEDS_MIB = 2500;

/** A source that cannot be used, as an error. */
export const unusable = (message: string, cause?: unknown) =>
  new RigError("RIG_KERNEL_SOURCE", message, { blame: "usage", cause });

const sourcesDir = (): string => path.join(cacheDir(), "kernel-sources");

/** Unpacked sources that are kept; of more, those go that were not used for longest. */
const MAX_SOURCES = 6;
/** One that was used so lately may be in use still. */
const IN_USE_MS = 3_600_000;

/** Whether there is something of that name. */
export const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

/** The version of a source from its top Makefile, such as 5.10.262 or 6.12.0-rc3; undefined if it is no kernel's. */
export const versionOf = (makefile: string): string | undefined => {
  const value = (name: string) => new RegExp(`^${name} *=[ \\t]*(.*?)[ \\t]*$`, "m").exec(makefile)?.[1];
  const [version, patch, sub, extra] = ["VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION"].map(value);
  if (version === undefined || patch === undefined || !/^\d+$/.test(version) || !/^\d+$/.test(patch)) return undefined;
  return `${version}.${patch}${sub === undefined || sub === "" ? "" : `.${sub}`}${extra ?? ""}`;
};

/** The version of the kernel source in `dir`, or RIG_KERNEL_SOURCE. `what` is for messages. */
export const requireSource = async (dir: string, what: string): Promise<string> => {
  const makefile = await readFile(path.join(dir, "Makefile"), "utf8").catch(() => undefined);
  const version = makefile === undefined ? undefined : versionOf(makefile);
  if (version === undefined || !(await exists(path.join(dir, "Kconfig"))))
    throw unusable(
      `Expected a Linux source tree in ${what} (a Makefile with VERSION and PATCHLEVEL, and Kconfig); there is none.`,
    );
  if (!(await exists(path.join(dir, "arch/x86/Makefile"))))
    throw unusable(`Expected a source tree for x86-64 in ${what}; it has no arch/x86.`);
  return version;
};

/** An unpacked source, if it is there whole. */
export const peekSource = async (key: string, title: string): Promise<SourceTree | undefined> => {
  const directory = path.join(sourcesDir(), key);
  const version = await requireSource(directory, title).catch(() => undefined);
  return version === undefined ? undefined : { key, directory, title, version };
};

/** The time of a source's directory says when it was used; nothing in it is changed. */
export const touchSource = async ({ directory }: SourceTree): Promise<void> => {
  const now = wallClock();
  await utimes(directory, now, now);
};

/** Renamed first: what is removed only in part must not be taken for a source. */
const discard = async (name: string): Promise<void> => {
  const doomed = path.join(sourcesDir(), `.${name}.${process.pid}`);
  await rename(path.join(sourcesDir(), name), doomed);
  await rm(doomed, { recursive: true, force: true });
};

/** Removes all sources but the ones that were used last, and what was left of those that somebody was unpacking. */
const trimSources = async (keep: string): Promise<void> => {
  const used: { name: string; at: number }[] = [];
  for (const name of await readdir(sourcesDir())) {
    const place = path.join(sourcesDir(), name);
    if (!name.startsWith(".")) {
      const at = await stat(place).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
      if (name !== keep) used.push({ name, at });
    } else if (!existsSync(`/proc/${name.split(".").at(-1) ?? ""}`)) await rm(place, { recursive: true, force: true });
  }
  const oldest = used.toSorted((a, b) => b.at - a.at).slice(MAX_SOURCES - 1);
  for (const { name, at } of oldest)
    if (wallClock().getTime() - at > IN_USE_MS) await discard(name).catch(() => undefined);
};

/** An unpacked source: in `kernel-sources` already, or put there by `fill`. */
export const unpacked = async (
  request: { key: string; title: string; log: Log; signal: AbortSignal | undefined },
  fill: (dir: string) => Promise<void>,
): Promise<SourceTree> => {
  const { key, title, log, signal } = request;
  const known = await peekSource(key, title);
  if (known !== undefined) return known;
  const directory = path.join(sourcesDir(), key);
  await mkdir(sourcesDir(), { recursive: true });
  await using _lock = await acquireLock(directory, {
    signal,
    onWait: () => log.say(`Another process is unpacking ${title}; waiting for it.`),
  });
  const meanwhile = await peekSource(key, title);
  if (meanwhile !== undefined) return meanwhile;
  if (await exists(directory)) await discard(key);
  await trimSources(key);
  await requireSpace(sourcesDir(), NEEDS_MIB, `unpacking ${title}`);
  const building = path.join(sourcesDir(), `.${key}.${process.pid}`);
  try {
    await mkdir(building);
    log.status(`Unpacking ${title}.`);
    await fill(building);
    signal?.throwIfAborted();
    const version = await requireSource(building, title);
    await rename(building, directory);
    return { key, directory, title, version };
  } finally {
    log.status("");
    await rm(building, { recursive: true, force: true });
  }
};
