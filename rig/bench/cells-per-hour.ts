/**
 * How many cells an hour holds: a comparison of two kernels with as many labs side by side as the machine carries, all from
 * snapshots, against one booted lab after another. Speed is worth nothing if it changes the verdicts, so both ways' are told.
 */
import path from "node:path";
import { monotonicMs } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { newRunId } from "../results/directory.ts";
import type { Comparison, Run } from "../results/schema.ts";
import { type RunRequest, runAll } from "../run/run.ts";
import { fisherExact } from "../verdict/fisher.ts";
import { prepareSnapshot, type Stand } from "./stand.ts";

export interface Throughput {
  readonly cellsPerHour: number;
  readonly run: Run;
}

const HOUR_MS = 3_600_000;

const pWords = (p: number): string => (p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);

const sideWords = ({ kernel, fail, pass, other }: Comparison["base"]): string =>
  `${kernel} failed ${fail} of ${fail + pass}${other === 0 ? "" : ` (${other} more not judged)`}`;

const wayWords = (way: string, { base, head, p }: Comparison): string =>
  `${way}: ${sideWords(base)}, ${sideWords(head)}; between the kernels ${pWords(p)}.`;

/** The verdicts of both ways, and whether each kernel fails as often in one as in the other. */
export const verdictWords = (fast: Comparison, slow: Comparison): readonly string[] => [
  wayWords("Side by side, from snapshots", fast),
  wayWords("One by one, booted", slow),
  ...(["base", "head"] as const).map(side => {
    const [one, other] = [fast[side], slow[side]];
    return `${one.kernel}, between the two ways: ${pWords(fisherExact(one.fail, one.pass, other.fail, other.pass))}.`;
  }),
];

/** The wall clock's time for all of it, from the first container to the report. */
const measure = async (
  stand: Stand,
  seeds: number,
  how: Pick<RunRequest, "jobs" | "snapshots">,
): Promise<Throughput> => {
  // The runs' own log files are thrown away with their results.
  const log: Log = { ...stand.log, alsoTo: () => undefined };
  const kernels = [await stand.base(), stand.head] as const;
  const started = monotonicMs();
  const { run } = await runAll({
    id: newRunId(),
    command: ["bench", "cells-per-hour"],
    host: stand.host,
    trials: [{ scenario: stand.scenario, kernels }],
    seeds: Array.from({ length: seeds }, (_, i) => i + 1),
    out: path.join(stand.out, "runs"),
    timeoutScale: 1,
    keepLab: false,
    dumpMemory: false,
    ...how,
    log,
    signal: stand.signal,
  });
  const ms = monotonicMs() - started;
  // A cell that could not be judged is no work done.
  const judged = run.cells.filter(({ status }) => status === "PASS" || status === "FAIL").length;
  return { cellsPerHour: (judged / ms) * HOUR_MS, run };
};

export const measureThroughput = async (
  stand: Stand,
  seeds: { readonly fast: number; readonly slow: number },
): Promise<{ fast: Throughput; slow: Throughput }> => {
  for (const kernel of [await stand.base(), stand.head]) await prepareSnapshot(stand, kernel);
  return {
    fast: await measure(stand, seeds.fast, { jobs: "auto", snapshots: true }),
    slow: await measure(stand, seeds.slow, { jobs: 1, snapshots: false }),
  };
};
