/**
 * Runs the cells of a run side by side, as many at once as the machine carries, and those again whose labs got too little
 * of it. It knows nothing of what a cell is but its name and how it ended.
 */
import { rename } from "node:fs/promises";
import path from "node:path";
import { monotonicMs } from "../core/clock.ts";
import type { CellSummary, Starved } from "../results/schema.ts";
import type { Admission } from "./admission.ts";
import type { MachineLoad } from "./machine-load.ts";
import { type CellName, MAX_ATTEMPTS, Schedule } from "./schedule.ts";

/** What is to be known of a cell that is over. */
export interface CellOutcome {
  readonly cell: CellSummary;
  /** Whether its lab got too little CPU for its verdict to count. */
  readonly starved: boolean;
  readonly worstWaitMs: number;
  readonly peakMiB: number | undefined;
}

export interface CellsRequest<T extends CellName> {
  /** In the order in which they are to run. */
  readonly cells: readonly T[];
  readonly admission: Admission;
  readonly load: Pick<MachineLoad, "sample">;
  /** The run's directory. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly run: (cell: T, attempt: number, signal: AbortSignal) => Promise<CellOutcome>;
  readonly onStart: (running: number) => void;
  readonly onEnd: (cell: T, outcome: CellOutcome, running: number) => void;
  readonly onStarved: (starved: Starved) => void;
}

/** The machine is asked how it is no more often than this. */
const SAMPLE_MS = 1000;

/** Runs all; rejects, once nothing runs any more, with the first error of any. */
export const runCells = async <T extends CellName>(request: CellsRequest<T>): Promise<void> => {
  const { admission } = request;
  const schedule = new Schedule(request.cells);
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  let failure: { error: unknown } | undefined;
  let sampled = Number.NEGATIVE_INFINITY;
  const sample = () => {
    if (monotonicMs() - sampled < SAMPLE_MS) return;
    sampled = monotonicMs();
    admission.machine({ ...request.load.sample(), running: schedule.running });
  };

  /** What a starved try left is kept, under a name that says so. */
  const setAside = async (cell: T, { cell: summary }: CellOutcome): Promise<void> => {
    const attempt = schedule.attempts(cell);
    const directory = `${summary.directory}-starved-${attempt}`;
    await rename(path.join(request.directory, summary.directory), path.join(request.directory, directory));
    const { scenario, kernel, seed } = cell;
    request.onStarved({ scenario, kernel, seed, attempt, reason: summary.reason ?? "", directory });
  };

  const one = async (cell: T): Promise<void> => {
    const outcome = await request.run(cell, schedule.attempts(cell), signal);
    admission.observe({ kind: "cell-ended", ...outcome });
    sample();
    if (outcome.starved && schedule.attempts(cell) < MAX_ATTEMPTS) {
      await setAside(cell, outcome);
      schedule.again(cell);
    } else {
      schedule.done(cell);
      request.onEnd(cell, outcome, schedule.running);
    }
  };

  const start = (cell: T): void => {
    const task: Promise<void> = one(cell)
      .catch((error: unknown) => {
        failure ??= { error };
        stop.abort(error);
      })
      .finally(() => running.delete(task));
    running.add(task);
    request.onStart(schedule.running);
  };

  sample();
  while (!signal.aborted) {
    const next = admission.mayStart(schedule.running) ? schedule.next() : "wait";
    if (next === undefined) break;
    if (next === "wait") await Promise.race(running);
    else start(next);
  }
  await Promise.all(running);
  request.signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
};
