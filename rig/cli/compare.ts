/** `rig compare`: scenarios on two kernels, and what differs. */
import { Command } from "commander";
import { execute } from "./execute.ts";
import { type RunOptions, withRunOptions } from "./options.ts";

export const compareCommand = (): Command =>
  withRunOptions(
    new Command("compare")
      .description("run scenarios on two kernels and compare them (all scenarios where none is named)")
      .argument("[scenario...]", "names as in: rig scenarios")
      .requiredOption("--base <name>", "the kernel to compare with")
      .requiredOption("--head <name>", "the kernel on trial"),
    { repeat: 5 },
  ).action(async (scenarios: string[], options: RunOptions & { base: string; head: string }) => {
    process.exitCode = await execute(scenarios, [options.base, options.head], options);
  });
