/**
 * Unpacked kernel sources: directories of the rig's own under `kernel-sources`, called by a hash of their content, made
 * beside their place and renamed into it whole, and never written to again.
 */
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { requireSpace } from "../core/cache.ts";
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

/** An unpacked source, if it is there. */
export const peekSource = async (key: string, title: string): Promise<SourceTree | undefined> => {
  const directory = path.join(sourcesDir(), key);
  return (await exists(directory))
    ? { key, directory, title, version: await requireSource(directory, title) }
    : undefined;
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
  for (const name of await readdir(sourcesDir()))
    if (name.startsWith(`.${key}.`)) await rm(path.join(sourcesDir(), name), { recursive: true, force: true });
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
