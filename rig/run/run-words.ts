/**
 * What a run says while it goes on. Names of kernels can be long (`linux-5.10+without-seed+offload-model`), and a line has
 * to be read at a glance: where names are long, or base and head differ from scenario to scenario, they are told once, at
 * the top, and from then on a cell's kernel is called base or head.
 */
import type { Tone } from "../core/log.ts";
import type { Status, Verdict } from "../core/names.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { CellSummary } from "../results/schema.ts";
import { kernelsOf, type Trial } from "./trial.ts";

/** A longer name makes a cell's line wrap in a terminal of 80 columns. */
const MAX_NAME = 16;
const SIDES = ["base", "head"] as const;

export const CELL_TONES = {
  FAIL: "bad",
  ERROR: "warn",
  MISS: "warn",
  PASS: "good",
  DONE: "plain",
  SKIP: "dim",
} as const satisfies Record<Status, Tone>;

export const VERDICT_TONES = {
  fixed: "good",
  regressed: "bad",
  "both-fail": "bad",
  "no-difference": "plain",
  inconclusive: "warn",
} as const satisfies Record<Verdict, Tone>;

const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

const versioned = ({ name, identity }: Kernel): string => `${name} (${identity.packageVersion ?? identity.release})`;

/** Whether all trials have the same base and the same head. */
const isAlike = (trials: readonly Trial[]): boolean =>
  trials.every(({ kernels }) => kernels.every(({ name }, i) => name === trials[0]?.kernels[i]?.name));

/** Whether the trials' kernels are called by their names, or base and head. */
const hasShortNames = (trials: readonly Trial[]): boolean =>
  isAlike(trials) && kernelsOf(trials).every(({ name }) => name.length <= MAX_NAME);

/** What lines about cells call a kernel. */
export const callName = (trials: readonly Trial[]): ((scenario: string, kernel: string) => string) => {
  if (hasShortNames(trials)) return (_scenario, kernel) => kernel;
  return (scenario, kernel) => {
    const own = trials.find(trial => trial.scenario.name === scenario)?.kernels ?? [];
    return (own.length === 2 ? SIDES[own.findIndex(({ name }) => name === kernel)] : undefined) ?? kernel;
  };
};

const sidesOf = ({ kernels }: Trial, indent: string): string[] =>
  kernels.map((kernel, i) => `${indent}${SIDES[i] ?? ""}  ${versioned(kernel)}`);

/** A run's first lines: how many cells there are, and what they run on. */
export const openingWords = (id: string, trials: readonly Trial[], cells: number, accelerator: string): string => {
  const run = `Run ${id}: ${counted(cells, "cell")}`;
  if (!isAlike(trials)) {
    const all = trials.flatMap(trial => [`  ${trial.scenario.name}`, ...sidesOf(trial, "    ")]);
    return [
      `${run} of ${counted(trials.length, "scenario")}, each on its own base and head, ${accelerator}.`,
      ...all,
    ].join("\n");
  }
  const kernels = kernelsOf(trials);
  if (hasShortNames(trials) || kernels.length < 2)
    return `${run}, ${kernels.map(versioned).join(" against ")}, ${accelerator}.`;
  return [`${run}, ${accelerator}.`, ...trials.slice(0, 1).flatMap(trial => sidesOf(trial, "  "))].join("\n");
};

/** As much of a reason as fits beside the rest of a line; the whole of it is in the report. */
export const short = (text: string): string => {
  const [line = ""] = text.split("\n");
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
};

/** A cell that is over, in a line. */
export const cellWords = (cell: CellSummary, kernel: string, number: number, total: number): string => {
  const classes = [...new Set(cell.findings.map(finding => finding.class))].join(", ");
  const what = cell.status === "FAIL" ? `${classes}: ${cell.findings[0]?.title ?? ""}` : short(cell.reason ?? "");
  const place = `${String(number).padStart(String(total).length)}/${total}`;
  const took = `${(cell.durationMs / 1000).toFixed(1)} s`;
  return `${place}  ${cell.status.padEnd(5)} ${cell.scenario}  ${kernel}  seed ${cell.seed}  ${took}${what === "" ? "" : `  ${what}`}`;
};
