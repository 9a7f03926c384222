import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { applyVariants, inOrder, loadVariants, VARIANTS_DIR } from "./variants.ts";

const diff = (file: string, from: string, to: string): string =>
  `# SPDX-License-Identifier: GPL-2.0-only\n--- a/${file}\n+++ b/${file}\n@@ -1,3 +1,3 @@\n int a;\n-${from}\n+${to}\n int c;\n`;

interface Files {
  readonly [name: string]: string;
}

const put = async (dir: string, files: Files): Promise<string> => {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  }
  return dir;
};

const description = (kind: string, more = "") => `title: A title\nkind: ${kind}\nabout: Words.\n${more}`;

const variantsDir = async (files: Files): Promise<string> => put(await temporaryDirectory(), files);
const sourceDir = async (): Promise<string> => put(await temporaryDirectory(), { "x.c": "int a;\nint b;\nint c;\n" });

const apply = async (variants: string, source: string, names: readonly string[]) =>
  applyVariants(
    source,
    "linux-5.10",
    (await loadVariants(variants)).filter(({ name }) => names.includes(name)),
  );

const failure = async (promise: Promise<unknown>): Promise<RigError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof RigError) return error;
  throw new Error("it did not fail as expected", { cause: error });
};

describe("a variant", () => {
  test("changes files in memory and leaves the source alone", async () => {
    const source = await sourceDir();
    const variants = await variantsDir({
      "one/variant.yaml": description("defect"),
      "one/5.10.patch": diff("x.c", "int b;", "int B;"),
    });
    const { files, used } = await apply(variants, source, ["one"]);
    expect([...files]).toEqual([["x.c", "int a;\nint B;\nint c;\n"]]);
    expect(used.map(({ variant, patch }) => [variant, patch])).toEqual([["one", "5.10.patch"]]);
    expect(await readFile(path.join(source, "x.c"), "utf8")).toContain("int b;");
  });

  test("takes the first of its patches that fits, also on top of another variant", async () => {
    const source = await sourceDir();
    const variants = await variantsDir({
      "base/variant.yaml": description("model"),
      "base/5.10.patch": diff("x.c", "int b;", "int B;"),
      "slow/variant.yaml": description("instrument"),
      "slow/5.10-with-base.patch": diff("x.c", "int B;", "int B, slow;"),
      "slow/5.10.patch": diff("x.c", "int b;", "int b, slow;"),
    });
    const alone = await apply(variants, source, ["slow"]);
    expect(alone.used.map(({ patch }) => patch)).toEqual(["5.10.patch"]);
    const both = await apply(variants, source, ["slow", "base"]);
    expect(both.used.map(({ variant, patch }) => [variant, patch])).toEqual([
      ["base", "5.10.patch"],
      ["slow", "5.10-with-base.patch"],
    ]);
    expect(both.files.get("x.c")).toBe("int a;\nint B, slow;\nint c;\n");
  });

  test("that does not fit says which patch failed where, and half of it is nowhere", async () => {
    const variants = await variantsDir({
      "one/variant.yaml": description("defect"),
      "one/5.10.patch": `${diff("x.c", "int b;", "int B;")}${diff("x.c", "int z;", "int Z;")}`,
      "one/6.1.patch": diff("y.c", "int b;", "int B;"),
    });
    const error = await failure(apply(variants, await sourceDir(), ["one"]));
    expect(error).toMatchObject({ code: "RIG_KERNEL_VARIANT", blame: "usage" });
    expect(error.message).toContain("+one does not apply to linux-5.10.");
    expect(error.message).toContain("5.10.patch: hunk 1 of x.c (line 1) does not match");
    expect(error.message).toContain("6.1.patch: y.c is not there");
  });

  test("that was kept from fitting by another says so", async () => {
    const variants = await variantsDir({
      "one/variant.yaml": description("model"),
      "one/5.10.patch": diff("x.c", "int b;", "int B;"),
      "two/variant.yaml": description("defect"),
      "two/5.10.patch": diff("x.c", "int b;", "int bb;"),
    });
    const error = await failure(apply(variants, await sourceDir(), ["one", "two"]));
    expect(error.message).toContain("+two does not apply to linux-5.10 with +one");
  });

  test("that excludes another is not applied with it, whichever side says so", async () => {
    for (const [one, two] of [
      ["excludes: [two]\n", ""],
      ["", "excludes: [one]\n"],
    ]) {
      const variants = await variantsDir({
        "one/variant.yaml": description("model", one),
        "one/5.10.patch": diff("x.c", "int b;", "int B;"),
        "two/variant.yaml": description("defect", two),
        "two/5.10.patch": diff("x.c", "int B;", "int bb;"),
      });
      expect((await failure(apply(variants, await sourceDir(), ["one", "two"]))).message).toMatch(
        /cannot be in one kernel/,
      );
      await apply(variants, await sourceDir(), ["one"]);
    }
  });

  test("keeps bytes that are no UTF-8", async () => {
    const source = await temporaryDirectory();
    await writeFile(path.join(source, "x.c"), Buffer.from("int a;\nint b;\nint c; /* \xe9 */\n", "latin1"));
    const variants = await variantsDir({
      "one/variant.yaml": description("defect"),
      "one/5.10.patch": "--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,2 @@\n int a;\n-int b;\n+int B;\n",
    });
    const { files } = await apply(variants, source, ["one"]);
    expect(files.get("x.c")).toBe("int a;\nint B;\nint c; /* \xe9 */\n");
  });

  test("comes in its turn: models, defects, follow-ups, instruments, and by name", async () => {
    const variants = await variantsDir(
      Object.fromEntries(
        ["b-instrument", "a-instrument", "c-follow-up", "z-defect", "y-model"].flatMap(name => [
          [`${name}/variant.yaml`, description(name.slice(2))],
          [`${name}/1.patch`, diff("x.c", "int b;", "int B;")],
        ]),
      ),
    );
    const names = inOrder(await loadVariants(variants)).map(({ name }) => name);
    expect(names).toEqual(["y-model", "z-defect", "c-follow-up", "a-instrument", "b-instrument"]);
  });

  test.each<[string, Files]>([
    ["no description", { "one/5.10.patch": diff("x.c", "int b;", "int B;") }],
    ["a kind that there is not", { "one/variant.yaml": description("bug"), "one/1.patch": "" }],
    ["a field that there is not", { "one/variant.yaml": description("defect", "x: 1\n"), "one/1.patch": "" }],
    ["no patch", { "one/variant.yaml": description("defect") }],
    ["no YAML", { "one/variant.yaml": "a: [", "one/1.patch": "" }],
  ])("with %s is told with its file", async (_what, files) => {
    const error = await failure(variantsDir(files).then(loadVariants));
    expect(error).toMatchObject({ code: "RIG_KERNEL_VARIANT", blame: "usage" });
    expect(error.message).toContain("one/variant.yaml");
  });

  test("whose patch is none is told with its file", async () => {
    const variants = await variantsDir({ "one/variant.yaml": description("defect"), "one/5.10.patch": "words" });
    const error = await failure(apply(variants, await sourceDir(), ["one"]));
    expect(error.message).toMatch(/one\/5\.10\.patch: expected a unified diff; it changes no file/);
  });
});

describe("the project's variants", () => {
  test("load, and every patch is free software of the kernel's licence", async () => {
    const variants = await loadVariants();
    const names = (await readdir(VARIANTS_DIR, { withFileTypes: true })).filter(entry => entry.isDirectory());
    expect(variants.map(({ name }) => name)).toEqual(names.map(({ name }) => name).toSorted());
    for (const { excludes, patches } of variants) {
      for (const other of excludes) expect(variants.map(({ name }) => name)).toContain(other);
      for (const patch of patches)
        expect(await readFile(patch, "utf8")).toMatch(/^(# )?SPDX-License-Identifier: GPL-2\.0-only\n/);
    }
  });
});
