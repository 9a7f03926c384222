/**
 * From where a kernel comes to what its parts are: each kind of origin in its own way, and for each a way that asks no archive
 * and builds nothing. What is found is known by its content, so a bundle is made of it once.
 */
import { open, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { contentKey, sha256File } from "../core/cache.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { type BuiltKernel, buildKernel, cachedBuild } from "./build.ts";
import { builtTree, TREE_IMAGE } from "./built-tree.ts";
import type { KernelParts } from "./bundle.ts";
import { imageRelease } from "./image.ts";
import { findRelease } from "./module-tree.ts";
import { cachedKernelPackage, type KernelPackage, kernelPackage } from "./package.ts";
import { cachedSourceTree, sourceTree } from "./source.ts";
import type { KernelOrigin, KernelSpec } from "./spec.ts";

export interface ResolveOptions {
  /** Looks for newer versions where one is cached. */
  readonly refresh?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A kernel whose parts are at hand. */
export interface Located {
  /** What it is known by. */
  readonly content: readonly string[];
  /** Lays out its parts; `dir` is for what has to be unpacked. */
  readonly open: (dir: string) => Promise<KernelParts>;
  readonly package?: { readonly name: string; readonly version: string };
  readonly built?: BuiltKernel & { readonly sourceKey: string; readonly sourceVersion: string };
  /** In words. */
  readonly source: string;
  /** What of it is in the cache, or on this machine: files or directories. */
  readonly files: readonly { readonly what: string; readonly file: string }[];
}

/** May fetch and build, and tells of it; undefined: only what is there already. */
export type Effort = (ResolveOptions & { readonly log: Log }) | undefined;

type Origin<K extends KernelOrigin["kind"]> = Extract<KernelOrigin, { kind: K }>;

const unusable = (message: string, cause?: unknown): RigError =>
  new RigError("RIG_KERNEL_BUNDLE", message, { blame: "usage", cause });

/** Fails unless it is a file that can be read. */
const requireFile = async (file: string, what: string): Promise<void> => {
  let isDirectory = false;
  try {
    const facts = await stat(file);
    if (facts.isFile()) return;
    isDirectory = facts.isDirectory();
  } catch (error) {
    // The end of such a name may have been meant for a suffix.
    const suffix = /\+[a-z0-9-]+$/.test(file) ? " Kernels that are built already take no suffixes." : "";
    throw unusable(`Expected ${what} at ${file}: ${messageOf(error)}.${suffix}`, error);
  }
  throw unusable(
    `Expected ${what} at ${file}; it is ${isDirectory ? `a directory. For a tree in which a kernel was built: tree:${file}` : "no file."}`,
  );
};

const unpackDeb = async (deb: string, dir: string, signal: AbortSignal | undefined): Promise<KernelParts> => {
  await runOk(["dpkg-deb", "--extract", deb, dir], "RIG_KERNEL_BUNDLE", { signal });
  const boot = await readdir(path.join(dir, "boot")).catch(() => []);
  const find = (prefix: string) =>
    boot.filter(name => name.startsWith(prefix)).map(name => path.join(dir, "boot", name))[0];
  const image = find("vmlinuz-");
  if (image === undefined)
    throw unusable(
      `Expected boot/vmlinuz-* in the package ${deb}; there is none. A meta package has none, nor has one of debug symbols.`,
    );
  const where = `the package ${deb} (one with modules of its own: unpack both, and use image:FILE,modules=DIR)`;
  return { image, modules: dir, where, config: find("config-") };
};

const ofPackage = (pkg: KernelPackage, source: string, signal: AbortSignal | undefined): Located => ({
  content: [pkg.sha256],
  open: dir => unpackDeb(pkg.deb, dir, signal),
  package: { name: pkg.package, version: pkg.version },
  source,
  files: [{ what: "package", file: pkg.deb }],
});

const locateDebian = async (
  spec: KernelSpec,
  origin: Origin<"debian">,
  effort: Effort,
): Promise<Located | undefined> => {
  const request = { name: spec.name, suites: origin.suites, package: origin.package };
  const pkg =
    effort === undefined ? await cachedKernelPackage(request) : await kernelPackage(request, effort.log, effort);
  if (pkg === undefined) return undefined;
  return ofPackage(pkg, `${spec.title}, ${origin.package} of ${origin.suites.join(", ")}`, effort?.signal);
};

const debFacts = async (deb: string, signal: AbortSignal | undefined): Promise<{ name: string; version: string }> => {
  await requireFile(deb, "a kernel package");
  await using handle = await open(deb, "r");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(21), 0, 21, 0);
  if (buffer.toString("latin1", 0, bytesRead) !== "!<arch>\ndebian-binary")
    throw unusable(
      `${deb} is no Debian package. Of a package of another kind, unpack the kernel and its modules: image:FILE,modules=DIR`,
    );
  const shown = await runOk(
    ["dpkg-deb", "--show", "--showformat", "${Package}\\n${Version}\\n${Architecture}\\n", deb],
    "RIG_KERNEL_BUNDLE",
    { signal },
  );
  const [name = "", version = "", architecture = ""] = shown.stdout.split("\n");
  if (architecture !== "amd64")
    throw unusable(`The package ${deb} is for ${architecture}; only kernels for x86-64 (amd64) are supported.`);
  return { name, version };
};

const locateDeb = async ({ file }: Origin<"deb">, effort: Effort): Promise<Located> => {
  const facts = await debFacts(file, effort?.signal);
  const sha256 = await sha256File(file);
  const pkg = { package: facts.name, version: facts.version, sha256, suites: [], deb: file };
  return ofPackage(pkg, `the package ${path.basename(file)}`, effort?.signal);
};

/** Names, sizes and times of everything under a directory: enough to see that it is another one. */
const listing = async (dir: string): Promise<string> => {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile()).map(entry => path.join(entry.parentPath, entry.name));
  const stats = await Promise.all(
    files.map(async file => {
      const { size, mtimeMs } = await stat(file);
      return `${path.relative(dir, file)} ${size} ${mtimeMs}`;
    }),
  );
  return contentKey(stats.toSorted().join("\n"));
};

