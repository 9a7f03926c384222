/** `rig compare`: scenarios on two kernels, and what differs. */
import { Command } from "commander";
import { loadScenarios } from "../scenario/load.ts";
import { execute } from "./execute.ts";
import { type RunOptions, withRunOptions } from "./options.ts";
import { comparisonTrials, type NamedSides } from "./wanted-trials.ts";

const HELP = `
A kernel that is not named is taken from each scenario's reference: two kernels
that differ in what it is about (rig scenarios --json lists them).

  rig compare                    every scenario with a reference, on its own two
  rig compare --head MINE        does MINE fail as the references' bases do?
  rig compare --base A --head B  every scenario on A and on B`;

export const compareCommand = (): Command =>
  withRunOptions(
    new Command("compare")
      .description("run scenarios on two kernels and compare them (all scenarios where none is named)")
      .argument("[scenario...]", "names as in: rig scenarios")
      .option("--base <name>", "the kernel to compare with, instead of each scenario's own")
      .option("--head <name>", "the kernel on trial, instead of each scenario's own")
      .addHelpText("after", HELP),
    { repeat: 5 },
  ).action(async (names: string[], options: RunOptions & NamedSides) => {
    const chosen = names.length > 0;
    process.exitCode = await execute(comparisonTrials(await loadScenarios(names), options, chosen), options, chosen);
  });
