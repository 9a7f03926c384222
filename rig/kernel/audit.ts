/**
 * Whether a kernel's source has a fix, read from what its functions do. The shape with the fix and the shape without it are
 * looked for each on its own: only where exactly one is found is there an answer. Code that the rules do not know is told
 * as unknown, never guessed at. Pure: texts of files in, answers with their evidence out.
 */
import { type Evidence, RuleReader, type Sources, Undecidable } from "./audit-rules.ts";
import type { Fix, Fixes } from "./fixes.ts";

export const AUDIT_VERDICTS = ["present", "absent", "unknown", "not-applicable"] as const;
export type AuditVerdict = (typeof AUDIT_VERDICTS)[number];

export interface Answer {
  readonly id: string;
  readonly commit: string;
  readonly title: string;
  readonly without: string;
  readonly verdict: AuditVerdict;
  /** What the answer is from. */
  readonly how: "source" | "scenario" | "both" | "nothing";
  readonly why: string;
  readonly evidence: readonly Evidence[];
  readonly parts: readonly Answer[];
}

/** So much evidence is kept for one answer. */
const MOST_EVIDENCE = 6;

const answer = (
  { id, commit, title, without }: Fix,
  verdict: AuditVerdict,
  why: string,
  evidence: readonly Evidence[] = [],
  parts: readonly Answer[] = [],
): Answer => ({
  id,
  commit,
  title,
  without,
  verdict,
  how: "source",
  why,
  evidence: evidence.slice(0, MOST_EVIDENCE),
  parts,
});

const unique = (all: readonly Evidence[]): readonly Evidence[] =>
  all.filter(
    (one, i) =>
      all.findIndex(({ file, line, excerpt }) => file === one.file && line === one.line && excerpt === one.excerpt) ===
      i,
  );

/** What a fix in parts is as a whole: there if all of it is, absent if any of it is. */
export const sumUp = (parts: readonly Pick<Answer, "id" | "verdict">[]): { verdict: AuditVerdict; why: string } => {
  const absent = parts.filter(({ verdict }) => verdict === "absent");
  const ids = (some: readonly { id: string }[]): string =>
    some.map(({ id }) => /\(\d+\)$/.exec(id)?.[0] ?? id).join(", ");
  if (absent.length === parts.length) return { verdict: "absent", why: "all of it is absent" };
  if (absent.length > 0) return { verdict: "absent", why: `in part: ${ids(absent)} of ${ids(parts)}` };
  const open = parts.filter(({ verdict }) => verdict !== "present");
  if (open.length > 0) return { verdict: "unknown", why: `not known: ${ids(open)}` };
  return { verdict: "present", why: "all of it is present" };
};

const auditOne = (reader: RuleReader, fix: Fix): Answer => {
  try {
    const applies = reader.holds(fix.applies);
    if (!applies.holds) {
      const parts = fix.parts.map(part => answer(part, "not-applicable", fix.otherwise));
      return answer(fix, "not-applicable", fix.otherwise, unique(applies.evidence), parts);
    }
    if (fix.shapes === undefined) {
      const parts = fix.parts.map(part => auditOne(reader, part));
      const { verdict, why } = sumUp(parts);
      return answer(fix, verdict, why, [], parts);
    }
    const present = reader.holds(fix.shapes.present);
    const absent = reader.holds(fix.shapes.absent);
    if (present.holds !== absent.holds) {
      const shape = present.holds ? present : absent;
      const verdict = present.holds ? "present" : "absent";
      return answer(
        fix,
        verdict,
        `the code has the shape ${present.holds ? "with" : "without"} it`,
        unique(shape.evidence),
      );
    }
    const evidence = unique([...present.evidence, ...absent.evidence]);
    const why = present.holds
      ? "the code has both the shape with it and the shape without it; read the places named"
      : "the code has neither the shape with it nor the shape without it; read the places named";
    return answer(fix, "unknown", why, evidence);
  } catch (error) {
    if (!(error instanceof Undecidable)) throw error;
    return answer(
      fix,
      "unknown",
      error.message,
      [],
      fix.parts.map(part => answer(part, "unknown", error.message)),
    );
  }
};

/** What a source tree says of each fix. */
export const auditSource = (fixes: Fixes, sources: Sources): readonly Answer[] => {
  const reader = new RuleReader(fixes, sources);
  return fixes.fixes.map(fix => auditOne(reader, fix));
};

/** The answers where there is no source to read. */
export const auditNothing = (fixes: Fixes, why: string): readonly Answer[] => {
  const one = (fix: Fix): Answer => ({ ...answer(fix, "unknown", why, [], fix.parts.map(one)), how: "nothing" });
  return fixes.fixes.map(one);
};
