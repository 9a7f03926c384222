/** Makes the machine and the kernels ready and runs the cells: what every command that runs scenarios does. */
import { reap } from "../lab/reaper.ts";
import { newRunId } from "../results/directory.ts";
import { prepareHost } from "../run/host.ts";
import { runAll } from "../run/run.ts";
import type { CommandContext } from "./context.ts";
import { type RunOptions, seedsOf } from "./options.ts";
import { resolveKernels } from "./resolve-kernels.ts";
import type { NamedTrial } from "./wanted-trials.ts";

export const runTrials = async (
  named: readonly NamedTrial[],
  options: RunOptions,
  { log, signal }: CommandContext,
): ReturnType<typeof runAll> => {
  const host = await prepareHost(log, signal);
  for (const gone of await reap(host.docker, { kept: false }))
    log.say(`Left over from a rig that was killed, removed: ${gone}`, "warn");
  const kernelOf = await resolveKernels(
    named.flatMap(({ kernels }) => kernels),
    log,
    signal,
  );
  return runAll({
    id: newRunId(),
    command: ["rig", ...process.argv.slice(2)],
    host,
    trials: named.map(({ scenario, kernels: [base, head] }) => ({
      scenario,
      kernels: head === undefined ? ([kernelOf(base)] as const) : ([kernelOf(base), kernelOf(head)] as const),
    })),
    seeds: seedsOf(options),
    out: options.out,
    timeoutScale: options.timeoutScale,
    keepLab: options.keepLab,
    dumpMemory: options.dumpMemory,
    jobs: options.jobs,
    snapshots: options.snapshots,
    log,
    signal,
  });
};
