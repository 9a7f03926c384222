/**
 * The source of a kernel that Debian built: the package linux-source of exactly the same version. Its archive keeps only
 * the newest; another version is another source, and what it has says nothing about the kernel at hand. Of the package only
 * the few files that an audit reads are kept.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { cached, contentKey, peekCache } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { run, runOk } from "../core/exec.ts";
import { acquireLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import { parseStanzas, privateApt } from "../debian/apt.ts";
import type { Sources } from "./audit-rules.ts";
import { cachedSourceTree } from "./source.ts";
import type { KernelNames } from "./spec.ts";

/** Fields of a binary package that lead to its source. */
export interface BinaryPackage {
  readonly package: string;
  readonly version: string;
  /** As in the package; undefined where it is the package's own name. */
  readonly source: string | undefined;
}

export interface SourcePackage {
  readonly package: string;
  readonly version: string;
}

/** The package that holds the source of a kernel package, or why there is none. */
export const sourcePackageOf = ({ package: name, version, source }: BinaryPackage): SourcePackage | string => {
  const from = (source ?? name).split(" ")[0] ?? "";
  if (!/^linux(-signed-[a-z0-9-]+)?$/.test(from))
    return `${name} is built from the source package ${from}, of which the rig does not know where its tree is; for a tree that you have: rig kernels audit source:DIR`;
  const base = /^([0-9]+\.[0-9]+)[.~-]/.exec(version)?.[1];
  if (base === undefined) return `the version ${version} of ${name} does not begin as one of Linux does`;
  return { package: `linux-source-${base}`, version };
};

/** The fields of a .deb. */
export const readBinaryPackage = async (deb: string, signal?: AbortSignal): Promise<BinaryPackage> => {
  const said = await run(["dpkg-deb", "--field", deb, "Package", "Version", "Source"], { signal });
  const fields = parseStanzas(said.stdout)[0];
  const [name, version] = [fields?.["Package"], fields?.["Version"]];
  if (said.exitCode !== 0 || name === undefined || version === undefined)
    throw new RigError(
      "RIG_FILE",
      `Expected a Debian package in ${deb}; dpkg-deb finds no Package and Version in it.`,
      {
        blame: "usage",
      },
    );
  return { package: name, version, source: fields?.["Source"] };
};

