/** What `run` and `compare` have in common: check the input, make ready, run the cells, tell the verdict. */
import pc from "picocolors";
import { RigError } from "../core/errors.ts";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import type { Run } from "../results/schema.ts";
import { commandContext } from "./context.ts";
import type { RunOptions } from "./options.ts";
import { runTrials } from "./run-trials.ts";
import { wrapped } from "./table.ts";
import { fitting, type NamedTrial, type WantedTrial } from "./wanted-trials.ts";

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
    lines.push(`${scenario}: ${MARKS[verdict](verdict)}`, ...wrapped(words, process.stdout.columns, "  "));
  lines.push("", pc.bold(run.verdict), `Report:  ${report ?? "none"}`, `Results: ${directory}`);
  process.stdout.write(`${lines.join("\n")}\n`);
};

/**
 * Runs scenarios, each on its own kernel or its own base and head; returns the exit status. Where they were not named but are
 * all there are (`chosen` false), those that cannot run on their kernels are left out.
 */
export const execute = async (
  wanted: readonly WantedTrial[],
  options: RunOptions,
  chosen: boolean,
): Promise<number> => {
  using context = commandContext();
  const { log } = context;
  // Names are checked before anything is fetched or built: a typo should cost a second.
  const catalogue = await loadCatalogue();
  const named = wanted.map(({ scenario, kernels: [base, head] }): NamedTrial => {
    const one = findKernel(catalogue, base);
    if (head === undefined) return { scenario, kernels: [one] as const };
    const other = findKernel(catalogue, head);
    if (one.name === other.name) {
      throw new RigError(
        "RIG_USAGE",
        `Base and head of ${scenario.name} are both ${one.name}; a comparison needs two kernels. For one kernel: rig run ${scenario.name} --kernel ${base}`,
        { blame: "usage" },
      );
    }
    return { scenario, kernels: [one, other] as const };
  });
  const { trials: specs, leftOut } = chosen ? { trials: named, leftOut: [] } : fitting(named);
  for (const words of leftOut) log.say(words, "warn");
  if (specs.length === 0)
    throw new RigError(
      "RIG_USAGE",
      "None of the scenarios can run on these kernels. Name one that can: rig scenarios",
      { blame: "usage" },
    );
  const result = await runTrials(specs, options, context);
  if (options.json) process.stdout.write(`${JSON.stringify(result.run, null, 2)}\n`);
  else tellVerdict(result.run, result.report, result.directory);
  return result.run.exitStatus;
};
