/**
 * Judges one cell: runs every oracle on its history, asks whether the history proves anything, and makes the status of
 * the two. Needs nothing but the history, so a stored cell can be judged again at any time.
 */
import { messageOf, type RigError } from "../core/errors.ts";
import type { History } from "../history/event.ts";
import { type CellStatus, cellStatus } from "../verdict/cell-status.ts";
import { type EvidenceProblem, evidenceProblems } from "./evidence.ts";
import type { Finding } from "./finding.ts";
import { hangOracle } from "./hang.ts";
import { integrityOracle } from "./integrity.ts";
import { kernelLogOracle } from "./kernel-log.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { sessionOracle } from "./session.ts";

/** The oracles that judge every cell, in the order in which their findings are told. */
export const ALL_ORACLES: readonly Oracle[] = [integrityOracle, kernelLogOracle, sessionOracle, hangOracle];

export interface CellJudgement extends CellStatus {
  readonly findings: readonly Finding[];
}

export interface JudgeOptions {
  readonly oracles?: readonly Oracle[];
  /** What stopped the cell, where something did. */
  readonly error?: RigError | undefined;
}

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

/** The findings, the status and its reason. Never throws: what cannot be judged is ERROR. */
export const judge = (history: History, options: JudgeOptions = {}): CellJudgement => {
  const judgements = (options.oracles ?? ALL_ORACLES).map(oracle => ask(oracle, history));
  const findings = judgements.flatMap(judgement => judgement.findings);
  const { evidence, blind } = evidenceOf(history);
  const unseen = judgements.map(judgement => judgement.blind).filter(words => words !== undefined);
  const nothing = judgements.length === 0 ? ["No oracle was asked."] : [];
  return {
    findings,
    ...cellStatus({ findings, evidence, blind: [...blind, ...unseen, ...nothing], error: options.error }),
  };
};
