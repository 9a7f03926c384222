import { describe, expect, test } from "vitest";
import { type Answer, auditNothing, auditSource, sumUp } from "./audit.ts";
import { parseFixes } from "./fixes.ts";

const HEAD = `files: { t: drivers/t.c }
rules:
  there: { file: t, in: stop }
fixes:
`;
const FIX = `  - commit: "0123456789ab"
    title: "scsi: fix the order of it"
    without: it goes wrong at once
    applies: { see: there }
    otherwise: nothing is stopped here
`;

/** The answer for one fix with these rules, from one file. */
const ask = (rules: string, source: string | undefined): Answer => {
  const fixes = parseFixes(`${HEAD}${FIX}${rules}`, "x.yaml");
  const [answer] = auditSource(fixes, new Map(source === undefined ? [] : [["drivers/t.c", source]]));
  if (answer === undefined) throw new Error("no answer");
  return answer;
};

const RULES = `    present: { file: t, in: stop, order: [disconnect(, free(] }
    absent: { file: t, in: stop, order: [free(, disconnect(] }
`;
const stop = (body: string) => `static void stop(int a)\n{\n${body}\n}\n`;

describe("a fix is", () => {
  test("present where the code has the shape with it, and the places are told", () => {
    expect(ask(RULES, stop("\tdisconnect(a);\n\n\tfree(a);"))).toMatchObject({
      verdict: "present",
      how: "source",
      evidence: [
        { file: "drivers/t.c", line: 3, function: "stop", excerpt: "disconnect(a);", there: true },
        { file: "drivers/t.c", line: 5, function: "stop", excerpt: "free(a);", there: true },
      ],
    });
  });

  test.each<[string, string, string | undefined, Answer["verdict"], RegExp]>([
    ["absent where it has the other shape", RULES, stop("free(a);\ndisconnect(a);"), "absent", /shape without it/],
    ["unknown where it has neither", RULES, stop("free(a);"), "unknown", /neither/],
    ["unknown where it has both", RULES, stop("disconnect(a);\nfree(a);\ndisconnect(a);"), "unknown", /both/],
    [
      "not applicable where the code is not there",
      RULES,
      "void start(void)\n{\n}\n",
      "not-applicable",
      /nothing is stopped/,
    ],
    ["unknown where the file is not there", RULES, undefined, "unknown", /the source has no drivers\/t\.c/],
    [
      "unknown where the function is there twice, with different code",
      RULES,
      `#ifdef A\n${stop("disconnect(a); free(a);")}#else\n${stop("free(a);")}#endif\n`,
      "unknown",
      /more than once/,
    ],
  ])("%s", (_name, rules, source, verdict, why) => {
    const answer = ask(rules, source);
    expect(answer.verdict).toBe(verdict);
    expect(answer.why).toMatch(why);
  });

  test("told by two functions of one name that agree", () => {
    const both = `#ifdef A\n${stop("disconnect(a); free(a);")}#else\n${stop("disconnect(a); log(); free(a);")}#endif\n`;
    expect(ask(RULES, both).verdict).toBe("present");
  });
});

/** Whether a rule holds: as the shape with the fix, against one that never does. */
const holds = (rule: string, source: string): boolean =>
  ask(`    present: ${rule}\n    absent: { file: t, in: stop, has: never_there( }\n`, source).verdict === "present";

