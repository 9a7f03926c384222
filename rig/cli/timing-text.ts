/** What `rig timing` prints: how fast the run was, and for each phase its durations, its share and a bar. */
import pc from "picocolors";
import { cleanLine } from "../core/untrusted.ts";
import { labsOf, type Pace, paceOf, type Spread, type Timing } from "../report/timing.ts";
import type { CellSummary, Run } from "../results/schema.ts";
import { table } from "./table.ts";

/** A part of a run's cells, and where their time went. */
export interface TimingGroup {
  /** The kernel or the scenario that they have in common; absent where these are all cells. */
  readonly name?: string;
  readonly timing: Timing;
}

const MAX_NAME = 60;
const MAX_REASON = 200;

/** Bars shorter than this say nothing that the share does not. */
const MIN_BAR = 10;
const GAP = 2;

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A part of `width` characters, to an eighth of one. What is more than nothing can be seen. */
export const bar = (part: number, width: number): string => {
  const eighths = Math.round(Math.min(1, part) * width * EIGHTHS.length);
  const drawn = part > 0 ? Math.max(1, eighths) : 0;
  return "█".repeat(Math.floor(drawn / EIGHTHS.length)) + (EIGHTHS[drawn % EIGHTHS.length] ?? "");
};

const hundredths = (ms: number): string => (ms / 1000).toFixed(2);
const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;

const duration = (ms: number): string => {
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
};

const counted = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

const figures = ({ cells, medianMs, p90Ms, minMs, maxMs }: Spread): string[] => [
  String(cells),
  `${hundredths(medianMs)} s`,
  `${hundredths(p90Ms)} s`,
  `${hundredths(minMs)}–${hundredths(maxMs)} s`,
];

const HEAD = ["PHASE", "CELLS", "MEDIAN", "P90", "MIN–MAX", "SHARE"];
const NUMBERS = [1, 2, 3, 4, 5];

const rowsOf = ({ whole, phases }: Timing): string[][] => [
  HEAD,
  ...phases.map(phase => [cleanLine(phase.name, MAX_NAME), ...figures(phase), percent(phase.share)]),
  ["whole cell", ...figures(whole), percent(1)],
];

/** A table for each group. Columns stand under each other, and bars are to one scale, so that groups can be compared. */
const tablesOf = (groups: readonly TimingGroup[], width: number): string[] => {
  const lines = table(
    groups.flatMap(group => rowsOf(group.timing)),
    NUMBERS,
  ).split("\n");
  const wide = Math.max(...lines.map(line => line.length));
  const room = width - GAP - wide;
  const longest = Math.max(0, ...groups.flatMap(({ timing }) => timing.phases.map(phase => phase.share)));
  const withBar = (line: string, part: number): string =>
    part > 0 && room >= MIN_BAR ? `${line.padEnd(wide + GAP)}${pc.cyan(bar(part / longest, room))}` : line;
  return groups.flatMap(({ name, timing: { phases } }) => {
    const [head = "", ...own] = lines.splice(0, phases.length + 2);
    const drawn = own.map((line, i) => withBar(line, phases[i]?.share ?? 0));
    return ["", ...(name === undefined ? [] : [pc.bold(cleanLine(name, MAX_NAME))]), head, ...drawn];
  });
};

const jobWords = (jobs: Run["jobs"]): string =>
  jobs === undefined ? "" : `, ${jobs.most} at most (asked for: ${jobs.asked})`;

const paceLine = (run: Run, { cells, wallMs, cellsPerHour, sideBySide }: Pace): string =>
  `Run ${cleanLine(run.id, MAX_NAME)}: ${counted(cells, "cell", "cells")} in ${duration(wallMs)}, ${Math.round(cellsPerHour)} an hour. ` +
  `${sideBySide.toFixed(1)} side by side on average${jobWords(run.jobs)}.`;

const labLines = (cells: readonly CellSummary[]): string[] => {
  const labs = labsOf(cells);
  if (labs === undefined) return [];
  const whys = Map.groupBy(
    cells.flatMap(cell => cell.lab?.why ?? []),
    why => why,
  );
  return [
    `Labs: ${labs.restored} restored, ${labs.cold} booted.`,
    ...[...whys].map(([why, all]) => `  ${all.length} not restored: ${cleanLine(why, MAX_REASON)}`),
  ];
};

const starvedLine = (starved: Run["starved"] = []): string[] =>
  starved.length === 0
    ? []
    : [
        `${counted(starved.length, "try was", "tries were")} thrown away because the machine was too busy; the report has their reasons.`,
      ];

/** All of it, for a terminal of `width` characters. */
export const timingText = (run: Run, groups: readonly TimingGroup[], width: number): string =>
  [
    paceLine(run, paceOf(run)),
    ...(run.complete ? [] : ["The run was interrupted: this is what there is."]),
    ...labLines(run.cells),
    ...starvedLine(run.starved),
    ...tablesOf(groups, width),
  ].join("\n");
