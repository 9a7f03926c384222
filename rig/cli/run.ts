/** `rig run`: scenarios on one kernel. */
import { Command } from "commander";
import { loadScenarios } from "../scenario/load.ts";
import { execute } from "./execute.ts";
import { type RunOptions, withRunOptions } from "./options.ts";
import { trialsOn } from "./wanted-trials.ts";

export const runCommand = (): Command =>
  withRunOptions(
    new Command("run")
      .description("run scenarios on one kernel (all of them where none is named)")
      .argument("[scenario...]", "names as in: rig scenarios")
      .requiredOption("--kernel <name>", "a kernel as in: rig kernels"),
    { repeat: 1 },
  ).action(async (scenarios: string[], options: RunOptions & { kernel: string }) => {
    const trials = trialsOn(await loadScenarios(scenarios), options.kernel);
    process.exitCode = await execute(trials, options, scenarios.length > 0);
  });