describe("a rule", () => {
  const source = `#define LIMIT 4\nstatic int helper(void)\n{\n\treturn -EAGAIN;\n}\n${stop("\tif (a ==\n\t    1)\n\t\tpre_free(a);\n\tfree(a);")}`;
  test.each<[string, boolean, string]>([
    ["has: all of it is there", true, "{ file: t, in: stop, has: [free(a), 'if (a == 1)'] }"],
    ["has: one is not", false, "{ file: t, in: stop, has: [free(a), release(] }"],
    ["has: in another function", false, "{ file: t, in: stop, has: -EAGAIN }"],
    ["lacks: none is there", true, "{ file: t, in: stop, lacks: [release(, -EAGAIN] }"],
    ["lacks: one is", false, "{ file: t, in: stop, lacks: [release(, free(] }"],
    ["lacks: a function that is not there lacks nothing", false, "{ file: t, in: begin, lacks: free( }"],
    ["order: as it is", true, "{ file: t, in: stop, order: [pre_free(, free(] }"],
    ["order: a part of a name is not the name", false, "{ file: t, in: stop, order: [free(a), free(a)] }"],
    ["order: the other way round", false, "{ file: t, in: stop, order: [free(, pre_free(] }"],
    ["matches", true, String.raw`{ file: t, in: stop, matches: 'if\(a==\d\)pre_free' }`],
    ["matches not", false, String.raw`{ file: t, in: stop, matches: 'if\(a!=\d\)' }`],
    ["a whole file: macros too", true, "{ file: t, has: [LIMIT 4, -EAGAIN] }"],
    ["of several functions the first that is there", true, "{ file: t, in: [begin, helper, stop], has: -EAGAIN }"],
    ["of several functions only the first that is there", false, "{ file: t, in: [helper, stop], has: free( }"],
    ["a function and no more", true, "{ file: t, in: helper }"],
    ["all", true, "{ all: [{ file: t, in: helper }, { see: there }] }"],
    ["all but one", false, "{ all: [{ file: t, in: helper }, { file: t, in: begin }] }"],
    ["any", true, "{ any: [{ file: t, in: begin }, { file: t, in: helper }] }"],
    ["none of any", false, "{ any: [{ file: t, in: begin }, { file: t, in: end }] }"],
    ["not", true, "{ not: { file: t, in: begin } }"],
    ["not what is", false, "{ not: { file: t, in: helper } }"],
    ["several asks of one function: all must be so", false, "{ file: t, in: stop, has: free(, lacks: pre_free( }"],
  ])("%s is %s", (_name, expected, rule) => {
    expect(holds(rule, source)).toBe(expected);
  });

  test("of what is not there tells what was looked for, and where", () => {
    const { evidence } = ask(
      "    present: { file: t, in: stop, has: never( }\n    absent: { file: t, in: stop, lacks: [wait(, never(] }\n",
      stop("free(a);"),
    );
    expect(evidence).toEqual([
      { file: "drivers/t.c", line: 2, function: "stop", excerpt: "wait(, never(", there: false },
    ]);
  });
});

const PARTS = `    parts:
      - part: 1
        title: disconnected before it is freed
        without: it is used after it was freed
        present: { file: t, in: stop, order: [disconnect(, free(] }
        absent: { file: t, in: stop, order: [free(, disconnect(] }
      - part: 2
        title: the caller waits for it
        without: nobody waits until it is over
        present: { file: t, in: stop, has: wait( }
        absent: { file: t, in: stop, lacks: wait( }
`;

describe("a fix in parts", () => {
  test.each<[string, string, readonly Answer["verdict"][], RegExp]>([
    ["all there", "disconnect(a); free(a); wait(a);", ["present", "present", "present"], /all of it is present/],
    ["one absent", "disconnect(a); free(a);", ["absent", "present", "absent"], /in part: \(2\) of \(1\), \(2\)/],
    ["none there", "free(a); disconnect(a);", ["absent", "absent", "absent"], /all of it is absent/],
    ["one not known", "free(a); wait(a);", ["unknown", "unknown", "present"], /not known: \(1\)/],
    ["one absent and one not known", "free(a);", ["absent", "unknown", "absent"], /in part: \(2\)/],
  ])("%s", (_name, body, verdicts, why) => {
    const answer = ask(PARTS, stop(body));
    expect([answer, ...answer.parts].map(({ verdict }) => verdict)).toEqual(verdicts);
    expect(answer.parts.map(({ id }) => id)).toEqual(["0123456789ab (1)", "0123456789ab (2)"]);
    expect(answer.why).toMatch(why);
  });

  test("does not apply as a whole", () => {
    const answer = ask(PARTS, "int x;\n");
    expect([answer, ...answer.parts].map(({ verdict }) => verdict)).toEqual(Array(3).fill("not-applicable"));
  });

  test("is not known as a whole without its file", () => {
    const answer = ask(PARTS, undefined);
    expect([answer, ...answer.parts].map(({ verdict }) => verdict)).toEqual(Array(3).fill("unknown"));
  });

  test("is not present while a part does not apply", () => {
    expect(
      sumUp([
        { id: "a (1)", verdict: "present" },
        { id: "a (2)", verdict: "not-applicable" },
      ]).verdict,
    ).toBe("unknown");
  });
});

test("without a source nothing is known, and it is said why", () => {
  const fixes = parseFixes(`${HEAD}${FIX}${PARTS}`, "x.yaml");
  const [answer] = auditNothing(fixes, "there is only an image");
  expect(answer).toMatchObject({ verdict: "unknown", how: "nothing", why: "there is only an image" });
  expect(answer?.parts).toHaveLength(2);
  expect(answer?.parts[0]).toMatchObject({ verdict: "unknown", how: "nothing" });
});
