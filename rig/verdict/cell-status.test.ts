import { describe, expect, test } from "vitest";
import type { EvidenceProblem } from "../oracle/evidence.ts";
import type { Finding } from "../oracle/finding.ts";
import { type CellOutcome, cellStatus } from "./cell-status.ts";

type Found = Pick<Finding, "oracle" | "class">;
const stale: Found = { oracle: "integrity", class: "stale" };
const panic: Found = { oracle: "kernel-log", class: "panic" };
const hang: Found = { oracle: "hang", class: "hang" };
const unreadable: Found = { oracle: "integrity", class: "unreadable" };
const stuck: Found = { oracle: "session", class: "stuck" };

const FINDINGS: readonly (readonly Found[])[] = [
  [],
  [stale],
  [panic],
  [hang],
  [unreadable],
  [stuck],
  [hang, panic],
  [hang, unreadable, stuck],
];
const CONCLUSIVE = new Set<Found>([stale, panic]);
const BLAMES = [undefined, "harness", "scenario", "usage", "environment"] as const;
const EVIDENCE: readonly EvidenceProblem["kind"][][] = [
  [],
  ["no-bite"],
  ["idle"],
  ["not-gone"],
  ["no-bite", "not-gone"],
];
const BLIND = [[], ["saw nothing"]];

const CUT = [undefined, "the end is missing"] as const;

const every = FINDINGS.flatMap(findings =>
  BLAMES.flatMap(blame =>
    EVIDENCE.flatMap(kinds => BLIND.flatMap(blind => CUT.map(cut => ({ findings, blame, kinds, blind, cut })))),
  ),
);

test("every combination of findings, error, evidence and blindness has the status the rules give it", () => {
  expect(every).toHaveLength(800);
  for (const { findings, blame, kinds, blind, cut } of every) {
    const outcome: CellOutcome = {
      findings,
      blind,
      evidence: kinds.map(kind => ({ kind, text: `evidence ${kind}` })),
      error: blame && { blame, message: `error ${blame}` },
      cut,
    };
    const { status, reason } = cellStatus(outcome);
    const hasProof = findings.some(found => CONCLUSIVE.has(found));
    const rigMayHaveCausedIt = blame !== undefined || cut !== undefined || kinds.includes("not-gone");
    const clean = blame === undefined && cut === undefined && kinds.length === 0 && blind.length === 0;
    const name = JSON.stringify(outcome);

    expect(status === "FAIL", name).toBe(hasProof || (findings.length > 0 && !rigMayHaveCausedIt));
    expect(status === "PASS", name).toBe(findings.length === 0 && clean);
    expect(status === "MISS", name).toBe(!hasProof && blame === "environment");
    expect(reason === undefined, name).toBe(clean);
    if (blame !== undefined) expect(reason, name).toContain(`error ${blame}`);
    for (const kind of kinds) expect(reason, name).toContain(`evidence ${kind}`);
    if (cut !== undefined) expect(reason, name).toContain(cut);
    for (const words of blind) expect(reason, name).toContain(words);
  }
});

describe("the cases the rules are made for", () => {
  const nothing: CellOutcome = { findings: [], blind: [], evidence: [] };

  test.each<[string, CellOutcome, string]>([
    ["all is well", nothing, "PASS"],
    ["corruption", { ...nothing, findings: [stale] }, "FAIL"],
    [
      "the node was lost because its kernel crashed",
      { ...nothing, findings: [panic], error: { blame: "harness", message: "ssh gone" } },
      "FAIL",
    ],
    [
      "a hang that a fault left in place explains",
      { ...nothing, findings: [hang], evidence: [{ kind: "not-gone", text: "still there" }] },
      "ERROR",
    ],
    [
      "a hang after a fault that did not bite is a hang all the same",
      { ...nothing, findings: [hang], evidence: [{ kind: "no-bite", text: "no" }] },
      "FAIL",
    ],
    ["a hang at the end of a history whose end is missing", { ...nothing, findings: [hang], cut: "cut" }, "ERROR"],
    ["corruption in what there is of a history", { ...nothing, findings: [stale], cut: "cut" }, "FAIL"],
    ["a fault that did not bite", { ...nothing, evidence: [{ kind: "no-bite", text: "no" }] }, "ERROR"],
    ["an oracle that saw nothing", { ...nothing, blind: ["nothing"] }, "ERROR"],
    ["a scenario's own mistake", { ...nothing, error: { blame: "scenario", message: "typo" } }, "ERROR"],
    ["no room on the disk", { ...nothing, error: { blame: "environment", message: "full" } }, "MISS"],
  ])("%s", (_name, outcome, status) => {
    expect(cellStatus(outcome).status).toBe(status);
  });
});
