/** Kernel sources from Debian's linux-source packages. What was fetched once stays until the newest is asked for. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { cached, contentKey, peekCache } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import { acquireLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import { privateApt, showPackage } from "../debian/apt.ts";
import { peekSource, type SourceOptions, type SourceTree, unpacked, unusable } from "./source-tree.ts";

const pointerSchema = z.strictObject({
  package: z.string(),
  version: z.string(),
  /** SHA-256 of the .deb, from the signed index. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  suites: z.array(z.string()),
});
type Pointer = z.infer<typeof pointerSchema>;
type PackageOrigin = { readonly package: string; readonly suites: readonly string[] };

const nameOf = (origin: PackageOrigin): string => `${origin.package}_${contentKey(...origin.suites).slice(0, 8)}`;
const pointerFile = (origin: PackageOrigin): string =>
  path.join(cacheDir(), "kernel-pointers", `source-${nameOf(origin)}.json`);
const keyOf = (pointer: Pointer): string =>
  contentKey("source package", pointer.package, pointer.version, pointer.sha256);
const titleOf = (pointer: Pointer): string => `${pointer.package} ${pointer.version}`;

const readPointer = async (origin: PackageOrigin): Promise<Pointer | undefined> => {
  try {
    return pointerSchema.safeParse(JSON.parse(await readFile(pointerFile(origin), "utf8"))).data;
  } catch {
    return undefined;
  }
};

const debIn = async (dir: string): Promise<string | undefined> =>
  (await readdir(dir)).filter(name => name.endsWith(".deb")).map(name => path.join(dir, name))[0];

const fetchPointer = async (origin: PackageOrigin, log: Log, signal: AbortSignal | undefined): Promise<Pointer> => {
  await using _lock = await acquireLock(pointerFile(origin), {
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
  await cached({
    kind: "kernel-source",
    key: keyOf(pointer),
    what: `the package ${titleOf(pointer)}`,
    needsMiB: 500,
    log,
    signal,
    build: async building => {
      await runOk(
        ["apt-get", ...apt.options, "download", `${pointer.package}=${pointer.version}`],
        "RIG_KERNEL_FETCH",
        { cwd: building, signal },
      );
      if ((await debIn(building)) === undefined)
        throw new RigError("RIG_KERNEL_FETCH", `apt fetched ${pointer.package} but left no .deb in ${building}.`, {
          blame: "environment",
        });
    },
  });
  const file = pointerFile(origin);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(pointer, null, 2)}\n`);
  await rename(`${file}.${process.pid}`, file);
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
  const known = refresh === true ? undefined : await readPointer(origin);
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
  const pointer = await readPointer(origin);
  return pointer === undefined ? undefined : peekSource(keyOf(pointer), titleOf(pointer));
};
