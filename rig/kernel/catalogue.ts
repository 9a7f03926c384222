/** The catalogue of kernels by name, from kernels/catalogue.yaml. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { messageOf, RigError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";
import { PROJECT_DIR } from "../core/paths.ts";

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/);

const entrySchema = z.strictObject({
  title: z.string(),
  /** Suites of Debian to look in; the newest version in any of them is taken. */
  suites: z.array(z.string().regex(/^[a-z-]+$/)).min(1),
  /** A package, or a meta package that depends on one. */
  package: z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/),
});
const catalogueSchema = z.strictObject({ kernels: z.record(name, entrySchema) });

export interface CatalogueEntry extends z.infer<typeof entrySchema> {
  readonly name: string;
}

export const CATALOGUE_FILE = path.join(PROJECT_DIR, "kernels/catalogue.yaml");

/** Parses a catalogue; a mistake in it is told with its place. */
export const parseCatalogue = (text: string, file: string): readonly CatalogueEntry[] => {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (error) {
    throw new RigError("RIG_USAGE", `${file} is not YAML: ${messageOf(error).split("\n")[0] ?? ""}`, {
      blame: "usage",
      cause: error,
    });
  }
  const parsed = catalogueSchema.safeParse(raw);
  if (!parsed.success)
    throw new RigError("RIG_USAGE", `${file} is no kernel catalogue:\n${z.prettifyError(parsed.error)}`, {
      blame: "usage",
    });
  return Object.entries(parsed.data.kernels).map(([key, entry]) => ({ name: key, ...entry }));
};

export const loadCatalogue = async (): Promise<readonly CatalogueEntry[]> =>
  parseCatalogue(await readFile(CATALOGUE_FILE, "utf8"), CATALOGUE_FILE);

/** The entry of that name, or RIG_UNKNOWN_KERNEL with the nearest name. */
export const findKernel = (catalogue: readonly CatalogueEntry[], wanted: string): CatalogueEntry => {
  const entry = catalogue.find(candidate => candidate.name === wanted);
  if (entry !== undefined) return entry;
  const known = catalogue.map(candidate => candidate.name);
  throw new RigError(
    "RIG_UNKNOWN_KERNEL",
    `There is no kernel ${JSON.stringify(wanted.slice(0, 100))}. ${suggestion(wanted, known)} All of them: rig kernels`,
    {
      blame: "usage",
    },
  );
};
