/** The catalogue of kernels by name, from kernels/catalogue.yaml, and what can be built into those that the rig builds. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { messageOf, RigError } from "../core/errors.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import { parseOriginText } from "./origin.ts";
import { type KernelNames, type KernelSpec, type NamedKernel, parseKernel } from "./spec.ts";
import { loadSuffixes } from "./suffixes.ts";

/** Without `+`, which begins a suffix, and `:`, which ends a kind. */
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);

const entrySchema = z.strictObject({
  title: z.string(),
  /** Where it comes from, as on the command line; paths are relative to the catalogue. */
  from: z.string(),
});
const catalogueSchema = z.strictObject({ kernels: z.record(name, entrySchema) });

export const CATALOGUE_FILE = path.join(PROJECT_DIR, "kernels/catalogue.yaml");

const badCatalogue = (message: string, cause?: unknown): RigError =>
  new RigError("RIG_USAGE", message, { blame: "usage", cause });

const parseEntry = (key: string, entry: z.infer<typeof entrySchema>, file: string): NamedKernel => {
  const where = `${file} is no kernel catalogue: kernels.${key}.from`;
  try {
    const parsed = parseOriginText(entry.from, { cwd: path.dirname(path.resolve(file)), home: homedir() });
    if (parsed === undefined)
      throw badCatalogue(`${JSON.stringify(entry.from)} has no kind, such as debian: or source:`);
    return { name: key, title: entry.title, ...parsed };
  } catch (error) {
    throw badCatalogue(`${where}: ${messageOf(error)}`, error);
  }
};

/** Parses a catalogue; a mistake in it is told with its place. */
export const parseCatalogue = (text: string, file: string): readonly NamedKernel[] => {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (error) {
    throw badCatalogue(`${file} is not YAML: ${messageOf(error).split("\n")[0] ?? ""}`, error);
  }
  const parsed = catalogueSchema.safeParse(raw);
  if (!parsed.success) throw badCatalogue(`${file} is no kernel catalogue:\n${z.prettifyError(parsed.error)}`);
  return Object.entries(parsed.data.kernels).map(([key, entry]) => parseEntry(key, entry, file));
};

/** All that a kernel's name can be made of. */
export const loadCatalogue = async (): Promise<KernelNames> => {
  const [text, suffixes] = await Promise.all([readFile(CATALOGUE_FILE, "utf8"), loadSuffixes()]);
  return { kernels: parseCatalogue(text, CATALOGUE_FILE), suffixes };
};

/** The kernel of that name, or from that origin; RIG_UNKNOWN_KERNEL with the nearest name, or RIG_USAGE. */
export const findKernel = (catalogue: KernelNames, wanted: string): KernelSpec =>
  parseKernel(wanted, catalogue, { cwd: process.cwd(), home: homedir() });
