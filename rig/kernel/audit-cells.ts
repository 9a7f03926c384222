/**
 * Whether a kernel has a fix, told from what it does: the scenario that the fix is about fails without it and passes with
 * it. That needs no source, and is all that there is for an image. Pure; the cells are run elsewhere.
 */
import type { CellSummary } from "../results/schema.ts";
import type { Answer, AuditVerdict } from "./audit.ts";
import { sumUp } from "./audit.ts";
import type { Fix, ShownBy } from "./fixes.ts";

export type AuditCell = Pick<CellSummary, "status" | "findings" | "reason">;

export interface Judgement {
  readonly verdict: Exclude<AuditVerdict, "not-applicable">;
  readonly why: string;
}

const unknown = (why: string): Judgement => ({ verdict: "unknown", why });

/** Why running the scenario would tell nothing about this kernel; undefined where it would. */
export const cannotShow = (
  { scenario, needs, undecided }: ShownBy,
  suffixes: readonly string[],
  scenarios: readonly string[],
): string | undefined => {
  if (undecided !== undefined) return `${scenario} does not decide: ${undecided}`;
  if (!scenarios.includes(scenario)) return `there is no scenario ${scenario}`;
  const missing = needs.filter(name => !suffixes.includes(name)).map(name => `+${name}`);
  if (missing.length === 0) return undefined;
  return `${scenario} passes with and without the fix unless the kernel is built with ${missing.join(" ")}`;
};

/** What the cells of a fix's scenario say of the fix. */
export const judgeCells = ({ scenario, findings }: ShownBy, cells: readonly AuditCell[]): Judgement => {
  if (cells.length === 0) return unknown(`${scenario} did not run`);
  const belongs = ({ status, findings: found }: AuditCell): boolean =>
    status === "FAIL" && found.some(({ oracle }) => findings.some(name => name === oracle));
  const guilty = cells.filter(belongs);
  const count = (n: number): string => `${n} of ${cells.length}`;
  if (guilty.length > 0) {
    const finding = guilty[0]?.findings.find(({ oracle }) => findings.some(name => name === oracle));
    return { verdict: "absent", why: `${scenario} failed in ${count(guilty.length)}: ${finding?.title ?? ""}` };
  }
  const other = cells.find(({ status }) => status === "FAIL");
  if (other !== undefined)
    return unknown(`${scenario} failed, but in another way than without this fix: ${other.findings[0]?.title ?? ""}`);
  const passed = cells.filter(({ status }) => status === "PASS").length;
  if (passed === cells.length) return { verdict: "present", why: `${scenario} passed in ${count(passed)}` };
  const stuck = cells.find(({ status }) => status !== "PASS");
  return unknown(
    `${scenario} passed in ${count(passed)}; ${stuck?.status ?? ""}: ${stuck?.reason?.split("\n")[0] ?? ""}`,
  );
};

/** An answer from the source and what the scenario says, as one. Two that differ are told, not weighed. */
const joined = (answer: Answer, { verdict, why }: Judgement): Answer => {
  const fromSource = answer.how === "source" && answer.verdict !== "unknown";
  if (verdict === "unknown") return { ...answer, why: `${answer.why}; ${why}` };
  if (!fromSource) return { ...answer, verdict, how: "scenario", why };
  if (answer.verdict === verdict) return { ...answer, how: "both", why: `${answer.why}; ${why}` };
  if (answer.verdict === "not-applicable" && verdict === "present") return answer;
  return {
    ...answer,
    verdict: "unknown",
    how: "both",
    why: `by its source it is ${answer.verdict} (${answer.why}), yet ${why}`,
  };
};

/** Adds to each answer what the scenarios say. `of` gives the judgement for a fix, undefined where no scenario is about it. */
export const withCells = (
  answers: readonly Answer[],
  fixes: readonly Fix[],
  of: (shownBy: ShownBy) => Judgement,
): readonly Answer[] =>
  answers.map(answer => {
    const fix = fixes.find(({ id }) => id === answer.id);
    if (fix === undefined) return answer;
    const parts = withCells(answer.parts, fix.parts, of);
    const own = fix.shownBy === undefined ? answer : joined(answer, of(fix.shownBy));
    if (parts.length === 0 || answer.verdict === "not-applicable") return { ...own, parts };
    const hows = new Set(parts.map(part => part.how));
    const how =
      hows.size === 1 ? ([...hows][0] ?? "nothing") : hows.has("source") || hows.has("both") ? "both" : "scenario";
    return { ...own, ...sumUp(parts), how, parts };
  });
