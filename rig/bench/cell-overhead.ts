/** What a cell costs beside its scenario and its judging: the lab brought up, opened, taken down and removed, and the files written. */
import { monotonicMs } from "../core/clock.ts";
import { runCell } from "../run/cell.ts";
import { BENCH_RUN, type Stand } from "./stand.ts";

/** The parts of a cell that are its purpose. */
const PURPOSE: readonly string[] = ["timeline", "judge"];

/** Milliseconds of one cell, until its bay can be used again, without those of its purpose. */
export const timeOverhead = async (stand: Stand, seed: number): Promise<number> => {
  const started = monotonicMs();
  const bay = await stand.bays.take();
  let removal = Promise.resolve();
  const { cell } = await runCell({
    run: BENCH_RUN,
    bay,
    labs: stand.labs,
    scenario: stand.scenario,
    kernel: stand.head,
    seed,
    attempt: 1,
    out: stand.out,
    timeoutScale: 1,
    keepLab: false,
    dumpMemory: false,
    signal: stand.signal,
    onRemoval: next => {
      removal = next;
    },
    onPhase: () => undefined,
    onNote: text => stand.log.say(text, "warn"),
  }).finally(async () => {
    await removal;
    await stand.bays.give(bay);
  });
  const ms = monotonicMs() - started;
  if (cell.status !== "PASS" && cell.status !== "FAIL")
    stand.log.say(`cell-overhead: the cell of seed ${seed} is ${cell.status}: ${cell.reason ?? ""}`, "warn");
  const parts = cell.phases.map(phase => `${phase.name} ${Math.round(phase.ms)}`).join(", ");
  stand.log.say(`cell-overhead: ${Math.round(ms)} ms in all, of them ${parts}`, "dim");
  const purpose = cell.phases.filter(phase => PURPOSE.includes(phase.name));
  return ms - purpose.reduce((sum, phase) => sum + phase.ms, 0);
};
