/** Judging a cell that may have been stopped, or starved by the machine. */
import type { RigError } from "../core/errors.ts";
import type { History } from "../history/event.ts";
import { type CellJudgement, type JudgeOptions, judge } from "../oracle/judge.ts";
import { judgeStarvation } from "../oracle/starvation.ts";
import { isUnrecovered } from "../scenario/controls.ts";
import { cellStatus } from "../verdict/cell-status.ts";
import { isUnanswered } from "../workload/ledger.ts";

export interface JudgedCell extends CellJudgement {
  /** What was found is worth nothing, for want of CPU: run the cell again. */
  readonly starved: boolean;
  /** How long a node waited for a CPU at worst, in milliseconds of a second. */
  readonly worstWaitMs: number;
}

/**
 * The oracles' word. An operation without an answer and a session that did not come back are theirs to judge; only if they
 * find nothing is it the rig's error.
 */
const ask = (history: History, options: JudgeOptions): CellJudgement => {
  if (!isUnanswered(options.error) && !isUnrecovered(options.error)) return judge(history, options);
  const without = judge(history, { ...options, error: undefined });
  return without.status === "FAIL" ? without : judge(history, options);
};

/**
 * No verdict depends on load, so nothing that was found in a starved lab is kept. What stopped the cell is most likely
 * starvation's doing too; but what the machine lacked it will lack the next time, and stays a MISS.
 */
const discard = (starved: string, error: RigError | undefined): Omit<JudgedCell, "worstWaitMs"> =>
  error?.blame === "environment"
    ? { findings: [], ...cellStatus({ findings: [], evidence: [], blind: [starved], error }), starved: false }
    : {
        findings: [],
        status: "ERROR",
        reason: error === undefined ? starved : `${starved} ${error.message}`,
        starved: true,
      };

/** The status of a cell, what was found, and whether the machine let it be judged at all. */
export const judgeCell = (history: History, options: JudgeOptions = {}): JudgedCell => {
  const { starved, worstWaitMs } = judgeStarvation(history);
  if (starved !== undefined) return { ...discard(starved, options.error), worstWaitMs };
  return { ...ask(history, options), starved: false, worstWaitMs };
};
