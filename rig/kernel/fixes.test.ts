import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import { loadFixes, parseFixes } from "./fixes.ts";
import { loadVariants } from "./variants.ts";

const FIX = `  - commit: "0123456789ab"
    title: "scsi: fix the order of it"
    without: it goes wrong at once
    applies: { file: t, in: stop }
    otherwise: nothing is stopped here
    present: { file: t, in: stop, has: "free( a )" }
    absent: { file: t, in: stop, lacks: [free(, release(] }
`;
const text = `files: { t: drivers/t.c }\nfixes:\n${FIX}`;

test("a list of fixes is read, and code in it is compared without layout", () => {
  const { files, fixes } = parseFixes(text, "x.yaml");
  expect(files).toEqual({ t: "drivers/t.c" });
  expect(fixes).toMatchObject([
    {
      id: "0123456789ab",
      commit: "0123456789ab",
      parts: [],
      shapes: { present: { in: ["stop"], has: ["free(a)"] }, absent: { lacks: ["free(", "release("] } },
    },
  ]);
});

describe("a mistake in a list of fixes is told with its place:", () => {
  test.each<[string, string, RegExp]>([
    ["no YAML", "fixes: [", /^x\.yaml is not YAML: /],
    ["nothing", "", /^x\.yaml is no list of fixes:/],
    ["no fixes", "files: {}\nfixes: []", /fixes/],
    ["a commit that is none", text.replace("0123456789ab", "0123"), /12 hex digits[^]*fixes\[0\]/],
    ["an unknown field", text.replace("otherwise", "otherwize"), /fixes\[0\]/],
    ["a rule of nothing known", text.replace("{ file: t, in: stop }", "{ file: t, inside: stop }"), /fixes\[0\]/],
    ["an empty text", text.replace('"free( a )"', '" "'), /fixes\[0\]/],
    ["a regular expression that is none", text.replace('has: "free( a )"', "matches: '(('"), /fixes\[0\]/],
    ["a path that leads out of the tree", text.replace("drivers/t.c", "../../etc/passwd.c"), /files/],
    ["an oracle that there is not", `${text}    shown-by: { scenario: a/b, findings: [luck] }\n`, /fixes\[0\]/],
    ["a file that has no name", text.replace("{ file: t, in: stop }", "{ file: u, in: stop }"), /wants the file u/],
    ["a rule that is not there", text.replace("{ file: t, in: stop }", "{ see: nothing }"), /wants the rule nothing/],
    [
      "a rule called as objects' own are",
      text.replace("{ file: t, in: stop }", "{ see: toString }"),
      /the rule toString/,
    ],
    [
      "a rule that sees itself",
      `rules: { a: { any: [{ see: b }] }, b: { not: { see: a } } }\n${text.replace("{ file: t, in: stop }", "{ see: a }")}`,
      /sees itself/,
    ],
    ["a fix that is there twice", `${text}${FIX}`, /0123456789ab is there twice/],
  ])("%s", (_name, broken, words) => {
    let thrown: unknown;
    try {
      parseFixes(broken, "x.yaml");
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(RigError);
    expect(thrown).toMatchObject({
      code: "RIG_USAGE",
      blame: "usage",
      message: expect.stringMatching(words) as string,
    });
  });
});

describe("the project's own list", () => {
  test("is one, with the seed's four defects", async () => {
    const { fixes } = await loadFixes();
    const seed = fixes.find(({ commit }) => commit === "23d6fefbb3f6");
    expect(seed?.parts.map(({ id }) => id)).toEqual([1, 2, 3, 4].map(part => `23d6fefbb3f6 (${part})`));
    expect(fixes.map(({ commit }) => commit)).toEqual(expect.arrayContaining(["c0920cd36f17", "0aadafb5c344"]));
  });

  test("names suffixes that there are", async () => {
    const { fixes } = await loadFixes();
    const variants = (await loadVariants()).map(({ name }) => name);
    const needed = fixes.flatMap(fix => [fix, ...fix.parts]).flatMap(({ shownBy }) => shownBy?.needs ?? []);
    expect(needed.filter(name => name !== "kasan" && !variants.includes(name))).toEqual([]);
  });
});
