/**
 * Where a kernel comes from, as it is written: `tree:~/linux`, `source:bookworm/linux-source-6.1+kasan`. Nothing here looks at a
 * disk or an archive.
 *
 * A `+` begins a suffix only behind the last `/`, so `source:/src/linux+mine/` is a directory. Files and trees that are
 * built take no suffixes, and a `+` is a part of their names; Debian's own have one (linux-image-6.12.9+deb13-amd64).
 */
import path from "node:path";
import { RigError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";

export type KernelOrigin =
  /** A package of Debian's archive, or a meta package that depends on one. */
  | { readonly kind: "debian"; readonly suites: readonly string[]; readonly package: string }
  /** A kernel package on this machine. */
  | { readonly kind: "deb"; readonly file: string }
  /** A Linux tree, or the output directory of one, in which the kernel is built. */
  | { readonly kind: "tree"; readonly dir: string }
  /** A bzImage or vmlinux, and where its modules are, if it has any. */
  | { readonly kind: "image"; readonly file: string; readonly modules?: string }
  /** A commit of a repository, built by the rig. */
  | { readonly kind: "git"; readonly dir: string; readonly ref: string }
  /** A source tree, or a package that holds one, built by the rig. */
  | {
      readonly kind: "source";
      readonly from: { readonly dir: string } | { readonly package: string; readonly suites: readonly string[] };
    };

/** What relative paths and `~` are relative to. */
export interface Places {
  readonly cwd: string;
  readonly home: string;
}

/** Suites in which a source package is looked for where none is named; the newest version wins. */
const SOURCE_SUITES = [
  "bullseye-security",
  ...["bookworm", "bookworm-updates", "bookworm-security"],
  ...["trixie", "trixie-updates", "trixie-security"],
];

export const ORIGIN_FORMS: Readonly<Record<KernelOrigin["kind"], string>> = {
  debian: "debian:<suite>/<package>",
  deb: "deb:<file>",
  tree: "tree:<dir>",
  image: "image:<file>[,modules=<dir>]",
  git: "git:<dir>@<ref>",
  source: "source:<dir or [suite/]package>",
};

const usage = (message: string): RigError => new RigError("RIG_USAGE", message, { blame: "usage" });
const quoted = (text: string): string => JSON.stringify(text.slice(0, 200));
const expected = (kind: KernelOrigin["kind"], text: string, why: string): RigError =>
  usage(`Expected ${ORIGIN_FORMS[kind]}, got ${quoted(text)}: ${why}.`);

const PACKAGE = /^[a-z0-9][a-z0-9.+-]+$/;
const SUITE = /^[a-z][a-z-]*$/;

interface Parsed {
  readonly origin: KernelOrigin;
  readonly suffixes: readonly string[];
}

/** Cuts off what follows the first `+` behind the last `/`. */
export const cutSuffixes = (text: string): { base: string; suffixes: readonly string[] } => {
  const plus = text.indexOf("+", text.lastIndexOf("/") + 1);
  return plus < 0
    ? { base: text, suffixes: [] }
    : { base: text.slice(0, plus), suffixes: text.slice(plus + 1).split("+") };
};

const absolute = (text: string, { cwd, home }: Places): string =>
  path.resolve(cwd, text === "~" || text.startsWith("~/") ? `${home}${text.slice(1)}` : text);

/** `<suite>[,<suite>...]/<package>` */
const parseArchive = (kind: "debian" | "source", rest: string, text: string) => {
  const [suites = "", name = "", more] = rest.split("/");
  if (more !== undefined || name === "") throw expected(kind, text, "a suite, a slash and a package are wanted");
  const bad = suites.split(",").find(suite => !SUITE.test(suite));
  if (bad !== undefined) throw expected(kind, text, `${quoted(bad)} is no name of a suite`);
  if (!PACKAGE.test(name)) throw expected(kind, text, `${quoted(name)} is no name of a package`);
  return { suites: suites.split(","), package: name };
};

const parseImage = (rest: string, text: string, places: Places): KernelOrigin => {
  const [file = "", ...options] = rest.split(/,(?=[A-Za-z]+=)/);
  if (file === "") throw expected("image", text, "the file is missing");
  let modules: string | undefined;
  for (const option of options) {
    const key = option.slice(0, option.indexOf("="));
    const value = option.slice(key.length + 1);
    if (key !== "modules") throw expected("image", text, `there is no option ${quoted(key)}, only modules=`);
    if (value === "") throw expected("image", text, "modules= needs a directory");
    if (modules !== undefined) throw expected("image", text, "modules= is there twice");
    modules = absolute(value, places);
  }
  return { kind: "image", file: absolute(file, places), ...(modules === undefined ? {} : { modules }) };
};

const parseGit = (rest: string, text: string, places: Places): Parsed => {
  const at = rest.lastIndexOf("@");
  if (at <= 0) throw expected("git", text, "a directory, an @ and a commit, tag or branch are wanted");
  const { base: ref, suffixes } = cutSuffixes(rest.slice(at + 1));
  // A ref that begins with a dash would be an option to git.
  if (!/^[A-Za-z0-9_][A-Za-z0-9_./~^-]*$/.test(ref))
    throw expected("git", text, `${quoted(ref)} is no name of a commit`);
  return { origin: { kind: "git", dir: absolute(rest.slice(0, at), places), ref }, suffixes };
};

const parseSource = (rest: string, text: string, places: Places): Parsed => {
  const { base, suffixes } = cutSuffixes(rest);
  if (/^[/.~]/.test(base)) return { origin: { kind: "source", from: { dir: absolute(base, places) } }, suffixes };
  if (base.includes("/")) return { origin: { kind: "source", from: parseArchive("source", base, text) }, suffixes };
  if (!PACKAGE.test(base))
    throw expected("source", text, `${quoted(base)} is no name of a package (a directory begins with / or ./)`);
  return { origin: { kind: "source", from: { package: base, suites: SOURCE_SUITES } }, suffixes };
};

const parseOrigin = (kind: KernelOrigin["kind"], rest: string, text: string, places: Places): Parsed => {
  if (rest === "") throw expected(kind, text, "nothing follows the colon");
  if (kind === "git") return parseGit(rest, text, places);
  if (kind === "source") return parseSource(rest, text, places);
  if (kind === "debian") return { origin: { kind, ...parseArchive(kind, rest, text) }, suffixes: [] };
  if (kind === "image") return { origin: parseImage(rest, text, places), suffixes: [] };
  return {
    origin: kind === "deb" ? { kind, file: absolute(rest, places) } : { kind, dir: absolute(rest, places) },
    suffixes: [],
  };
};

const isKind = (text: string): text is KernelOrigin["kind"] => Object.hasOwn(ORIGIN_FORMS, text);

/** Reads `KIND:...`; undefined where the text has no colon and so is a name. Suffixes are cut off, not yet looked at. */
export const parseOriginText = (text: string, places: Places): Parsed | undefined => {
  const colon = text.indexOf(":");
  if (colon < 0) return undefined;
  const kind = text.slice(0, colon);
  if (!isKind(kind))
    throw usage(
      `There is no kind of kernel ${quoted(kind)}. ${suggestion(kind, Object.keys(ORIGIN_FORMS))} Or a name, as in: rig kernels`,
    );
  return parseOrigin(kind, text.slice(colon + 1), text, places);
};

/** Whether suffixes can be built into it. */
export const isBuilt = (origin: KernelOrigin): origin is Extract<KernelOrigin, { kind: "git" | "source" }> =>
  origin.kind === "git" || origin.kind === "source";

/** The origin as `--kernel` takes it. */
export const originText = (origin: KernelOrigin): string => {
  switch (origin.kind) {
    case "debian":
      return `debian:${origin.suites.join(",")}/${origin.package}`;
    case "deb":
      return `deb:${origin.file}`;
    case "tree":
      return `tree:${origin.dir}`;
    case "image":
      return `image:${origin.file}${origin.modules === undefined ? "" : `,modules=${origin.modules}`}`;
    case "git":
      return `git:${origin.dir}@${origin.ref}`;
    case "source":
      // A slash at the end keeps a + in the directory's name from being taken for a suffix.
      return "dir" in origin.from
        ? `source:${origin.from.dir}${path.basename(origin.from.dir).includes("+") ? "/" : ""}`
        : `source:${origin.from.suites.join(",")}/${origin.from.package}`;
  }
};
