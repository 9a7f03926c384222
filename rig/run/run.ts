/**
 * A run: cells of scenarios, kernels and seeds, one after another, with base and head of a seed next to each other so
 * that the machine's mood falls on both. After every cell run.json is written again: a run that is killed keeps what it has.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { monotonicMs, wallClock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import { run as runCommand } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LabHost } from "../lab/request.ts";
import { writeHtmlReport } from "../report/html.ts";
import { makeRunDirectory } from "../results/directory.ts";
import { type CellSummary, type Comparison, RESULTS_VERSION, type Run } from "../results/schema.ts";
import { writeJson } from "../results/write.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { compare, sideOf } from "../verdict/compare.ts";
import { runVerdict } from "../verdict/run-verdict.ts";
import { runCell } from "./cell.ts";
import { machineFacts } from "./host.ts";

export interface RunRequest {
  readonly id: string;
  readonly command: readonly string[];
  readonly host: LabHost;
  readonly scenarios: readonly Scenario[];
  /** One kernel to run, or base and head to compare. */
  readonly kernels: readonly [Kernel] | readonly [Kernel, Kernel];
  readonly seeds: readonly number[];
  readonly out: string;
  readonly timeoutScale: number;
  readonly keepLab: boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface RunResult {
  readonly run: Run;
  readonly directory: string;
  /** index.html, where it could be written. */
  readonly report: string | undefined;
}

const versionOfTool = async (): Promise<Run["tool"]> => {
  const { version } = JSON.parse(readFileSync(path.join(PROJECT_DIR, "package.json"), "utf8")) as { version: string };
  const tool = { name: "iscsi-rig" as const, version };
  const git = await runCommand(["git", "-C", PROJECT_DIR, "describe", "--always", "--dirty", "--abbrev=12"]).catch(
    () => undefined,
  );
  return git?.exitCode === 0 ? { ...tool, commit: git.stdout.trim() } : tool;
};

interface Plan {
  readonly scenario: Scenario;
  readonly kernel: Kernel;
  readonly seed: number;
}

/** Every cell, scenario by scenario, and within one seed by seed with all kernels. */
const planOf = ({ scenarios, kernels, seeds }: RunRequest): readonly Plan[] =>
  scenarios.flatMap(scenario => seeds.flatMap(seed => kernels.map(kernel => ({ scenario, kernel, seed }))));

const comparisonsOf = ({ scenarios, kernels }: RunRequest, cells: readonly CellSummary[]): Comparison[] => {
  const [base, head] = kernels;
  if (head === undefined) return [];
  const statuses = (scenario: string, kernel: string) =>
    cells.filter(cell => cell.scenario === scenario && cell.kernel === kernel).map(cell => cell.status);
  return scenarios.map(({ name }) =>
    compare(name, sideOf(base.name, statuses(name, base.name)), sideOf(head.name, statuses(name, head.name))),
  );
};

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** As much of a reason as fits beside the rest of a line; the whole of it is in the report. */
const short = (text: string): string => {
  const [line = ""] = text.split("\n");
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
};

const sayCell = (log: Log, cell: CellSummary, number: number, total: number): void => {
  const classes = [...new Set(cell.findings.map(finding => finding.class))].join(", ");
  const what = cell.status === "FAIL" ? `${classes}: ${cell.findings[0]?.title ?? ""}` : short(cell.reason ?? "");
  const tone = { FAIL: "bad", ERROR: "warn", MISS: "warn", PASS: "good", DONE: "plain", SKIP: "dim" } as const;
  log.say(
    `${String(number).padStart(String(total).length)}/${total}  ${cell.status.padEnd(5)} ${cell.scenario}  ${cell.kernel}  seed ${cell.seed}  ${seconds(cell.durationMs)}${what === "" ? "" : `  ${what}`}`,
    tone[cell.status],
  );
};

/** Runs all cells, writes the results and the report, and says the verdict. */
export const runAll = async (request: RunRequest): Promise<RunResult> => {
  const { host, log, signal, kernels, scenarios } = request;
  const started = monotonicMs();
  const startedAt = wallClock().toISOString();
  const directory = await makeRunDirectory(request.out, request.id);
  log.alsoTo(path.join(directory, "rig.log"));
  const [machine, tool] = await Promise.all([machineFacts(host), versionOfTool()]);
  const plan = planOf(request);
  log.say(
    `Run ${request.id}: ${plan.length} cells, ${kernels.map(kernel => `${kernel.name} (${kernel.identity.packageVersion ?? kernel.identity.release})`).join(" against ")}, ${machine.accelerator}.`,
  );
  const cells: CellSummary[] = [];
  // A cell's lab may still be going while the next one boots; nothing is left when the run is over, however it ends.
  let removal = Promise.resolve();
  const snapshot = (complete: boolean): Run => {
    const comparison = comparisonsOf(request, cells);
    const { words, exitStatus } = runVerdict({ cells, comparison, complete });
    return {
      version: RESULTS_VERSION,
      id: request.id,
      tool,
      command: [...request.command],
      startedAt,
      durationMs: Math.round(monotonicMs() - started),
      machine,
      kernels: kernels.map(kernel => kernel.identity),
      scenarios: scenarios.map(({ name, title, about, healthy }) => ({ name, title, about, healthy })),
      cells: [...cells],
      comparison,
      verdict: words,
      complete,
      exitStatus,
    };
  };
  const write = async (complete: boolean): Promise<Run> => {
    const run = snapshot(complete);
    await writeJson(path.join(directory, "run.json"), run);
    return run;
  };
  try {
    await write(false);
    for (const [index, { scenario, kernel, seed }] of plan.entries()) {
      signal.throwIfAborted();
      const where = `${index + 1}/${plan.length}  ${scenario.name}  ${kernel.name}  seed ${seed}`;
      const cell = await runCell({
        run: request.id,
        host,
        scenario,
        kernel,
        seed,
        out: directory,
        timeoutScale: request.timeoutScale,
        keepLab: request.keepLab && index === plan.length - 1,
        signal,
        onRemoval: next => {
          removal = Promise.all([removal, next]).then(() => undefined);
        },
        onPhase: name => log.status(`${where}: ${name}`),
        onNote: text => log.say(text, "warn"),
      });
      cells.push(cell);
      log.status("");
      sayCell(log, cell, index + 1, plan.length);
      await write(false);
    }
  } catch (error) {
    log.status("");
    const run = await write(false).catch(() => undefined);
    if (run !== undefined && cells.length > 0) {
      const report = await writeHtmlReport(directory).catch(() => undefined);
      log.say(
        `Stopped after ${cells.length} of ${plan.length} cells; their results are kept in ${directory}${report === undefined ? "" : ", the report too"}.`,
        "warn",
      );
    }
    throw error;
  } finally {
    await removal;
  }
  const run = await write(true);
  let report: string | undefined;
  try {
    report = (await writeHtmlReport(directory)).file;
  } catch (error) {
    log.say(
      `The report could not be written: ${messageOf(error)} The results are in ${directory}; try: rig report ${directory}`,
      "warn",
    );
  }
  return { run, directory, report };
};
