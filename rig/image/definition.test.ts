import { access } from "node:fs/promises";
import { expect, test } from "vitest";
import { definitionFile, parsePackageList, readPackageList } from "./definition.ts";

test.each<[string, string, readonly string[]]>([
  ["names, one a line", "a\nb\n", ["a", "b"]],
  ["comments and blanks go", "# why\n\n  a   # because\n\tb\n#c", ["a", "b"]],
  ["the last line needs no end", "a", ["a"]],
  ["carriage returns go", "a\r\nb\r\n", ["a", "b"]],
  ["nothing", "", []],
])("a package list: %s", (_name, text, packages) => {
  expect(parsePackageList(text)).toEqual(packages);
});

test.each(["guest", "node"] as const)("the list of the %s holds package names, each once", async name => {
  const packages = await readPackageList(name);
  expect(packages.length).toBeGreaterThan(3);
  expect(new Set(packages).size).toBe(packages.length);
  for (const one of packages) expect(one).toMatch(/^[a-z0-9][a-z0-9.+-]+$/);
});

test.each([
  ["guest", "init.c"],
  ["guest", "agent.c"],
  ["node", "entry.sh"],
  ["node", "agent.c"],
])("containers/%s/%s is there", async (...parts) => {
  await access(definitionFile(...parts));
});
