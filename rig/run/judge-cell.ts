/** Judging a cell that may have been stopped. */
import type { History } from "../history/event.ts";
import { type CellJudgement, type JudgeOptions, judge } from "../oracle/judge.ts";
import { isUnanswered } from "../workload/ledger.ts";

/** The oracles' word on a history. An operation without an answer is theirs to judge; only if they find nothing is it the rig's error. */
export const judgeCell = (history: History, options: JudgeOptions = {}): CellJudgement => {
  if (!isUnanswered(options.error)) return judge(history, options);
  const without = judge(history, { ...options, error: undefined });
  return without.status === "FAIL" ? without : judge(history, options);
};
