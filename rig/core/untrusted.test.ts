import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cleanLine, printable, printableJson } from "./untrusted.ts";

describe("a console line", () => {
  test.each([
    ["plain text stays", "[    1.5] eth0: up", "[    1.5] eth0: up"],
    ["colours go", "\u001b[1;31merror\u001b[0m: x", "error: x"],
    ["cursor movement and screen clearing go", "\u001b[2J\u001b[Hlogin:", "login:"],
    ["a window title goes, whichever way it ends", "\u001b]0;title\u0007a\u001b]0;b\u001b\\c", "ac"],
    ["character set and keypad sequences go", "\u001b(B\u001b=x", "x"],
    ["an eight-bit sequence goes", "\u009b31mred", "red"],
    ["an escape that was cut off goes", "text\u001b[31", "text"],
    ["a lone escape goes", "text\u001b", "text"],
    ["carriage return, NUL and bell go", "a\r\u0000b\u0007", "ab"],
    ["a tab is a space", "a\tb", "a b"],
    ["line separators go", "a\u2028b\nc", "abc"],
    ["text cannot be turned around", "a\u202eb\u2066c", "abc"],
    ["half a character is replaced", "a\ud800b", "a\ufffdb"],
    ["letters of other scripts stay", "größe 容量 🙂", "größe 容量 🙂"],
  ])("%s", (_name, text, expected) => {
    expect(cleanLine(text, 1000)).toBe(expected);
  });
});

test("what is too long is cut and marked", () => {
  expect(cleanLine("abcdef", 6)).toBe("abcdef");
  expect(cleanLine("abcdefg", 6)).toBe("abcde…");
  expect(cleanLine("abcd🙂🙂", 6)).toBe("abcd…");
});

test("a megabyte of escape sequences is cut without being looked at whole", () => {
  expect(cleanLine("\u001b[31m".repeat(200_000), 100)).toBe("…");
});

test("whatever comes in, one bounded, printable, well-formed line comes out", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (text, max) => {
      const clean = cleanLine(text, max);
      expect(clean.length).toBeLessThanOrEqual(max);
      expect(clean.isWellFormed()).toBe(true);
      expect(/\p{Cc}/u.test(clean)).toBe(false);
    }),
  );
});

test("of several lines each is cleaned, and none is cut", () => {
  const long = "x".repeat(100_000);
  expect(printable(`a\u001b]0;title\u0007b\n\u001b[2J${long}\n\u009b31mc\r\n`)).toBe(`ab\n${long}\nc\n`);
});

test("JSON means the same after it was made printable, and has no control character but newlines", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), text => {
      const value = { text: `${text}\u009b31m\u202e`, more: [1, "\u007f"] };
      const shown = printableJson(JSON.stringify(value, null, 2));
      expect(JSON.parse(shown)).toEqual(value);
      expect(/[^\P{Cc}\n]/u.test(shown)).toBe(false);
    }),
  );
});