const locateImage = async ({ file, modules: given }: Origin<"image">): Promise<Located> => {
  await requireFile(file, "a kernel image");
  const release = await imageRelease(file);
  const modules = given === undefined ? undefined : await findRelease(given, release);
  const beside = path.join(path.dirname(file), path.basename(file).replace(/^vmlinu[xz]/, "config"));
  const config = beside === file ? undefined : beside;
  return {
    content: [
      "image",
      await sha256File(file),
      modules === undefined ? "" : await listing(modules),
      config === undefined ? "" : await readFile(config, "utf8").catch(() => ""),
    ],
    open: () => Promise.resolve({ image: file, modules, config }),
    source: modules === undefined ? `the image ${file}` : `the image ${file} with the modules in ${modules}`,
    files: [{ what: "image", file }],
  };
};

const locateTree = async ({ dir }: Origin<"tree">): Promise<Located> => ({
  ...(await builtTree(dir)),
  source: `the built tree ${dir}`,
  files: [{ what: "image", file: path.join(dir, TREE_IMAGE) }],
});

const locateBuilt = async (
  spec: KernelSpec,
  origin: Origin<"git" | "source">,
  effort: Effort,
): Promise<Located | undefined> => {
  const source = effort === undefined ? await cachedSourceTree(origin) : await sourceTree(origin, effort.log, effort);
  if (source === undefined) return undefined;
  const built =
    effort === undefined
      ? await cachedBuild(source, spec.suffixes)
      : await buildKernel(source, spec.suffixes, effort.log, effort.signal);
  if (built === undefined) return undefined;
  const { image, modules, config } = built;
  return {
    content: ["built", built.key, built.sha256],
    open: () => Promise.resolve({ image, modules, config }),
    built: { ...built, sourceKey: source.key, sourceVersion: source.version },
    source: `built from ${source.title}`,
    files: [{ what: "build", file: path.dirname(image) }],
  };
};

/** Finds, fetches or builds a kernel's parts; without effort, undefined where that would take an archive or a build. */
export const locate = (spec: KernelSpec, effort: Effort): Promise<Located | undefined> => {
  const { origin } = spec;
  switch (origin.kind) {
    case "debian":
      return locateDebian(spec, origin, effort);
    case "deb":
      return locateDeb(origin, effort);
    case "image":
      return locateImage(origin);
    case "tree":
      return locateTree(origin);
    case "git":
    case "source":
      return locateBuilt(spec, origin, effort);
  }
};
