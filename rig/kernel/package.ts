/**
 * Kernel packages of Debian, fetched by apt (which checks signatures and hashes) and kept. Point releases leave the
 * archive, so what was fetched once stays in the cache until somebody asks for the newest, and is known by its content.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { contentKey, peekCache } from "../core/cache.ts";
import { acquireLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import { type PackageFacts, privateApt, showPackage } from "../debian/apt.ts";
import {
  debIn,
  download,
  type Pointer,
  pointerFile,
  pointerSchema,
  readPointer,
  requireDeb,
  writePointer,
} from "./package-store.ts";

/** What to look for, and the name under which it is kept. */
export interface PackageRequest {
  readonly name: string;
  /** Suites of Debian to look in; the newest version in any of them is taken. */
  readonly suites: readonly string[];
  /** A package, or a meta package that depends on one. */
  readonly package: string;
}

export interface KernelPackage extends Pointer {
  /** The .deb in the cache. */
  readonly deb: string;
}

const fileOf = (entry: PackageRequest): string => pointerFile(entry.name);
const keyOf = (pointer: Pointer): string => contentKey(pointer.package, pointer.version, pointer.sha256);

const known = async (entry: PackageRequest): Promise<Pointer | undefined> => {
  const pointer = await readPointer(fileOf(entry));
  if (pointer?.suites.join() !== entry.suites.join()) return undefined;
  return (pointer.wanted ?? entry.package) === entry.package ? pointer : undefined;
};

/** The kernel package in the cache, without asking the archive; undefined if it is not there or is damaged. */
export const cachedKernelPackage = async (entry: PackageRequest): Promise<KernelPackage | undefined> => {
  const pointer = await known(entry);
  const dir = pointer === undefined ? undefined : await peekCache("kernel-package", keyOf(pointer));
  const deb = dir === undefined ? undefined : await debIn(dir);
  return pointer === undefined || deb === undefined ? undefined : { ...pointer, deb };
};

/** The real package behind a meta package: the one versioned linux-image that it depends on. */
export const imageBehind = (facts: PackageFacts): string | undefined =>
  (facts["Depends"] ?? "")
    .split(",")
    .map(dependency => dependency.trim().split(" ")[0] ?? "")
    .find(dependency => /^linux-image-[0-9]/.test(dependency));

const fetchPackage = async (
  entry: PackageRequest,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<KernelPackage> => {
  const aptDir = path.join(cacheDir(), "apt", entry.name);
  await mkdir(aptDir, { recursive: true });
  log.say(`Fetching the kernel ${entry.name}: ${entry.package} from ${entry.suites.join(", ")}.`);
  const apt = await privateApt(aptDir, entry.suites, signal);
  const meta = await showPackage(apt, entry.package, signal);
  const real = imageBehind(meta);
  const facts = real === undefined ? meta : await showPackage(apt, real, signal);
  const pointer = pointerSchema.parse({
    package: facts["Package"],
    version: facts["Version"],
    sha256: facts["SHA256"],
    suites: [...entry.suites],
    wanted: entry.package,
  });
  const dir = await download({ kind: "kernel-package", key: keyOf(pointer), pointer }, apt, log, signal);
  const deb = await requireDeb(dir, pointer);
  await writePointer(fileOf(entry), pointer);
  return { ...pointer, deb };
};

/** The kernel package: the cached one, or the newest one of the archive where none is cached or `refresh` is asked for. */
export const kernelPackage = async (
  entry: PackageRequest,
  log: Log,
  options: { refresh?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<KernelPackage> => {
  const { signal } = options;
  if (options.refresh !== true) {
    const kept = await cachedKernelPackage(entry);
    if (kept !== undefined) return kept;
  }
  await using _lock = await acquireLock(fileOf(entry), {
    signal,
    onWait: () => log.say(`Another process is fetching ${entry.name}; waiting for it.`),
  });
  return (
    (options.refresh === true ? undefined : await cachedKernelPackage(entry)) ??
    (await fetchPackage(entry, log, signal))
  );
};
