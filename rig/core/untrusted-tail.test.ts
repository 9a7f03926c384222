import { expect, test } from "vitest";
import { lastLines } from "./untrusted-tail.ts";

test("the last lines that say something, indented and bounded", () => {
  expect(lastLines("a\n\nb\r\nc\n  \n", 2)).toBe("  b\n  c");
  expect(lastLines("10%\r50%\r100%", 1)).toBe("  100%");
  expect(lastLines("x".repeat(1000), 5)).toHaveLength(302);
  expect(lastLines("", 5)).toBe("");
});
