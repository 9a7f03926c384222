import { readFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ERROR_CODES } from "./errors.ts";
import { PROJECT_DIR } from "./paths.ts";

const PARTS = ["Means", "Typical cause", "What to do"] as const;

interface Entry {
  readonly code: string;
  readonly text: string;
}

/** The page's sections that are about a code, in the page's order. */
const entriesOf = (page: string): Entry[] =>
  page
    .split(/^## /m)
    .slice(1)
    .map(section => ({ code: section.slice(0, section.indexOf("\n")).trim(), text: section }))
    .filter(({ code }) => code.startsWith("RIG_"));

describe("docs/errors.md", () => {
  let page = "";
  let entries: readonly Entry[] = [];

  beforeAll(async () => {
    page = await readFile(path.join(PROJECT_DIR, "docs/errors.md"), "utf8");
    entries = entriesOf(page);
  });

  test("has every code of the registry and no other, in the registry's order", () => {
    expect(entries.map(({ code }) => code)).toEqual(Object.keys(ERROR_CODES));
  });

  test("names no code anywhere that the registry does not have", () => {
    const environment = new Set(["RIG_ACCEL", "RIG_LABS_DIR"]);
    const named = new Set([...page.matchAll(/\bRIG_[A-Z_]+\b/g)].map(([code]) => code));
    expect([...named].filter(code => !(code in ERROR_CODES) && !environment.has(code))).toEqual([]);
  });

  test("says of each what it means in the registry's words, what causes it, and what to do", () => {
    for (const { code, text } of entries) {
      const meaning = ERROR_CODES[code as keyof typeof ERROR_CODES];
      expect(text, code).toContain(`**Means**: ${meaning}.`);
      for (const part of PARTS) expect(text, code).toMatch(new RegExp(`^\\*\\*${part}\\*\\*: \\S.{10}`, "m"));
    }
  });
});
