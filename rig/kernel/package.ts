/**
 * Kernel packages of Debian, fetched by apt (which checks signatures and hashes) and kept. Point releases leave the
 * archive, so what was fetched once stays in the cache until somebody asks for the newest, and is known by its content.
 */
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { cached, contentKey, peekCache } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import { acquireLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import { type PackageFacts, privateApt, showPackage } from "../debian/apt.ts";

const pointerSchema = z.strictObject({
  package: z.string(),
  version: z.string(),
  /** SHA-256 of the .deb, from the signed index. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  suites: z.array(z.string()),
  /** What was looked for; pointers of earlier rigs do not say. */
  wanted: z.string().optional(),
});
type Pointer = z.infer<typeof pointerSchema>;

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

const pointerFile = (entry: PackageRequest): string => path.join(cacheDir(), "kernel-pointers", `${entry.name}.json`);
const keyOf = (pointer: Pointer): string => contentKey(pointer.package, pointer.version, pointer.sha256);

const readPointer = async (entry: PackageRequest): Promise<Pointer | undefined> => {
  try {
    const parsed = pointerSchema.safeParse(JSON.parse(await readFile(pointerFile(entry), "utf8")));
    if (!parsed.success || parsed.data.suites.join() !== entry.suites.join()) return undefined;
    return (parsed.data.wanted ?? entry.package) === entry.package ? parsed.data : undefined;
  } catch {
    return undefined;
  }
};

const debIn = async (dir: string): Promise<string | undefined> =>
  (await readdir(dir)).filter(name => name.endsWith(".deb")).map(name => path.join(dir, name))[0];

const requireDeb = async (dir: string, pointer: Pointer): Promise<string> => {
  const deb = await debIn(dir);
  if (deb !== undefined) return deb;
  throw new RigError("RIG_KERNEL_FETCH", `apt fetched ${pointer.package} but left no .deb in ${dir}.`, {
    blame: "environment",
  });
};

/** The kernel package in the cache, without asking the archive; undefined if it is not there or is damaged. */
export const cachedKernelPackage = async (entry: PackageRequest): Promise<KernelPackage | undefined> => {
  const pointer = await readPointer(entry);
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
  const dir = await cached({
    kind: "kernel-package",
    key: keyOf(pointer),
    what: `the package ${pointer.package} ${pointer.version}`,
    needsMiB: 500,
    log,
    signal,
    build: async building => {
      await runOk(
        ["apt-get", ...apt.options, "download", `${pointer.package}=${pointer.version}`],
        "RIG_KERNEL_FETCH",
        { cwd: building, signal },
      );
      // Before the entry is there: one without a package would stay, and nothing would fetch it again.
      await requireDeb(building, pointer);
    },
  });
  const deb = await requireDeb(dir, pointer);
  const file = pointerFile(entry);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(pointer, null, 2)}\n`);
  await rename(`${file}.${process.pid}`, file);
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
    const known = await cachedKernelPackage(entry);
    if (known !== undefined) return known;
  }
  await using _lock = await acquireLock(pointerFile(entry), {
    signal,
    onWait: () => log.say(`Another process is fetching ${entry.name}; waiting for it.`),
  });
  return (
    (options.refresh === true ? undefined : await cachedKernelPackage(entry)) ??
    (await fetchPackage(entry, log, signal))
  );
};
