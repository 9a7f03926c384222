import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { shellCommand, shellQuote } from "./argv.ts";

test.each([
  ["plain", "plain"],
  ["/usr/bin/a-b_c.d:e,f%g@h+i=1", "/usr/bin/a-b_c.d:e,f%g@h+i=1"],
  ["", "''"],
  ["two words", "'two words'"],
  ["it's", "'it'\\''s'"],
  ['$HOME `id` \\ "', "'$HOME `id` \\ \"'"],
  ["~", "'~'"],
  ["line\nline", "'line\nline'"],
])("%j is quoted as %s", (argument, quoted) => {
  expect(shellQuote(argument)).toBe(quoted);
});

test("whatever the arguments, a real shell takes them apart as they were", () => {
  const argument = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.constantFrom("'", "''", "-n", "*", "$(exit 1)", "a'b\"c", "\\", "\n", "#x", "!!", "{a,b}", "~root", "x;y|z&"),
  );
  const passable = argument.filter(text => !text.includes("\0") && text.isWellFormed());
  fc.assert(
    fc.property(fc.array(passable, { minLength: 1, maxLength: 6 }), argv => {
      const out = execFileSync("sh", ["-c", shellCommand(["printf", "%s\\0", ...argv])], { encoding: "utf8" });
      expect(out.split("\0").slice(0, -1)).toEqual(argv);
    }),
    { numRuns: 60 },
  );
});
