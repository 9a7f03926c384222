/** Kernel sources from a directory: what is in it now is copied, so that it may be worked on while a kernel is built. */
import { mkdir, readdir, readFile, realpath, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { contentKey } from "../core/cache.ts";
import { runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import {
  exists,
  peekSource,
  requireSource,
  type SourceOptions,
  type SourceTree,
  unpacked,
  unusable,
} from "./source-tree.ts";

/** What a configured tree has, and a clean one has not; the kernel's own Makefile asks for the same. */
const TRACES = [".config", "include/config", "arch/x86/include/generated"];

const listing = async (dir: string, signal: AbortSignal | undefined): Promise<string> => {
  const found = await runOk(
    [
      "find",
      dir,
      "-path",
      `${dir}/.git`,
      "-prune",
      "-o",
      "-type",
      "d",
      "-o",
      "-printf",
      "%P\\t%y\\t%m\\t%s\\t%T@\\t%C@\\t%i\\n",
    ],
    "RIG_KERNEL_SOURCE",
    { signal },
  );
  return contentKey(found.stdout.split("\n").toSorted().join("\n"));
};

/** A hash of all files of a directory, names and contents. */
const hashDirectory = async (dir: string, signal: AbortSignal | undefined): Promise<string> => {
  const list = await runOk(
    [
      "sh",
      "-c",
      'cd "$1" && { find . -path ./.git -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum; find . -path ./.git -prune -o -type l -printf "%p -> %l\\n" | LC_ALL=C sort; find . -path ./.git -prune -o -type f -perm -u+x -print | LC_ALL=C sort; } | sha256sum',
      "sh",
      dir,
    ],
    "RIG_KERNEL_SOURCE",
    { signal },
  );
  return contentKey("source directory", list.stdout);
};

const knownFile = (dir: string): string =>
  path.join(cacheDir(), "kernel-pointers", `directory-${contentKey(dir)}.json`);
const knownSchema = z.strictObject({ listing: z.string(), key: z.string() });

/** The key of a directory's content. Hashing takes seconds, so it is remembered for as long as no file's times change. */
const keyOfDirectory = async (dir: string, signal: AbortSignal | undefined): Promise<string> => {
  const now = await listing(dir, signal);
  try {
    const known = knownSchema.parse(JSON.parse(await readFile(knownFile(dir), "utf8")));
    if (known.listing === now) return known.key;
  } catch {
    // Not seen yet.
  }
  const key = await hashDirectory(dir, signal);
  // What changed while it was hashed is hashed again the next time.
  await mkdir(path.dirname(knownFile(dir)), { recursive: true });
  await writeFile(`${knownFile(dir)}.${process.pid}`, JSON.stringify({ listing: now, key }));
  await rename(`${knownFile(dir)}.${process.pid}`, knownFile(dir));
  return key;
};

/** Where the directory is, links followed: what only lists would list a link and not what is behind it. */
const requireClean = async (dir: string): Promise<string> => {
  if (!(await exists(dir))) throw unusable(`Expected a directory with a Linux source tree at ${dir}; there is none.`);
  await requireSource(dir, dir);
  for (const trace of TRACES)
    if (await exists(path.join(dir, trace)))
      throw unusable(
        `Expected a clean source tree in ${dir}; it has ${trace}, so a kernel was configured in it. Run make mrproper there, or use tree:${dir} for the kernel that was built in it.`,
      );
  return realpath(dir);
};

/** The source in a directory, as it is now. */
export const fromDirectory = async (dir: string, log: Log, { signal }: SourceOptions): Promise<SourceTree> => {
  const real = await requireClean(dir);
  log.status(`Looking for changes in ${dir}.`);
  const key = await keyOfDirectory(real, signal);
  return unpacked({ key, title: path.basename(dir), log, signal }, async to => {
    const names = (await readdir(real)).filter(name => name !== ".git").map(name => path.join(real, name));
    await runOk(["cp", "-a", "--no-preserve=ownership", "--reflink=auto", ...names, to], "RIG_KERNEL_SOURCE", {
      signal,
    });
    if ((await hashDirectory(to, signal)) !== key)
      throw unusable(`${dir} changed while it was read. Run the command again when it is at rest.`);
  });
};

/** The source in a directory, if what is in it now was copied already. */
export const cachedFromDirectory = async (dir: string, signal?: AbortSignal): Promise<SourceTree | undefined> => {
  const real = await requireClean(dir);
  return peekSource(await keyOfDirectory(real, signal), path.basename(dir));
};
