/**
 * Judges one cell: runs every oracle on its history, asks whether the history proves anything, and makes the status of
 * the two. Needs nothing but the history, so a stored cell can be judged again at any time.
 */
import { messageOf } from "../core/errors.ts";
import type { Damage, EventOf, History } from "../history/event.ts";
import { eventsOf } from "../history/view.ts";
import { type CellStatus, cellStatus } from "../verdict/cell-status.ts";
import { errorsOracle } from "./errors.ts";
import { type EvidenceProblem, evidenceProblems } from "./evidence.ts";
import type { Finding } from "./finding.ts";
import { hangOracle } from "./hang.ts";
import { integrityOracle } from "./integrity.ts";
import { kernelLogOracle } from "./kernel-log.ts";
import { leakOracle } from "./leaks.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { sessionOracle } from "./session.ts";
import { plural } from "./words.ts";

/** The oracles that judge every cell, in the order in which their findings are told. */
export const ALL_ORACLES: readonly Oracle[] = [
  integrityOracle,
  kernelLogOracle,
  sessionOracle,
  leakOracle,
  hangOracle,
  errorsOracle,
];

export interface CellJudgement extends CellStatus {
  readonly findings: readonly Finding[];
}

export interface JudgeOptions {
  readonly oracles?: readonly Oracle[];
}

/** What stopped the cell before its end, where something did: the first of them. */
export const stoppedBy = (history: History): EventOf<"stopped"> | undefined => eventsOf(history, "stopped")[0]?.event;

/** What the oracle says. One that throws has not seen that all is well: it counts as blind, by name. */
const ask = (oracle: Oracle, history: History): Judgement => {
  try {
    return oracle.judge(history);
  } catch (error) {
    return { findings: [], blind: `The ${oracle.name} oracle could not judge: ${messageOf(error)}` };
  }
};

const evidenceOf = (history: History): { evidence: EvidenceProblem[]; blind: string[] } => {
  try {
    return { evidence: evidenceProblems(history), blind: [] };
  } catch (error) {
    return { evidence: [], blind: [`The evidence could not be weighed: ${messageOf(error)}`] };
  }
};

/** At most so many damaged places are told one by one. */
const SHOWN_DAMAGE = 3;

const damageWords = (damage: readonly Damage[]): string => {
  const shown = damage.slice(0, SHOWN_DAMAGE).map(({ line, problem }) => `line ${line}: ${problem}`);
  const more = damage.length - shown.length;
  const rest = more > 0 ? `; and ${plural(more, "more place")}` : "";
  return `The history is damaged and carries no verdict: ${shown.join("; ")}${rest}.`;
};

const CUT = "The history ends before the cell's end: the rig died while it wrote, or the file was cut.";

/** The findings, the status and its reason. Never throws: what cannot be judged is ERROR. */
export const judge = (history: History, options: JudgeOptions = {}): CellJudgement => {
  if (history.damage.length > 0) return { findings: [], status: "ERROR", reason: damageWords(history.damage) };
  const judgements = (options.oracles ?? ALL_ORACLES).map(oracle => ask(oracle, history));
  const findings = judgements.flatMap(judgement => judgement.findings);
  const { evidence, blind } = evidenceOf(history);
  const unseen = judgements.map(judgement => judgement.blind).filter(words => words !== undefined);
  const nothing = judgements.length === 0 ? ["No oracle was asked."] : [];
  const stopped = stoppedBy(history);
  const cut = history.truncated ? CUT : undefined;
  const outcome = { findings, evidence, blind: [...blind, ...unseen, ...nothing], cut };
  // An operation without an answer, one that failed, and a session that did not come back are the oracles' to judge; only if
  // they find nothing is having waited for them in vain the rig's error.
  if (stopped?.unanswered === true || stopped?.failed === true || stopped?.unrecovered === true) {
    const status = cellStatus(outcome);
    if (status.status === "FAIL") return { findings, ...status };
  }
  return { findings, ...cellStatus({ ...outcome, error: stopped }) };
};
