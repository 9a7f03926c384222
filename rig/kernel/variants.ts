/**
 * Variants: kernels changed on purpose, kept in kernels/variants as small patches. A variant may have several patches, for
 * sources of different ages or for being on top of another variant; the first that applies exactly is the one. Everything
 * is worked out in memory, so a tree is never left with half a variant in it.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { messageOf, RigError } from "../core/errors.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import { applyFilePatch, type FilePatch, parsePatch } from "./patch.ts";

export const VARIANTS_DIR = path.join(PROJECT_DIR, "kernels/variants");

/** In the order in which variants are applied. */
const KINDS = ["model", "defect", "follow-up", "instrument"] as const;

const variantSchema = z.strictObject({
  title: z.string().min(1),
  kind: z.enum(KINDS),
  about: z.string().min(1),
  /** Commits of Linux whose effect it takes away, or puts in where it is missing. */
  removes: z.array(z.string()).optional(),
  "brings-back": z.array(z.string()).optional(),
  /** The sources that it is for, in words. */
  applies: z.string().optional(),
  /** Variants that it cannot be together with; one side is enough. */
  excludes: z.array(z.string()).default([]),
});

export interface Variant {
  readonly name: string;
  /** One line. */
  readonly title: string;
  readonly kind: (typeof KINDS)[number];
  readonly about: string;
  readonly excludes: readonly string[];
  /** Candidate patch files, tried in this order. */
  readonly patches: readonly string[];
}

const damaged = (file: string, why: string, cause?: unknown) =>
  new RigError("RIG_KERNEL_VARIANT", `${file}: ${why}`, { blame: "usage", cause });

const loadVariant = async (dir: string, name: string): Promise<Variant> => {
  const file = path.join(dir, name, "variant.yaml");
  let raw: unknown;
  try {
    raw = parse(await readFile(file, "utf8"));
  } catch (error) {
    throw damaged(
      file,
      `expected a variant's description; it cannot be read (${messageOf(error).split("\n")[0] ?? ""}).`,
      error,
    );
  }
  const parsed = variantSchema.safeParse(raw);
  if (!parsed.success) throw damaged(file, `expected a variant's description:\n${z.prettifyError(parsed.error)}`);
  const patches = (await readdir(path.join(dir, name))).filter(entry => entry.endsWith(".patch")).toSorted();
  if (patches.length === 0) throw damaged(file, "expected patches beside it; there are none.");
  const { title, kind, about, excludes } = parsed.data;
  return { name, title, kind, about, excludes, patches: patches.map(entry => path.join(dir, name, entry)) };
};

/** All variants, by name. */
export const loadVariants = async (dir: string = VARIANTS_DIR): Promise<readonly Variant[]> => {
  const entries = await readdir(dir, { withFileTypes: true });
  const names = entries.filter(entry => entry.isDirectory()).map(entry => entry.name);
  return Promise.all(names.toSorted().map(name => loadVariant(dir, name)));
};

/** In the order in which they are applied. */
export const inOrder = (variants: readonly Variant[]): readonly Variant[] =>
  variants.toSorted((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || (a.name < b.name ? -1 : 1));

/** Refuses variants of which one says that it cannot be together with another. */
export const requireCompatible = (variants: readonly Variant[]): void => {
  for (const one of variants) {
    const other = variants.find(({ name }) => one.excludes.includes(name));
    if (other !== undefined)
      throw new RigError(
        "RIG_KERNEL_VARIANT",
        `+${one.name} and +${other.name} cannot be in one kernel. Leave one of them out.`,
        {
          blame: "usage",
        },
      );
  }
};

export interface AppliedVariants {
  /** Files that differ from the pristine source, with their whole text; undefined where the file is gone. */
  readonly files: ReadonlyMap<string, string | undefined>;
  /** The patches that were taken, and what is in them. */
  readonly used: readonly { readonly variant: string; readonly patch: string; readonly text: string }[];
}

type Files = Map<string, string | undefined>;

/** What the files are after a patch; or why it does not apply. */
const attempt = async (
  patches: readonly FilePatch[],
  files: Files,
  readSource: (name: string) => Promise<string | undefined>,
): Promise<Files | string> => {
  const changed: Files = new Map();
  for (const patch of patches) {
    const [known] = [changed, files].filter(map => map.has(patch.name));
    const applied = applyFilePatch(known === undefined ? await readSource(patch.name) : known.get(patch.name), patch);
    if ("why" in applied) return applied.why;
    changed.set(patch.name, applied.text);
  }
  return changed;
};

/** A file of a source tree. Bytes that are no UTF-8 survive as Latin-1 does; patches are read in the same way. */
const readFrom =
  (tree: string) =>
  async (name: string): Promise<string | undefined> => {
    try {
      return await readFile(path.join(tree, name), "latin1");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  };

/** Applies variants to a pristine source, in their order, without writing anything. `title` is the source's, for messages. */
export const applyVariants = async (
  tree: string,
  title: string,
  variants: readonly Variant[],
): Promise<AppliedVariants> => {
  requireCompatible(variants);
  const files: Files = new Map();
  const used: { variant: string; patch: string; text: string }[] = [];
  for (const variant of inOrder(variants)) {
    const refusals: string[] = [];
    for (const file of variant.patches) {
      const text = await readFile(file, "latin1");
      const patches = parsePatch(text);
      if (typeof patches === "string") throw damaged(file, `expected a unified diff; ${patches}.`);
      const changed = await attempt(patches, files, readFrom(tree));
      if (typeof changed !== "string") {
        for (const [name, after] of changed) files.set(name, after);
        used.push({ variant: variant.name, patch: path.basename(file), text });
        break;
      }
      refusals.push(`  ${path.basename(file)}: ${changed}`);
    }
    if (refusals.length === variant.patches.length) {
      const before = used.map(({ variant: name }) => `+${name}`).join("");
      throw new RigError(
        "RIG_KERNEL_VARIANT",
        `+${variant.name} does not apply to ${title}${before === "" ? "" : ` with ${before}`}. Expected one of its patches to fit exactly; none does:\n${refusals.join("\n")}\nChoose another source or leave the variant out; kernels/variants/${variant.name} says which versions it is for.`,
        { blame: "usage" },
      );
    }
  }
  return { files, used };
};
