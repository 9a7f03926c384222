/** `rig run`: scenarios on one kernel. */
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

export const runCommand = (): Command =>
  new Command("run")
    .description("run scenarios on one kernel (all of them where none is named)")
    .argument("[scenario...]", "names as in: rig scenarios")
    .requiredOption("--kernel <name>", "a kernel as in: rig kernels")
    .addOption(repeatOption(1))
    .addOption(seedOption())
    .addOption(outOption())
    .addOption(jsonOption())
    .addOption(keepLabOption())
    .addOption(timeoutScaleOption())
    .action(async (scenarios: string[], options: RunOptions & { kernel: string }) => {
      process.exitCode = await execute(scenarios, [options.kernel], options);
    });
