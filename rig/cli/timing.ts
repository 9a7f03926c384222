/** `rig timing`: where the time of a run's cells went. */
import { Command, Option } from "commander";
import { loadRun } from "../report/load.ts";
import { cellsThatRan, labsOf, paceOf, timingOf } from "../report/timing.ts";
import type { Run } from "../results/schema.ts";
import { type TimingGroup, timingText } from "./timing-text.ts";

type By = "kernel" | "scenario";

/** The width of a page for what is not a terminal: a file, another program. */
const PAGE_WIDTH = 80;

const groupsOf = (run: Run, by: By | undefined): readonly TimingGroup[] => {
  const cells = cellsThatRan(run);
  if (by === undefined) return cells.length === 0 ? [] : [{ timing: timingOf(cells) }];
  return [...Map.groupBy(cells, cell => cell[by])].map(([name, own]) => ({ name, timing: timingOf(own) }));
};

/** Millionths are noise of adding up. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === "number" ? Math.round(value * 1e6) / 1e6 : value;

const asJson = (run: Run, groups: readonly TimingGroup[]): string => {
  const value = {
    run: run.id,
    complete: run.complete,
    pace: paceOf(run),
    jobs: run.jobs,
    labs: labsOf(run.cells),
    starved: run.starved?.length,
    timings: groups.map(({ name, timing }) => ({ name, ...timing })),
  };
  return JSON.stringify(value, rounded, 2);
};

export const timingCommand = (): Command =>
  new Command("timing")
    .description("say where the time of a run's cells went, phase by phase")
    .argument("<dir>", "a run's directory: results/RUN")
    .addOption(new Option("--by <what>", "a table for each kernel or each scenario").choices(["kernel", "scenario"]))
    .option("--json", "print the figures as JSON", false)
    .action(async (dir: string, options: { by?: By; json: boolean }) => {
      const run = await loadRun(dir);
      const groups = groupsOf(run, options.by);
      // The type has it always; a pipe has none.
      const width = (process.stdout.columns as number | undefined) ?? PAGE_WIDTH;
      process.stdout.write(`${options.json ? asJson(run, groups) : timingText(run, groups, width)}\n`);
    });
