/**
 * What a kernel is called, in the catalogue and on the command line: a name, or where it comes from, and then the suffixes of
 * what is built into it (`linux-5.10+kasan+seed-defect-1`). A typo costs no more than the reading of it.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { RigError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";
import {
  cutSuffixes,
  isBuilt,
  type KernelOrigin,
  ORIGIN_FORMS,
  originText,
  type Places,
  parseOriginText,
} from "./origin.ts";

export type { KernelOrigin } from "./origin.ts";
export { isBuilt, originText } from "./origin.ts";

export interface KernelSpec {
  /** The catalogue's, or one made from the origin; with the suffixes in their order. Can be a directory's. */
  readonly name: string;
  /** What `--kernel` takes for it, wherever it is given: paths are whole. */
  readonly text: string;
  readonly title: string;
  readonly origin: KernelOrigin;
  readonly suffixes: readonly string[];
}

/** Kinds of suffixes, in the order in which a name has them. */
export const SUFFIX_KINDS = ["defect", "follow-up", "model", "instrument", "flavour"] as const;

/** Something that can be built into a kernel: a variant is a patch, a flavour a piece of configuration. */
export interface KnownSuffix {
  readonly name: string;
  readonly kind: (typeof SUFFIX_KINDS)[number];
  /** One line. */
  readonly title: string;
  /** The whole of what there is to say of it, where a line does not do. */
  readonly about?: string;
  /** Others that it cannot be built in with; one side is enough. */
  readonly excludes: readonly string[];
}

const usage = (message: string): RigError => new RigError("RIG_USAGE", message, { blame: "usage" });
const quoted = (text: string): string => JSON.stringify(text.slice(0, 200));

/** What is told of an origin in its name. */
const gist = (origin: KernelOrigin): string => {
  switch (origin.kind) {
    case "debian":
      return `${origin.suites[0] ?? ""}-${origin.package}`;
    case "deb":
      return path.basename(origin.file, ".deb");
    case "tree":
      return path.basename(origin.dir);
    case "image":
      return path.basename(origin.file.replace(/\/arch\/x86\/boot\/bzImage$/, ""));
    case "git":
      return `${path.basename(origin.dir)}-${origin.ref}`;
    case "source":
      return "dir" in origin.from ? path.basename(origin.from.dir) : origin.from.package;
  }
};

/** The name of a kernel that the catalogue does not have: what it is, and enough of a hash to tell it from its like. */
const adHocName = (origin: KernelOrigin): string => {
  const hash = createHash("sha256").update(originText(origin)).digest("hex").slice(0, 6);
  const words = `${origin.kind}-${gist(origin)}`.replaceAll(/[^A-Za-z0-9._]+/g, "-").slice(0, 60);
  return `${words.replace(/[-.]+$/, "")}-${hash}`;
};

const checkedSuffixes = (text: string, asked: readonly string[], known: readonly KnownSuffix[]): readonly string[] => {
  const names = known.map(({ name }) => name);
  const found = asked.map(suffix => {
    const one = known.find(({ name }) => name === suffix);
    if (one !== undefined) return one;
    if (suffix === "")
      throw usage(`Expected a suffix after each + of ${quoted(text)}. All of them: rig kernels variants`);
    const path = text.includes("/") ? " If the + belongs to a directory's name, end it with a slash." : "";
    throw usage(
      `There is no suffix ${quoted(`+${suffix}`)}. ${suggestion(suffix, names)} All of them: rig kernels variants.${path}`,
    );
  });
  for (const [i, one] of found.entries()) {
    if (found.indexOf(one) < i) throw usage(`The suffix +${one.name} is there twice in ${quoted(text)}.`);
    const other = found.find(({ name, excludes }) => one.excludes.includes(name) || excludes.includes(one.name));
    if (other !== undefined) throw usage(`+${one.name} and +${other.name} cannot be built into one kernel.`);
  }
  const rank = ({ kind }: KnownSuffix) => SUFFIX_KINDS.indexOf(kind);
  return found.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1)).map(({ name }) => name);
};

/** Files and trees keep their +, unless what follows it can only be meant as suffixes. */
const refuseSuffixes = (text: string, known: readonly KnownSuffix[]): void => {
  const { suffixes } = cutSuffixes(text);
  const last = suffixes.at(-1);
  if (last !== undefined && known.some(({ name }) => name === last))
    throw usage(
      `${quoted(text)} is built already and takes no suffixes: +${last} needs ${ORIGIN_FORMS.source} or ${ORIGIN_FORMS.git}. A file or directory of that name has to be renamed.`,
    );
};

export interface NamedKernel {
  readonly name: string;
  readonly title: string;
  readonly origin: KernelOrigin;
  /** What the entry builds in already. */
  readonly suffixes: readonly string[];
}

/** What the names of kernels are made of. */
export interface KernelNames {
  readonly kernels: readonly NamedKernel[];
  readonly suffixes: readonly KnownSuffix[];
}

const plus = (suffixes: readonly string[]): string => suffixes.map(suffix => `+${suffix}`).join("");

/** The kernel that `text` means, or an error that says what could have been meant. */
export const parseKernel = (text: string, names: KernelNames, places: Places): KernelSpec => {
  const adHoc = parseOriginText(text, places);
  if (adHoc !== undefined) {
    const { origin } = adHoc;
    if (!isBuilt(origin)) refuseSuffixes(text, names.suffixes);
    const suffixes = checkedSuffixes(text, adHoc.suffixes, names.suffixes);
    const title = `${originText(origin)}${plus(suffixes)}`;
    return { name: `${adHocName(origin)}${plus(suffixes)}`, text: title, title, origin, suffixes };
  }
  const [wanted = "", ...asked] = text.split("+");
  const entry = names.kernels.find(({ name }) => name === wanted);
  if (entry === undefined) {
    const known = names.kernels.map(({ name }) => name);
    const file = /[/.~]/.test(wanted.slice(0, 1))
      ? " For a file or a directory: image:, deb:, tree: or source: before it."
      : "";
    throw new RigError(
      "RIG_UNKNOWN_KERNEL",
      `There is no kernel ${quoted(wanted)}. ${suggestion(wanted, known)} All of them: rig kernels.${file}`,
      { blame: "usage" },
    );
  }
  if (asked.length > 0 && !isBuilt(entry.origin)) {
    const able = names.kernels.filter(({ origin }) => isBuilt(origin)).map(({ name }) => name);
    throw usage(
      `${entry.name} is built already and takes no suffixes. ${able.length === 0 ? "No kernel of the catalogue does." : `Those that do: ${able.join(", ")}.`}`,
    );
  }
  const own = checkedSuffixes(text, [...entry.suffixes, ...asked], names.suffixes);
  const name = `${entry.name}${plus(own.filter(suffix => !entry.suffixes.includes(suffix)))}`;
  return { name, text: name, title: entry.title, origin: entry.origin, suffixes: own };
};
