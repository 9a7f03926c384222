/**
 * The published JSON Schemas of the result files, made from the zod definitions that the rig itself reads and writes by,
 * so that the two cannot differ. docs/schema holds them; a test fails where they are not what is made here. After a change
 * of a definition: node rig/results/json-schema.ts --write
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { RigError } from "../core/errors.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import { compactSchemas, endSchema } from "../history/compact.ts";
import { eventSchema, headerSchema } from "../history/event.ts";
import { extentSchema } from "../history/extent.ts";
import { findingSchema } from "../oracle/finding.ts";
import { COMPACT, FIELDS, type ShapeName, type Words } from "./json-schema-words.ts";
import { cellSchema, kernelIdentitySchema, runSchema } from "./schema.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Where the schemas are published. */
export const SCHEMA_DIR = path.join(PROJECT_DIR, "docs/schema");

/** The files, and the shapes that several of them share, by the name under which the schema knows them. */
const SHAPES = {
  run: {
    title: "iscsi-rig run.json, version 1",
    description: "One run: the machine, the kernels, every cell in short, and the comparison of the kernels.",
  },
  cell: {
    title: "iscsi-rig cell.json, version 1",
    description: "One cell: a scenario on a kernel with a seed, run once, with what the oracles found.",
  },
  history: {
    title: "One line of iscsi-rig history.ndjson, version 2",
    description:
      "The first line of the file is the header; every later line is one event, and the last one the end. The field kind tells which. Operations and commands are arrays of numbers, whose first tells what they are; they may also be objects. Lines are in the order in which they were recorded.",
  },
  kernelIdentity: { title: "A kernel", description: "What a kernel is, so that a result can be tied to a build." },
  finding: {
    title: "A finding",
    description: "What an oracle found, in words that stand alone, with the lines of the history that prove it.",
  },
  extent: {
    title: "An extent",
    description: "A run of adjacent sectors as a read found them. The field is tells how.",
  },
} satisfies Record<ShapeName, { title: string; description: string }>;

const SHARED = { kernelIdentity: kernelIdentitySchema, finding: findingSchema, extent: extentSchema };

const FILES = {
  run: runSchema,
  cell: cellSchema,
  history: z.union([
    z.discriminatedUnion("kind", [headerSchema, ...eventSchema.options, endSchema]),
    ...Object.values(compactSchemas),
  ]),
};
export type SchemaName = keyof typeof FILES;
export const SCHEMA_NAMES = Object.keys(FILES) as readonly SchemaName[];

/** Puts the words for its fields into a schema, and remembers which were used. */
class Describer {
  readonly #shape: ShapeName;
  readonly #words: Words;
  readonly #unused: Set<string>;
  readonly #wordless = new Set<string>();

  constructor(shape: ShapeName) {
    this.#shape = shape;
    this.#words = FIELDS[shape];
    this.#unused = new Set(Object.keys(this.#words));
  }

  describe(schema: JsonSchema, where = "", variant = ""): void {
    // zod spells out the range in which JavaScript counts exactly; here it would only be noise.
    if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
    if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      if (typeof field === "boolean") continue;
      const at = where === "" ? name : `${where}.${name}`;
      field.description = this.#wordsFor(at, variant);
      this.describe(field, at, variant);
    }
    const { items } = schema;
    if (typeof items === "object" && !Array.isArray(items)) this.describe(items, where, variant);
    for (const item of schema.prefixItems ?? []) if (typeof item === "object") this.describe(item, where, variant);
    for (const option of schema.anyOf ?? []) this.describe(option, where, variant);
    for (const option of schema.oneOf ?? []) {
      const kind = constantOf(option);
      Object.assign(option, { title: kind, description: this.#wordsFor("", kind) });
      this.describe(option, where, kind);
    }
  }

  /** @throws RIG_BUG where a field has no words, or words have no field. */
  finish(): void {
    const wrong = [
      ...[...this.#wordless].map(field => `${field} has no words`),
      ...[...this.#unused].map(field => `${field} has words and is no field`),
    ];
    if (wrong.length > 0)
      throw new RigError("RIG_BUG", `Expected words for exactly the fields of ${this.#shape}: ${wrong.join("; ")}.`);
  }

  #wordsFor(field: string, variant: string): string {
    for (const key of [`${variant}:${field}`, field]) {
      const words = this.#words[key];
      if (words === undefined) continue;
      this.#unused.delete(key);
      return words;
    }
    this.#wordless.add(variant === "" ? field : `${variant}:${field}`);
    return "";
  }
}

/** The word that tells this variant of a union from the others: its `kind` or `is`. */
const constantOf = ({ properties }: JsonSchema): string => {
  const tag = properties?.["kind"] ?? properties?.["is"];
  return typeof tag === "object" && typeof tag.const === "string" ? tag.const : "";
};

/** The schema of one file, draft 2020-12. */
export const jsonSchemaOf = (name: SchemaName): JsonSchema => {
  const registry = z.registry<{ id?: string; title: string; description: string }>();
  for (const [id, shape] of Object.entries(SHARED)) registry.add(shape, { id, ...SHAPES[id as keyof typeof SHARED] });
  for (const [line, shape] of Object.entries(compactSchemas))
    registry.add(shape, { title: line, description: COMPACT[line as keyof typeof compactSchemas] });
  const schema: JsonSchema = z.toJSONSchema(FILES[name], { target: "draft-2020-12", metadata: registry });
  for (const [shape, part] of [[name, schema] as const, ...Object.entries(schema.$defs ?? {})]) {
    const describer = new Describer(shape as ShapeName);
    describer.describe(part);
    describer.finish();
  }
  const { $schema: dialect, ...rest } = schema;
  return { ...(dialect === undefined ? {} : { $schema: dialect }), ...SHAPES[name], ...rest };
};

export const schemaFile = (name: SchemaName): string => path.join(SCHEMA_DIR, `${name}.schema.json`);

/** The file's text as it should be. */
export const schemaText = (name: SchemaName): string => `${JSON.stringify(jsonSchemaOf(name), null, 2)}\n`;

/** The names of the schemas whose files are not what they should be. */
const outdated = (): readonly SchemaName[] =>
  SCHEMA_NAMES.filter(name => {
    try {
      return readFileSync(schemaFile(name), "utf8") !== schemaText(name);
    } catch {
      return true;
    }
  });

if (import.meta.main) {
  const stale = outdated();
  const write = process.argv.includes("--write");
  for (const name of stale) {
    if (write) writeFileSync(schemaFile(name), schemaText(name));
    process.stdout.write(`${write ? "wrote" : "out of date:"} ${path.relative(PROJECT_DIR, schemaFile(name))}\n`);
  }
  if (!write && stale.length > 0) process.exitCode = 1;
}
