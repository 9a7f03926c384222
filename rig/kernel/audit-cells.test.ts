import { describe, expect, test } from "vitest";
import type { Answer } from "./audit.ts";
import { type AuditCell, cannotShow, type Judgement, judgeCells, withCells } from "./audit-cells.ts";
import type { Fix, ShownBy } from "./fixes.ts";

const SHOWN: ShownBy = {
  scenario: "recovery/stale-write",
  findings: ["integrity", "kernel-log"],
  needs: [],
  undecided: undefined,
};

const cell = (status: AuditCell["status"], oracle?: string, reason?: string): AuditCell => ({
  status,
  findings: oracle === undefined ? [] : [{ oracle, class: "stale", title: `what ${oracle} found` }],
  ...(reason === undefined ? {} : { reason }),
});

const PASS = cell("PASS");

describe("cells of a fix's scenario say that it is", () => {
  test.each<[string, readonly AuditCell[], Judgement["verdict"], RegExp]>([
    ["present, where all passed", [PASS, PASS, PASS], "present", /passed in 3 of 3/],
    ["absent, where all failed by it", [cell("FAIL", "integrity")], "absent", /failed in 1 of 1: what integrity found/],
    ["absent, where one failed by it", [PASS, cell("FAIL", "kernel-log"), PASS], "absent", /failed in 1 of 3/],
    ["absent, where another is MISS", [cell("FAIL", "integrity"), cell("MISS")], "absent", /failed in 1 of 2/],
    [
      "unknown, where one failed by something else",
      [PASS, cell("FAIL", "hang")],
      "unknown",
      /in another way[^]*what hang found/,
    ],
    [
      "unknown, where the kernel lacks an instrument",
      [cell("MISS", undefined, "no slow-stop\nmore")],
      "unknown",
      /0 of 1; MISS: no slow-stop$/,
    ],
    [
      "unknown, where one is ERROR",
      [PASS, cell("ERROR", undefined, "blind")],
      "unknown",
      /passed in 1 of 2; ERROR: blind/,
    ],
    [
      "unknown, where a finding did not count",
      [PASS, cell("ERROR", "integrity", "disturbed")],
      "unknown",
      /ERROR: disturbed/,
    ],
    ["unknown, where none ran", [], "unknown", /did not run/],
  ])("%s", (_name, cells, verdict, why) => {
    const judgement = judgeCells(SHOWN, cells);
    expect(judgement.verdict).toBe(verdict);
    expect(judgement.why).toMatch(why);
  });
});

describe("a scenario is not run for a fix", () => {
  test.each<[string, Partial<ShownBy>, readonly string[], RegExp | undefined]>([
    ["that it can show: it is", {}, [], undefined],
    ["that it does not decide", { undecided: "iscsid is dead there" }, [], /does not decide: iscsid is dead there/],
    ["when there is no such scenario", { scenario: "recovery/other" }, [], /no scenario recovery\/other/],
    [
      "on a kernel without what it needs",
      { needs: ["offload-model", "kasan"] },
      ["kasan"],
      /built with \+offload-model$/,
    ],
    ["on a kernel with what it needs: it is", { needs: ["kasan"] }, ["kasan", "slow-stop"], undefined],
  ])("%s", (_name, change, suffixes, words) => {
    const why = cannotShow({ ...SHOWN, ...change }, suffixes, ["recovery/stale-write"]);
    if (words === undefined) expect(why).toBeUndefined();
    else expect(why).toMatch(words);
  });
});

const fix = (id: string, parts: readonly Fix[] = [], shownBy: ShownBy | undefined = SHOWN): Fix => ({
  id,
  commit: "0123456789ab",
  title: "scsi: fix it",
  without: "it goes wrong",
  shownBy,
  applies: { see: "there" },
  otherwise: "it is not there",
  shapes: undefined,
  parts,
});

const answer = (
  verdict: Answer["verdict"],
  how: Answer["how"] = "source",
  parts: readonly Answer[] = [],
  id = "a",
): Answer => ({
  id,
  commit: "0123456789ab",
  title: "scsi: fix it",
  without: "it goes wrong",
  verdict,
  how,
  why: "the code says so",
  evidence: [],
  parts,
});

describe("source and scenario together:", () => {
  test.each<[string, Answer, Judgement["verdict"], Partial<Answer>]>([
    ["both present", answer("present"), "present", { verdict: "present", how: "both" }],
    ["both absent", answer("absent"), "absent", { verdict: "absent", how: "both" }],
    ["the source alone", answer("absent"), "unknown", { verdict: "absent", how: "source" }],
    [
      "the scenario where the source does not tell",
      answer("unknown"),
      "absent",
      { verdict: "absent", how: "scenario" },
    ],
    [
      "the scenario where there is no source",
      answer("unknown", "nothing"),
      "present",
      { verdict: "present", how: "scenario" },
    ],
    ["neither", answer("unknown", "nothing"), "unknown", { verdict: "unknown", how: "nothing" }],
    ["they differ", answer("present"), "absent", { verdict: "unknown", how: "both" }],
    ["they differ the other way round", answer("absent"), "present", { verdict: "unknown", how: "both" }],
    ["what does not apply passes", answer("not-applicable"), "present", { verdict: "not-applicable", how: "source" }],
    ["what does not apply fails all the same", answer("not-applicable"), "absent", { verdict: "unknown", how: "both" }],
  ])("%s", (_name, read, verdict, expected) => {
    expect(withCells([read], [fix("a")], () => ({ verdict, why: "the cells say so" }))[0]).toMatchObject(expected);
  });

  test("a difference is told with both sides", () => {
    const [told] = withCells([answer("present")], [fix("a")], () => ({ verdict: "absent", why: "it failed" }));
    expect(told?.why).toBe("by its source it is present (the code says so), yet it failed");
  });

  test("a fix that no scenario is about stays as it was", () => {
    const silent: Fix = { ...fix("a"), shownBy: undefined };
    expect(withCells([answer("unknown")], [silent], () => ({ verdict: "absent", why: "" }))).toEqual([
      answer("unknown"),
    ]);
  });

  test("parts are judged each by its own scenario, and summed up", () => {
    const seed: Fix = {
      ...fix("a", [fix("a (1)"), fix("a (2)", [], { ...SHOWN, scenario: "recovery/late-stop" })]),
      shownBy: undefined,
    };
    const read = answer("unknown", "nothing", [
      answer("unknown", "nothing", [], "a (1)"),
      answer("unknown", "nothing", [], "a (2)"),
    ]);
    const [told] = withCells([read], [seed], ({ scenario }) =>
      scenario === "recovery/late-stop"
        ? { verdict: "absent", why: "it failed" }
        : { verdict: "present", why: "it passed" },
    );
    expect(told).toMatchObject({ verdict: "absent", how: "scenario", why: "in part: (2) of (1), (2)" });
    expect(told?.parts.map(({ verdict }) => verdict)).toEqual(["present", "absent"]);
  });
});
