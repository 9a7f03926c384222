/**
 * Where the source of a kernel is, for an audit to read. For one that the rig builds it is what it is built from, variants
 * and all; for a built tree the tree; for Debian's packages the source package of the same version. An image has none.
 */
import { readFile, realpath } from "node:fs/promises";
import path from "node:path";
import { RigError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { debianSource, readBinaryPackage, readLatin1, sourcePackageOf } from "./audit-debian.ts";
import type { Sources } from "./audit-rules.ts";
import { kernelPackage } from "./package.ts";
import { sourceTree } from "./source.ts";
import type { KernelNames, KernelOrigin, KernelSpec } from "./spec.ts";
import { applyVariants, loadVariants } from "./variants.ts";

export type AuditSource =
  | { readonly sources: Sources; readonly title: string }
  /** Why there is nothing to read. */
  | { readonly why: string };

export interface AuditSourceOptions {
  /** Paths in the tree. */
  readonly files: readonly string[];
  readonly catalogue: KernelNames;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

type Origin<K extends KernelOrigin["kind"]> = Extract<KernelOrigin, { kind: K }>;

/** Text as people wrote it. Files are read byte by byte, as patches are, until they are put together. */
const decoded = (sources: Sources): Sources =>
  new Map([...sources].map(([name, text]) => [name, Buffer.from(text, "latin1").toString("utf8")]));

const found = (sources: Sources, title: string, where: string): AuditSource =>
  sources.size === 0
    ? { why: `${where} has none of the files that an audit reads` }
    : { sources: decoded(sources), title };

const ofBuilt = async (
  spec: KernelSpec,
  origin: Origin<"git" | "source">,
  { files, log, signal }: AuditSourceOptions,
): Promise<AuditSource> => {
  const tree = await sourceTree(origin, log, { signal });
  const variants = (await loadVariants()).filter(({ name }) => spec.suffixes.includes(name));
  const applied = await applyVariants(tree.directory, tree.title, variants);
  const sources = await readLatin1(tree.directory, files);
  for (const file of files) {
    if (!applied.files.has(file)) continue;
    const text = applied.files.get(file);
    if (text === undefined) sources.delete(file);
    else sources.set(file, text);
  }
  const patched = variants.length === 0 ? "" : ` with ${variants.map(({ name }) => `+${name}`).join(" ")}`;
  return found(sources, `${tree.title}${patched}`, tree.title);
};

const text = (file: string): Promise<string> => readFile(file, "utf8").catch(() => "");

/**
 * The directories in which the source of a build tree may be: the tree itself, or where its output directory points to, by
 * the link `source` or by the Makefile that Kbuild left there.
 */
const sourceDirs = async (dir: string): Promise<readonly string[]> => {
  const link = await realpath(path.join(dir, "source")).catch(() => undefined);
  const makefile = await text(path.join(dir, "Makefile"));
  const include =
    /^include\s+(\S+)\/Makefile\s*$/m.exec(makefile)?.[1] ??
    /^(?:KERNELSRC|MAKEARGS)\s*:=.*?(\/\S+)\s*$/m.exec(makefile)?.[1];
  return [dir, ...(link === undefined ? [] : [link]), ...(include === undefined ? [] : [path.resolve(dir, include)])];
};

const requireThere = async (file: string, what: string): Promise<void> => {
  if ((await realpath(file).catch(() => undefined)) === undefined)
    throw new RigError("RIG_FILE", `Expected ${what} at ${file}; there is nothing. Look at the path.`, {
      blame: "usage",
    });
};

const ofTree = async ({ dir }: Origin<"tree">, { files }: AuditSourceOptions): Promise<AuditSource> => {
  await requireThere(dir, "a built Linux tree");
  const dirs = await sourceDirs(dir);
  for (const candidate of dirs) {
    const sources = await readLatin1(candidate, files);
    if (sources.size > 0) return found(sources, candidate, candidate);
  }
  return { why: `there is no source in ${dirs.join(" or ")}` };
};

const ofPackage = async (
  deb: string,
  suites: readonly string[],
  { files, catalogue, log, signal }: AuditSourceOptions,
): Promise<AuditSource> => {
  const wanted = sourcePackageOf(await readBinaryPackage(deb, signal));
  if (typeof wanted === "string") return { why: wanted };
  const sources = await debianSource(wanted, files, suites, catalogue, log, signal);
  const title = `${wanted.package} ${wanted.version}`;
  return typeof sources === "string" ? { why: sources } : found(sources, title, title);
};

/** The source files of a kernel, or why they cannot be had. */
export const auditSourceOf = async (spec: KernelSpec, options: AuditSourceOptions): Promise<AuditSource> => {
  const { origin } = spec;
  switch (origin.kind) {
    case "git":
    case "source":
      return ofBuilt(spec, origin, options);
    case "tree":
      return ofTree(origin, options);
    case "debian": {
      const { log, signal } = options;
      const { deb } = await kernelPackage({ name: spec.name, ...origin }, log, { signal });
      return ofPackage(deb, origin.suites, options);
    }
    case "deb":
      return ofPackage(origin.file, [], options);
    case "image":
      await requireThere(origin.file, "a kernel image");
      return { why: "there is no source beside an image; with --run its scenarios tell what they can" };
  }
};
