/**
 * The whole run in one sentence and one number. The exit status answers the question a script asks: is anything wrong
 * with the kernel on trial? With a comparison that is the head of each scenario; without one it is every kernel that ran.
 *
 *     0  nothing wrong
 *     1  an oracle failed it, or it regressed
 *     3  the rig could not do all of its work: ERROR or MISS somewhere, or the run is not complete
 *
 * 1 beats 3: a finding stands even where other cells could not run, and it is what has to be looked at first. A failure
 * of the base alone is what a comparison expects, and is not held against the head.
 */
import { STATUSES, type Status } from "../core/names.ts";
import type { Comparison } from "../results/schema.ts";

export interface RunOutcome {
  readonly cells: readonly { readonly kernel: string; readonly status: Status }[];
  readonly comparison: readonly Comparison[];
  /** False where the run was interrupted. */
  readonly complete: boolean;
}

export interface RunVerdict {
  readonly words: string;
  readonly exitStatus: 0 | 1 | 3;
}

const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

const list = (parts: readonly string[]): string =>
  parts.length < 2 ? (parts[0] ?? "") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1) ?? ""}`;

const unique = (names: readonly string[]): string[] => [...new Set(names)];

/** "1 ERROR and 2 MISS" for the statuses that were met, worst first. */
const statusWords = (cells: RunOutcome["cells"], of: readonly Status[]): string =>
  list(
    STATUSES.filter(status => of.includes(status))
      .map(status => ({ status, n: cells.filter(cell => cell.status === status).length }))
      .filter(({ n }) => n > 0)
      .map(({ status, n }) => `${n} ${status}`),
  );

const comparisonWords = (comparison: readonly Comparison[]): string => {
  const total = plural(comparison.length, "scenario");
  const [first] = comparison;
  const isAlike = comparison.every(
    ({ base, head }) => base.kernel === first?.base.kernel && head.kernel === first.head.kernel,
  );
  const what = isAlike
    ? `${first?.head.kernel ?? ""} against ${first?.base.kernel ?? ""}, ${total}`
    : `${total}, each on its own base and head`;
  const count = (verdict: Comparison["verdict"]) => comparison.filter(c => c.verdict === verdict).length;
  const bothFail = count("both-fail");
  const rest = [
    bothFail > 0 ? `${bothFail} ${bothFail === 1 ? "fails" : "fail"} with both` : "",
    count("no-difference") > 0 ? `${count("no-difference")} without difference` : "",
    count("inconclusive") > 0 ? `${count("inconclusive")} inconclusive` : "",
  ].filter(words => words !== "");
  const tail = rest.length === 0 ? "" : `; ${rest.join(", ")}`;
  return `${what}: ${count("regressed")} regressed, ${count("fixed")} fixed${tail}.`;
};

const plainWords = (cells: RunOutcome["cells"]): string => {
  const kernels = list(unique(cells.map(({ kernel }) => kernel)));
  const failed = cells.filter(({ status }) => status === "FAIL").length;
  const passed = cells.filter(({ status }) => status === "PASS").length;
  return `${kernels}: ${failed} of ${plural(cells.length, "cell")} failed, ${passed} passed.`;
};

/** What the run says, and the exit status of the command that made it. */
export const runVerdict = ({ cells, comparison, complete }: RunOutcome): RunVerdict => {
  // A kernel may be the head of one scenario and the base of another: only its scenario says whether a cell is on trial.
  const wrong =
    comparison.length === 0
      ? cells.some(({ status }) => status === "FAIL")
      : comparison.some(({ head }) => head.fail > 0);
  const undone = statusWords(cells, ["ERROR", "MISS"]);
  const skipped = statusWords(cells, ["SKIP"]);
  const words = [
    cells.length === 0 ? "No cell ran." : comparison.length === 0 ? plainWords(cells) : comparisonWords(comparison),
    undone === "" ? "" : `Not judged: ${undone}.`,
    skipped === "" ? "" : `Left out: ${skipped}.`,
    complete ? "" : "The run was interrupted: more was planned.",
  ].filter(sentence => sentence !== "");
  const lacking = undone !== "" || !complete || cells.length === 0;
  return { words: words.join(" "), exitStatus: wrong ? 1 : lacking ? 3 : 0 };
};
