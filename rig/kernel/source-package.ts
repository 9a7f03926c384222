/** Kernel sources from Debian's linux-source packages. What was fetched once stays until the newest is asked for. */
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { contentKey, peekCache } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import { acquireLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import { privateApt, showPackage } from "../debian/apt.ts";
import {
  debIn,
  download,
  type Pointer,
  pointerFile,
  pointerSchema,
  readPointer,
  writePointer,
} from "./package-store.ts";
import { peekSource, type SourceOptions, type SourceTree, unpacked, unusable } from "./source-tree.ts";

type PackageOrigin = { readonly package: string; readonly suites: readonly string[] };

const nameOf = (origin: PackageOrigin): string => `${origin.package}_${contentKey(...origin.suites).slice(0, 8)}`;
const fileOf = (origin: PackageOrigin): string => pointerFile(`source-${nameOf(origin)}`);
const keyOf = (pointer: Pointer): string =>
  contentKey("source package", pointer.package, pointer.version, pointer.sha256);
const titleOf = (pointer: Pointer): string => `${pointer.package} ${pointer.version}`;

const fetchPointer = async (origin: PackageOrigin, log: Log, signal: AbortSignal | undefined): Promise<Pointer> => {
  await using _lock = await acquireLock(fileOf(origin), {
    signal,
    onWait: () => log.say(`Another process is fetching ${origin.package}; waiting for it.`),
  });
  const aptDir = path.join(cacheDir(), "apt", `source-${nameOf(origin)}`);
  await mkdir(aptDir, { recursive: true });
  log.say(`Fetching ${origin.package} from ${origin.suites.join(", ")}.`);
  const apt = await privateApt(aptDir, origin.suites, signal);
  const facts = await showPackage(apt, origin.package, signal);
  const pointer = pointerSchema.parse({
    package: facts["Package"],
    version: facts["Version"],
    sha256: facts["SHA256"],
    suites: [...origin.suites],
  });
  await download({ kind: "kernel-source", key: keyOf(pointer), pointer }, apt, log, signal);
  await writePointer(fileOf(origin), pointer);
  return pointer;
};

const unpackDeb = async (deb: string, dir: string, signal: AbortSignal | undefined): Promise<void> => {
  const extracted = path.join(dir, ".package");
  await runOk(["dpkg-deb", "--extract", deb, extracted], "RIG_KERNEL_SOURCE", { signal });
  const found = (await readdir(path.join(extracted, "usr/src")).catch(() => [])).find(name =>
    /^linux-source-.*\.tar\.(xz|gz|bz2)$/.test(name),
  );
  if (found === undefined)
    throw unusable(
      `Expected usr/src/linux-source-*.tar.xz in ${path.basename(deb)}; there is none. Is it a linux-source package?`,
    );
  const tar = path.join(extracted, "usr/src", found);
  await runOk(["tar", "-xf", tar, "-C", dir, "--strip-components=1", "--no-same-owner"], "RIG_KERNEL_SOURCE", {
    signal,
  });
  await rm(extracted, { recursive: true });
};

/** The source in a package: the one that is known, or the newest of the archive. */
export const fromPackage = async (
  origin: PackageOrigin,
  log: Log,
  { refresh, signal }: SourceOptions,
): Promise<SourceTree> => {
  const known = refresh === true ? undefined : await readPointer(fileOf(origin));
  const debOf = async (pointer: Pointer) => {
    const dir = await peekCache("kernel-source", keyOf(pointer));
    return dir === undefined ? undefined : debIn(dir);
  };
  const kept = known === undefined ? undefined : await peekSource(keyOf(known), titleOf(known));
  if (kept !== undefined) return kept;
  const pointer =
    known !== undefined && (await debOf(known)) !== undefined ? known : await fetchPointer(origin, log, signal);
  return unpacked({ key: keyOf(pointer), title: titleOf(pointer), log, signal }, async dir => {
    const deb = await debOf(pointer);
    if (deb === undefined)
      throw new RigError(
        "RIG_KERNEL_FETCH",
        `The package ${titleOf(pointer)} is gone from the cache. Run the command again.`,
        {
          blame: "environment",
        },
      );
    await unpackDeb(deb, dir, signal);
  });
};

/** The source in the package that is known, if it is unpacked. */
export const cachedFromPackage = async (origin: PackageOrigin): Promise<SourceTree | undefined> => {
  const pointer = await readPointer(fileOf(origin));
  return pointer === undefined ? undefined : peekSource(keyOf(pointer), titleOf(pointer));
};