export const readLatin1 = async (dir: string, files: readonly string[]): Promise<Map<string, string>> => {
  const read = new Map<string, string>();
  for (const file of files) {
    try {
      read.set(file, await readFile(path.join(dir, file), "latin1"));
    } catch (error) {
      if (!["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  }
  return read;
};

/** In an entry of the cache a file is called by its path, flat: a manifest knows no directories. */
const flat = (file: string): string => file.replaceAll("/", "%");

const readFlat = async (dir: string, files: readonly string[]): Promise<Sources> => {
  const read = await readLatin1(dir, files.map(flat));
  return new Map([...read].map(([name, text]) => [name.replaceAll("%", "/"), text]));
};

const stanza = z.object({ Version: z.string(), SHA256: z.string().regex(/^[0-9a-f]{64}$/) });

/** Takes the wanted files out of a linux-source package. Those that the tree does not have are left out. */
const extract = async (
  deb: string,
  files: readonly string[],
  to: string,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const opened = path.join(to, ".package");
  await runOk(["dpkg-deb", "--extract", deb, opened], "RIG_KERNEL_SOURCE", { signal });
  const usrSrc = path.join(opened, "usr/src");
  const tar = (await readdir(usrSrc).catch(() => [])).find(name => /^linux-source-.*\.tar\.(xz|gz|bz2)$/.test(name));
  if (tar === undefined)
    throw new RigError(
      "RIG_KERNEL_SOURCE",
      `Expected usr/src/linux-source-*.tar.xz in ${path.basename(deb)}; there is none. Is it a linux-source package?`,
      { blame: "environment" },
    );
  const patterns = files.map(file => `*/${file}`);
  const taken = await run(
    [
      ...(["tar", "-xf", path.join(usrSrc, tar), "-C", opened] as const),
      ...["--strip-components=1", "--no-same-owner", "--wildcards", ...patterns],
    ],
    { signal },
  );
  // A file that the source does not have is no error; anything else that tar says is.
  const other = taken.stderr
    .split("\n")
    .filter(
      line => line !== "" && !/Not found in archive|Exiting with failure status due to previous errors/.test(line),
    );
  if (taken.exitCode < 0 || taken.exitCode > 2 || other.length > 0)
    throw new RigError("RIG_KERNEL_SOURCE", `${tar} could not be unpacked: ${other.join("; ").slice(0, 500)}`, {
      blame: "environment",
    });
  for (const file of files) await rename(path.join(opened, file), path.join(to, flat(file))).catch(() => undefined);
  if ((await readdir(to)).every(name => name === ".package"))
    throw new RigError("RIG_KERNEL_SOURCE", `Expected ${files.join(", ")} in ${tar}.\n${taken.stderr.slice(0, 500)}`, {
      blame: "environment",
    });
  await rm(opened, { recursive: true });
};

/** Suites in which the catalogue has that source package. */
const knownSuites = ({ kernels }: KernelNames, name: string): readonly string[] =>
  kernels.flatMap(({ origin }) =>
    origin.kind === "source" && "package" in origin.from && origin.from.package === name ? origin.from.suites : [],
  );

/** The rig's own unpacked source of exactly that version, if a kernel was built from it. */
const unpackedAlready = async (wanted: SourcePackage, { kernels }: KernelNames): Promise<string | undefined> => {
  for (const { origin } of kernels) {
    if (origin.kind !== "source" || !("package" in origin.from) || origin.from.package !== wanted.package) continue;
    const tree = await cachedSourceTree(origin);
    if (tree?.title === `${wanted.package} ${wanted.version}`) return tree.directory;
  }
  return undefined;
};

/** The files of a Debian source package, or why they cannot be had. `suites` are where the kernel's own package is from. */
export const debianSource = async (
  wanted: SourcePackage,
  files: readonly string[],
  suites: readonly string[],
  catalogue: KernelNames,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<Sources | string> => {
  const unpacked = await unpackedAlready(wanted, catalogue);
  if (unpacked !== undefined) return readLatin1(unpacked, files);
  // Debian never has two contents under one version, so the version is the content.
  const key = contentKey("audit source", wanted.package, wanted.version, ...files);
  const known = await peekCache("audit-source", key);
  if (known !== undefined) return readFlat(known, files);
  const from = [...new Set([...suites, ...knownSuites(catalogue, wanted.package)])];
  if (from.length === 0)
    return `no suite is known to have ${wanted.package}; with a tree that you have: rig kernels audit source:DIR`;
  const title = `${wanted.package} ${wanted.version}`;
  const aptDir = path.join(cacheDir(), "apt", `audit-${wanted.package}_${contentKey(...from).slice(0, 8)}`);
  await mkdir(aptDir, { recursive: true });
  await using _lock = await acquireLock(aptDir, { signal });
  const meanwhile = await peekCache("audit-source", key);
  if (meanwhile !== undefined) return await readFlat(meanwhile, files);
  log.say(`Looking for ${title}, the kernel's source, in ${from.join(", ")}.`);
  const apt = await privateApt(aptDir, from, signal);
  const all = await run(["apt-cache", ...apt.options, "show", wanted.package], { signal });
  const offered = parseStanzas(all.stdout);
  const facts = stanza.safeParse(offered.find(one => one["Version"] === wanted.version)).data;
  if (facts === undefined) {
    const has =
      offered.length === 0 ? "does not have that package" : `has ${offered.map(one => one["Version"]).join(", ")}`;
    return `the archive no longer has ${title} (${from.join(", ")} ${has}), and another version would say nothing about this kernel`;
  }
  const dir = await cached({
    kind: "audit-source",
    key,
    what: `the source files of ${title}`,
    needsMiB: 500,
    log,
    signal,
    build: async building => {
      const download = path.join(building, ".download");
      await mkdir(download);
      await runOk(["apt-get", ...apt.options, "download", `${wanted.package}=${wanted.version}`], "RIG_KERNEL_FETCH", {
        cwd: download,
        signal,
      });
      const deb = (await readdir(download)).find(name => name.endsWith(".deb"));
      if (deb === undefined)
        throw new RigError("RIG_KERNEL_FETCH", `apt fetched ${title} but left no .deb in ${download}.`, {
          blame: "environment",
        });
      const unpacking = path.join(building, ".unpacking");
      await mkdir(unpacking);
      await extract(path.join(download, deb), files, unpacking, signal);
      for (const name of await readdir(unpacking)) await rename(path.join(unpacking, name), path.join(building, name));
      await rm(unpacking, { recursive: true });
      await rm(download, { recursive: true });
      await writeFile(path.join(building, "package.json"), `${JSON.stringify({ ...wanted, sha256: facts.SHA256 })}\n`);
    },
  });
  return await readFlat(dir, files);
};
