/**
 * Where the time of a run goes: how long the phases of its cells took, and how many cells it got through. Plain arithmetic
 * on run.json, for `rig timing` and for the report page. The page must not import zod or Node, so neither does this.
 */
import { READ_BACK_PHASE } from "../core/names.ts";
import type { CellSummary, Run } from "../results/schema.ts";

/** The parts of a cell's life in their order. A lab is booted and set up, or restored; other names come after them. */
export const PHASES: readonly string[] = [
  "queue",
  "boot",
  "restore",
  "set-up",
  "open",
  "timeline",
  "heal",
  "settle",
  READ_BACK_PHASE,
  "collect",
  "judge",
];

/** What a cell spent between its phases. Shown where it is worth a line. */
export const NO_PHASE = "in no phase";
const WORTH_A_LINE = 0.01;

/** Durations in a few numbers. */
export interface Spread {
  /** How many there are. */
  readonly cells: number;
  readonly medianMs: number;
  /** Nearest rank: one that was measured, which nine in ten do not exceed. */
  readonly p90Ms: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly totalMs: number;
}

export interface PhaseTiming extends Spread {
  readonly name: string;
  /** Its part of the time of all cells, 0 to 1. */
  readonly share: number;
  /** The median over all cells, one that did not have the phase counting as 0: what a typical cell spends on it. */
  readonly typicalMs: number;
}

export interface Timing {
  readonly whole: Spread;
  readonly phases: readonly PhaseTiming[];
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const spreadOf = (values: readonly number[]): Spread => {
  const sorted = values.toSorted((a, b) => a - b);
  const n = sorted.length;
  const at = (i: number): number => sorted[i] ?? 0;
  return {
    cells: n,
    medianMs: (at(Math.floor((n - 1) / 2)) + at(Math.floor(n / 2))) / 2,
    p90Ms: at(Math.ceil((n * 9) / 10) - 1),
    minMs: at(0),
    maxMs: at(n - 1),
    totalMs: sum(values),
  };
};

/** One cell's time by phase; a phase that it went through twice counts once, with both times. */
const timesOf = ({ phases, durationMs }: CellSummary): ReadonlyMap<string, number> => {
  const times = new Map<string, number>();
  for (const { name, ms } of phases) times.set(name, (times.get(name) ?? 0) + ms);
  times.set(NO_PHASE, Math.max(0, durationMs - sum(phases.map(phase => phase.ms))));
  return times;
};

const placeOf = (name: string): number => {
  const place = PHASES.indexOf(name);
  return name === NO_PHASE ? PHASES.length + 1 : place < 0 ? PHASES.length : place;
};

/** A cell that was skipped took no time and has none to tell of. */
export const cellsThatRan = (run: Run): readonly CellSummary[] => run.cells.filter(cell => cell.durationMs > 0);

/** Where the time of these cells went, phases in the order of a cell's life. */
export const timingOf = (cells: readonly CellSummary[]): Timing => {
  const times = cells.map(timesOf);
  const whole = spreadOf(cells.map(cell => cell.durationMs));
  const phases = [...new Set(times.flatMap(cell => [...cell.keys()]))].map((name): PhaseTiming => {
    const spread = spreadOf(times.flatMap(cell => cell.get(name) ?? []));
    const typical = spreadOf(times.map(cell => cell.get(name) ?? 0));
    const share = whole.totalMs > 0 ? spread.totalMs / whole.totalMs : 0;
    return { name, ...spread, share, typicalMs: typical.medianMs };
  });
  return {
    whole,
    phases: phases
      .filter(phase => phase.name !== NO_PHASE || phase.share >= WORTH_A_LINE)
      .toSorted((a, b) => placeOf(a.name) - placeOf(b.name)),
  };
};

/** How fast a run got through its cells. */
export interface Pace {
  readonly cells: number;
  /** From the run's beginning to its end. */
  readonly wallMs: number;
  /** The durations of its cells, added up. */
  readonly cellMs: number;
  readonly cellsPerHour: number;
  /** How many cells ran at once, on average over the whole run. */
  readonly sideBySide: number;
}

const MS_PER_HOUR = 3_600_000;

export const paceOf = (run: Run): Pace => {
  const ran = cellsThatRan(run);
  const cellMs = sum(ran.map(cell => cell.durationMs));
  const per = (value: number): number => (run.durationMs > 0 ? value / run.durationMs : 0);
  return {
    cells: ran.length,
    wallMs: run.durationMs,
    cellMs,
    cellsPerHour: per(ran.length * MS_PER_HOUR),
    sideBySide: per(cellMs),
  };
};

export interface Labs {
  readonly restored: number;
  readonly cold: number;
}

/** How the labs of these cells came up; undefined where it was not recorded. */
export const labsOf = (cells: readonly CellSummary[]): Labs | undefined => {
  const hows = cells.flatMap(cell => cell.lab?.how ?? []);
  const count = (how: string): number => hows.filter(h => h === how).length;
  return hows.length === 0 ? undefined : { restored: count("restored"), cold: count("cold") };
};
