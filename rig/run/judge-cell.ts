/**
 * Judging a cell that may have been stopped, or starved by the machine. Nothing but its history is asked, so a stored cell
 * has the same verdict whenever it is judged again.
 */
import type { EventOf, History } from "../history/event.ts";
import { type CellJudgement, judge, stoppedBy } from "../oracle/judge.ts";
import { judgeStarvation } from "../oracle/starvation.ts";
import { cellStatus } from "../verdict/cell-status.ts";

export interface JudgedCell extends CellJudgement {
  /** What was found is worth nothing, for want of CPU: run the cell again. */
  readonly starved: boolean;
  /** How long a node waited for a CPU at worst, in milliseconds of a second. */
  readonly worstWaitMs: number;
}

/**
 * No verdict depends on load, so nothing that was found in a starved lab is kept. What stopped the cell is most likely
 * starvation's doing too; but what the machine lacked it will lack the next time, and stays a MISS.
 */
const discard = (starved: string, stopped: EventOf<"stopped"> | undefined): Omit<JudgedCell, "worstWaitMs"> =>
  stopped?.blame === "environment"
    ? { findings: [], ...cellStatus({ findings: [], evidence: [], blind: [starved], error: stopped }), starved: false }
    : {
        findings: [],
        status: "ERROR",
        reason: stopped === undefined ? starved : `${starved} ${stopped.message}`,
        starved: true,
      };

/** The status of a cell, what was found, and whether the machine let it be judged at all. */
export const judgeCell = (history: History): JudgedCell => {
  if (history.damage.length > 0) return { ...judge(history), starved: false, worstWaitMs: 0 };
  const { starved, worstWaitMs } = judgeStarvation(history);
  if (starved !== undefined) return { ...discard(starved, stoppedBy(history)), worstWaitMs };
  return { ...judge(history), starved: false, worstWaitMs };
};
