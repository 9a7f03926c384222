import { describe, expect, test } from "vitest";
import { wrapped } from "./table.ts";

describe("a paragraph", () => {
  test("is wrapped between words, each line indented", () => {
    expect(wrapped("one two three four", 10, "  ")).toEqual(["  one two", "  three", "  four"]);
    expect(wrapped("one two three four", 12, "  ")).toEqual(["  one two", "  three four"]);
  });

  test("has a word that is too long on a line of its own", () => {
    expect(wrapped("a linux-5.10+without-seed b", 8)).toEqual(["a", "linux-5.10+without-seed", "b"]);
  });

  test("keeps a value with its name", () => {
    expect(wrapped("cells (p = 0.008).", 9)).toEqual(["cells", "(p = 0.008)."]);
  });

  test("stays one line where there is no width", () => {
    expect(wrapped("one two three", undefined, "  ")).toEqual(["  one two three"]);
  });
});
