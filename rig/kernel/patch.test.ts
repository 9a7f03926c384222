import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { applyFilePatch, type FilePatch, parsePatch } from "./patch.ts";

const one = (text: string): FilePatch => {
  const files = parsePatch(text);
  if (typeof files === "string") throw new Error(files);
  const [file] = files;
  if (file === undefined || files.length !== 1) throw new Error(`${files.length} files`);
  return file;
};

const NUMBERS = Array.from({ length: 20 }, (_, i) => `line ${i + 1}`);
const SOURCE = `${NUMBERS.join("\n")}\n`;

const PATCH = `# SPDX-License-Identifier: GPL-2.0-only
Words about it.

--- a/drivers/x.c
+++ b/drivers/x.c
@@ -4,3 +4,4 @@ static int f(void)
 line 4
-line 5
+line five
+line five and a half
 line 6
@@ -15,3 +16,2 @@
 line 15
-line 16
 line 17
-- 
2.39.2
`;

describe("a patch", () => {
  test("changes what it says", () => {
    const file = one(PATCH);
    expect(file.name).toBe("drivers/x.c");
    const wanted = SOURCE.replace("line 5\n", "line five\nline five and a half\n").replace("line 16\n", "");
    expect(applyFilePatch(SOURCE, file)).toEqual({ text: wanted });
  });

  test("follows its lines where they moved", () => {
    const moved = `new\nnew\nnew\n${SOURCE}`;
    expect(applyFilePatch(moved, one(PATCH))).toEqual({
      text: moved.replace("line 5\n", "line five\nline five and a half\n").replace("line 16\n", ""),
    });
    const less = SOURCE.replace("line 1\nline 2\n", "");
    expect(applyFilePatch(less, one(PATCH))).toHaveProperty("text");
  });

  test("takes the nearest place of several", () => {
    const twice = `a\nb\nc\n${"x\n".repeat(10)}a\nb\nc\n`;
    const patch = one("--- a/f\n+++ b/f\n@@ -13,3 +13,3 @@\n a\n-b\n+B\n c\n");
    expect(applyFilePatch(twice, patch)).toEqual({ text: `a\nb\nc\n${"x\n".repeat(10)}a\nB\nc\n` });
  });

  test.each([
    ["a line it takes away differs", SOURCE.replace("line 5\n", "line V\n")],
    ["a line of its context differs", SOURCE.replace("line 6\n", "line VI\n")],
    ["only the last hunk does not fit", SOURCE.replace("line 17\n", "line XVII\n")],
    ["white space differs", SOURCE.replace("line 4\n", "line  4\n")],
    ["the hunks are there in the other order", `${NUMBERS.slice(10).join("\n")}\n${NUMBERS.slice(0, 10).join("\n")}\n`],
    ["the file is not there", undefined],
  ])("is refused where %s", (_what, text) => {
    expect(applyFilePatch(text, one(PATCH))).toHaveProperty("why");
  });

  test("makes and deletes files", () => {
    const makes = one("--- /dev/null\n+++ b/new.c\n@@ -0,0 +1,2 @@\n+int a;\n+int b;\n");
    expect(makes).toMatchObject({ name: "new.c", creates: true });
    expect(applyFilePatch(undefined, makes)).toEqual({ text: "int a;\nint b;\n" });
    expect(applyFilePatch("int a;\n", makes)).toEqual({ why: "new.c is there already" });
    const deletes = one("--- a/new.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-int a;\n-int b;\n");
    expect(applyFilePatch("int a;\nint b;\n", deletes)).toEqual({ text: undefined });
    expect(applyFilePatch("int a;\nint b;\nint c;\n", deletes)).toHaveProperty("why");
  });

  test("minds the newline at the end of a file", () => {
    const text = "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n";
    expect(applyFilePatch("a\nb", one(text))).toEqual({ text: "a\nc\n" });
    expect(applyFilePatch("a\nb\n", one(text))).toHaveProperty("why");
    const cut = "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n";
    expect(applyFilePatch("a\nb\n", one(cut))).toEqual({ text: "a\nc" });
    expect(applyFilePatch("a\nb", one(cut))).toHaveProperty("why");
  });

  test("takes an empty line for an empty line of context", () => {
    expect(applyFilePatch("a\n\nb\n", one("--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n"))).toEqual({
      text: "a\n\nc\n",
    });
  });

  test.each([
    ["nothing", "words"],
    ["a hunk that is cut short", "--- a/f\n+++ b/f\n@@ -1,9 +1,9 @@\n a\n-b\n+c"],
    ["more lines than the header says", "--- a/f\n+++ b/f\n@@ -1,1 +1,3 @@\n a\n-b\n-c\n+d\n"],
    ["no hunk", "--- a/f\n+++ b/f\nwords\n"],
    ["a path out of the tree", "--- a/../../etc/passwd\n+++ b/../../etc/passwd\n@@ -1 +1 @@\n-a\n+b\n"],
    ["a path from the root", "--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n"],
    ["a rename", "diff --git a/f b/g\nrename from f\nrename to g\n"],
    ["a hunk of no file", "@@ -1 +1 @@\n-a\n+b\n"],
    ["a line that belongs to no hunk", "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n*b\n"],
  ])("is no patch: %s", (_what, text) => {
    expect(typeof parsePatch(text)).toBe("string");
  });

  test("that takes lines away and puts others in gives the new text, and its reverse the old one", () => {
    const word = fc.constantFrom("a", "b", "c", "", "{", "}");
    const words = fc.array(word, { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(words, words, words, words, (head, old, fresh, tail) => {
        const join = (lines: readonly string[]) => lines.map(line => `${line}\n`).join("");
        const context = (lines: readonly string[]) => lines.map(line => ` ${line}\n`).join("");
        const count = (middle: readonly string[]) => head.length + middle.length + tail.length;
        const body = (minus: readonly string[], plus: readonly string[]) =>
          `${context(head)}${minus.map(l => `-${l}\n`).join("")}${plus.map(l => `+${l}\n`).join("")}${context(tail)}`;
        const diff = (minus: readonly string[], plus: readonly string[]) =>
          one(`--- a/f\n+++ b/f\n@@ -1,${count(minus)} +1,${count(plus)} @@\n${body(minus, plus)}`);
        const [before, after] = [join([...head, ...old, ...tail]), join([...head, ...fresh, ...tail])];
        expect(applyFilePatch(before, diff(old, fresh))).toEqual({ text: after });
        expect(applyFilePatch(after, diff(fresh, old))).toEqual({ text: before });
      }),
    );
  });
});
