/** `rig kernels audit`: which of the known fixes a kernel has, and how that is known. */
import { Command, Option } from "commander";
import { type Answer, auditNothing, auditSource } from "../kernel/audit.ts";
import { type AuditCell, cannotShow, judgeCells, withCells } from "../kernel/audit-cells.ts";
import { auditSourceOf } from "../kernel/audit-source.ts";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { type Fixes, loadFixes, type ShownBy } from "../kernel/fixes.ts";
import type { KernelSpec } from "../kernel/spec.ts";
import { loadScenarios, scenarioNames } from "../scenario/load.ts";
import { auditStatus, auditWords } from "./audit-words.ts";
import { type CommandContext, commandContext } from "./context.ts";
import { type RunOptions, withRunOptions } from "./options.ts";
import { runTrials } from "./run-trials.ts";

interface AuditOptions extends RunOptions {
  readonly run: boolean;
  readonly evidence: boolean;
  readonly failOn: "absent" | "unknown" | undefined;
}

/** Runs the scenarios that can tell something of this kernel, and judges each fix by its own. */
const fromScenarios = async (
  spec: KernelSpec,
  { fixes }: Fixes,
  answers: readonly Answer[],
  options: AuditOptions,
  context: CommandContext,
): Promise<{ answers: readonly Answer[]; directory: string | undefined }> => {
  const known = await scenarioNames();
  const shows = fixes
    .flatMap(fix => [fix, ...fix.parts])
    .flatMap(({ shownBy }) => (shownBy === undefined ? [] : [shownBy]));
  const names = new Set(
    shows.filter(one => cannotShow(one, spec.suffixes, known) === undefined).map(({ scenario }) => scenario),
  );
  let cells: readonly (AuditCell & { readonly scenario: string })[] = [];
  let directory: string | undefined;
  if (names.size > 0) {
    const scenarios = await loadScenarios([...names]);
    const trials = scenarios.map(scenario => ({ scenario, kernels: [spec] as const }));
    const result = await runTrials(trials, options, context);
    cells = result.run.cells;
    directory = result.directory;
  }
  const judge = (shownBy: ShownBy) => {
    const why = cannotShow(shownBy, spec.suffixes, known);
    if (why !== undefined) return { verdict: "unknown" as const, why };
    return judgeCells(
      shownBy,
      cells.filter(({ scenario }) => scenario === shownBy.scenario),
    );
  };
  return { answers: withCells(answers, fixes, judge), directory };
};

const audit = async (name: string, options: AuditOptions): Promise<void> => {
  using context = commandContext();
  const { log, signal } = context;
  const [catalogue, fixes] = await Promise.all([loadCatalogue(), loadFixes()]);
  const spec = findKernel(catalogue, name);
  const source = await auditSourceOf(spec, { files: Object.values(fixes.files), catalogue, log, signal });
  const read = "why" in source ? auditNothing(fixes, source.why) : auditSource(fixes, source.sources);
  const { answers, directory } = options.run
    ? await fromScenarios(spec, fixes, read, options, context)
    : { answers: read, directory: undefined };
  process.exitCode = auditStatus(answers, options.failOn);
  if (options.json) {
    const facts = "why" in source ? { noSource: source.why } : { source: source.title };
    const results = directory === undefined ? {} : { results: directory };
    process.stdout.write(`${JSON.stringify({ kernel: spec.name, ...facts, ...results, fixes: answers }, null, 2)}\n`);
    return;
  }
  const words = auditWords({ kernel: spec.name, source, answers, directory, ...options }, process.stdout.columns);
  process.stdout.write(`${words.join("\n")}\n`);
};

export const auditCommand = (): Command => {
  const command = new Command("audit")
    .description("tell which of the known fixes a kernel has, and how that is known")
    .argument("<name>", "a kernel as in: rig kernels")
    .option("--run", "also run the scenarios that show a fix, for what its source does not tell", false)
    .option("--evidence", "show the places in the source that decide for every fix", false)
    .addOption(
      new Option(
        "--fail-on <verdict>",
        "exit status 1 if a fix is absent; with unknown also if that is not known",
      ).choices(["absent", "unknown"]),
    );
  // The parent has --json too, and takes it wherever it stands.
  return withRunOptions(command, { repeat: 3, json: "as JSON" }).action(
    async (name: string, _options: unknown, self: Command) => {
      await audit(name, self.optsWithGlobals<AuditOptions>());
    },
  );
};
