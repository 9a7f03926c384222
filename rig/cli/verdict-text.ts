/**
 * A cell's verdict in words for a terminal. The words are made from what cell.json has, so a verdict that was computed again
 * and the one that was stored give the same text exactly where they are the same.
 */
import type { Cell } from "../results/schema.ts";

/** What a verdict consists of. */
export type Verdict = Pick<Cell, "status" | "findings"> & { readonly reason?: string | undefined };

/** Which cell it is about. */
export interface CellName {
  readonly scenario: string;
  readonly kernel: string;
  readonly seed: number;
}

export const nameOf = ({ scenario, kernel, seed }: CellName): string => `${scenario} on ${kernel}, seed ${seed}`;

type Finding = Verdict["findings"][number];

const findingText = ({ oracle, class: name, title, explanation, lines }: Finding): string[] => [
  `  ${oracle}/${name}: ${title}`,
  `    ${explanation}`,
  ...(lines.length === 0 ? [] : [`    history.ndjson, ${lines.length === 1 ? "line" : "lines"} ${lines.join(", ")}`]),
];

/** All of a verdict, several lines. */
export const verdictText = (cell: CellName, { status, reason, findings }: Verdict): string =>
  [
    `${nameOf(cell)}: ${status}`,
    ...(reason === undefined ? [] : [`  ${reason}`]),
    ...findings.flatMap(findingText),
    "",
  ].join("\n");

/** The verdict in a few words: what was found, or why it is what it is. */
export const briefly = ({ reason, findings }: Verdict): string =>
  findings.length > 0
    ? findings.map(({ oracle, class: name }) => `${oracle}/${name}`).join(", ")
    : (reason ?? "nothing was found");

/** The verdict as --json prints it. */
export const verdictJson = ({ status, reason, findings }: Verdict): string =>
  `${JSON.stringify({ status, ...(reason === undefined ? {} : { reason }), findings }, null, 2)}\n`;
