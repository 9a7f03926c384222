/** `rig compare`: scenarios on two kernels, and what differs. */
import { Command } from "commander";
import { execute } from "./execute.ts";
import {
  jsonOption,
  keepLabOption,
  outOption,
  type RunOptions,
  repeatOption,
  seedOption,
  timeoutScaleOption,
} from "./options.ts";

export const compareCommand = (): Command =>
  new Command("compare")
    .description("run scenarios on two kernels and compare them (all scenarios where none is named)")
    .argument("[scenario...]", "names as in: rig scenarios")
    .requiredOption("--base <name>", "the kernel to compare with")
    .requiredOption("--head <name>", "the kernel on trial")
    .addOption(repeatOption(5))
    .addOption(seedOption())
    .addOption(outOption())
    .addOption(jsonOption())
    .addOption(keepLabOption())
    .addOption(timeoutScaleOption())
    .action(async (scenarios: string[], options: RunOptions & { base: string; head: string }) => {
      process.exitCode = await execute(scenarios, [options.base, options.head], options);
    });
