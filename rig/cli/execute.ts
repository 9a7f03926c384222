/** What `run` and `compare` have in common: check the input, make ready, run the cells, tell the verdict. */
import pc from "picocolors";
import { RigError } from "../core/errors.ts";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { type Kernel, resolveKernel } from "../kernel/kernel.ts";
import { reap } from "../lab/reaper.ts";
import { newRunId } from "../results/directory.ts";
import type { Run } from "../results/schema.ts";
import { prepareHost } from "../run/host.ts";
import { runAll } from "../run/run.ts";
import { loadScenarios } from "../scenario/load.ts";
import { commandContext } from "./context.ts";
import { type RunOptions, seedsOf } from "./options.ts";

const MARKS: Record<Run["comparison"][number]["verdict"], (text: string) => string> = {
  fixed: pc.green,
  regressed: text => pc.bold(pc.red(text)),
  "both-fail": pc.red,
  "no-difference": text => text,
  inconclusive: pc.yellow,
};

/** The last lines of a run, for people. */
const tellVerdict = (run: Run, report: string | undefined, directory: string): void => {
  const lines = [""];
  for (const { scenario, verdict, words } of run.comparison)
    lines.push(`${scenario}: ${MARKS[verdict](verdict)}`, `  ${words}`);
  lines.push("", pc.bold(run.verdict), `Report:  ${report ?? "none"}`, `Results: ${directory}`);
  process.stdout.write(`${lines.join("\n")}\n`);
};

/** Runs scenarios on one kernel, or on base and head; returns the exit status. */
export const execute = async (
  scenarioNames: readonly string[],
  kernelNames: readonly [string] | readonly [string, string],
  options: RunOptions,
): Promise<number> => {
  using context = commandContext();
  const { log, signal } = context;
  if (new Set(kernelNames).size !== kernelNames.length) {
    throw new RigError(
      "RIG_USAGE",
      `Base and head are both ${kernelNames[0]}; a comparison needs two kernels. For one kernel: rig run --kernel ${kernelNames[0]}`,
      { blame: "usage" },
    );
  }
  // Names are checked before anything is fetched or built: a typo should cost a second.
  const [scenarios, catalogue] = await Promise.all([loadScenarios(scenarioNames), loadCatalogue()]);
  const entries = kernelNames.map(name => findKernel(catalogue, name));
  const host = await prepareHost(log, signal);
  for (const gone of await reap(host.docker, { kept: false }))
    log.say(`Left over from a rig that was killed, removed: ${gone}`, "warn");
  const kernels: Kernel[] = [];
  for (const entry of entries) kernels.push(await resolveKernel(entry, log, { signal }));
  const result = await runAll({
    id: newRunId(),
    command: ["rig", ...process.argv.slice(2)],
    host,
    scenarios,
    kernels: kernels as [Kernel] | [Kernel, Kernel],
    seeds: seedsOf(options),
    out: options.out,
    timeoutScale: options.timeoutScale,
    keepLab: options.keepLab,
    jobs: options.jobs,
    snapshots: options.snapshots,
    log,
    signal,
  });
  if (options.json) process.stdout.write(`${JSON.stringify(result.run, null, 2)}\n`);
  else tellVerdict(result.run, result.report, result.directory);
  return result.run.exitStatus;
};
