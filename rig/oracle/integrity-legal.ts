/** What would have been legal in a sector, and why each of it. */
import type { OperationTable } from "../history/operations.ts";
import { seconds } from "../history/view.ts";
import { INITIAL } from "./register.ts";
import type { Violation } from "./violation.ts";
import { labelOf, operationWords, plural } from "./words.ts";

/** How many legal values an explanation names. */
const NAMED = 3;

/** Why the operation's data may stand there: "acknowledged at 5.000 s and not replaced since". */
const whyLegal = (table: OperationTable, op: number, startNs: number): string => {
  const operation = op === INITIAL ? undefined : table.get(op);
  if (operation === undefined) return "nothing had certainly replaced it";
  const { state, doneNs, action } = operation;
  const done = seconds(doneNs);
  if (action === "discard") return "a discard leaves zeros or what was there";
  switch (state) {
    case "ok":
      return doneNs < startNs
        ? `acknowledged at ${done} and not certainly replaced since`
        : "under way during the read";
    case "fail":
      return `failed at ${done}, so it may have taken effect before that`;
    case "unanswered":
      return "never answered, so it may take effect at any time";
  }
};

/** The legal values as the report shows them. */
export const expectedOf = (
  { expected, startNs }: Violation,
  table: OperationTable,
): { op: number; label: string; why: string }[] =>
  expected().map(op => ({
    op,
    label: op === INITIAL ? "zeros" : labelOf(table.get(op)),
    why: whyLegal(table, op, startNs),
  }));

/** "Legal there: write 2 (generation 2), acknowledged at 5.000 s and not certainly replaced since." */
export const legalWords = ({ expected, startNs }: Violation, table: OperationTable): string => {
  const legal = expected();
  if (legal.length === 0) return "";
  const named = legal
    .slice(0, NAMED)
    .map(op => `${operationWords(op === INITIAL ? undefined : table.get(op))}, ${whyLegal(table, op, startNs)}`);
  const more = legal.length - named.length;
  return `Legal there: ${named.join("; ")}${more > 0 ? `; and ${plural(more, "other")}` : ""}.`;
};
