import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { PROJECT_DIR } from "../core/paths.ts";
import { writeFixture } from "../report/testdata/results.ts";
import { jsonSchemaOf, SCHEMA_NAMES, schemaFile, schemaText } from "./json-schema.ts";

test.each(SCHEMA_NAMES)("docs/schema has the %s schema as it is made from the definitions", async name => {
  const published = await readFile(schemaFile(name), "utf8");
  expect(published, "Run: node rig/results/json-schema.ts --write").toBe(schemaText(name));
});

/** Every object inside a schema, itself included: those with `properties` are what is looked for. */
const partsOf = (value: unknown): object[] =>
  typeof value === "object" && value !== null ? [value, ...Object.values(value).flatMap(partsOf)] : [];
const fieldsOf = (schema: object): [string, unknown][] =>
  partsOf(schema).flatMap(part => ("properties" in part ? Object.entries(part.properties ?? {}) : []));

test.each(SCHEMA_NAMES)("every field of the %s schema is explained", name => {
  const fields = fieldsOf(jsonSchemaOf(name));
  expect(fields.length).toBeGreaterThan(20);
  for (const [field, schema] of fields)
    expect(schema, field).toHaveProperty("description", expect.stringMatching(/\.$/));
});

test.each(SCHEMA_NAMES)("docs/results.md names every field of the %s schema", async name => {
  const page = await readFile(path.join(PROJECT_DIR, "docs/results.md"), "utf8");
  const named = new Set([...page.matchAll(/`([^`\n]+)`/g)].flatMap(match => (match[1] ?? "").split(/[^A-Za-z0-9]+/)));
  const missing = [...new Set(fieldsOf(jsonSchemaOf(name)).map(([field]) => field))].filter(field => !named.has(field));
  expect(missing).toEqual([]);
});

describe("what a run leaves on disk", () => {
  let dir = "";
  const files: Record<string, readonly unknown[]> = {};
  const readers = Object.fromEntries(SCHEMA_NAMES.map(name => [name, z.fromJSONSchema(jsonSchemaOf(name))]));
  const take = (value: unknown, name: string) => readers[name]?.safeParse(value).success;

  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "rig-schema-"));
    const run = await writeFixture(dir, { seeds: 1, mixed: true });
    const cell = path.join(dir, run.cells[0]?.directory ?? "");
    const read = (file: string) => readFile(file, "utf8");
    files["run"] = [JSON.parse(await read(path.join(dir, "run.json")))];
    files["cell"] = [JSON.parse(await read(path.join(cell, "cell.json")))];
    files["history"] = (await read(path.join(cell, "history.ndjson")))
      .trim()
      .split("\n")
      .map(line => JSON.parse(line) as unknown);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test.each(SCHEMA_NAMES)("fits the %s schema", name => {
    const values = files[name] ?? [];
    expect(values.length).toBeGreaterThan(0);
    for (const value of values) expect(take(value, name), JSON.stringify(value).slice(0, 200)).toBe(true);
  });

  test.each(SCHEMA_NAMES)("with a field too many or too few, it does not fit the %s schema", name => {
    const [value] = files[name] as [Record<string, unknown>];
    expect(take({ ...value, more: 1 }, name)).toBe(false);
    for (const field of Object.keys(value).filter(key => key !== "reason")) {
      const { [field]: _, ...less } = value;
      expect(take(less, name), `without ${field}`).toBe(false);
    }
  });
});
