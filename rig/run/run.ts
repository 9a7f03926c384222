/**
 * A run: cells of scenarios, their kernels and seeds, with base and head of a seed next to each other so that the machine's
 * mood falls on both. As cells end run.json is written again: a run that is killed keeps what it has.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { monotonicMs, wallClock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import { run as runCommand } from "../core/exec.ts";
import { latest } from "../core/latest.ts";
import type { Log } from "../core/log.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import type { LabHost } from "../lab/host.ts";
import { writeHtmlReport } from "../report/html.ts";
import { makeRunDirectory } from "../results/directory.ts";
import { type CellSummary, RESULTS_VERSION, type Run, type Starved } from "../results/schema.ts";
import { writeJson } from "../results/write.ts";
import { runVerdict } from "../verdict/run-verdict.ts";
import { Admission } from "./admission.ts";
import { Bays } from "./bays.ts";
import { runCell } from "./cell.ts";
import { type CellOutcome, runCells } from "./cells.ts";
import { knownDurations, rememberDurations } from "./durations.ts";
import { machineFacts } from "./host.ts";
import { Labs } from "./labs.ts";
import { MachineLoad } from "./machine-load.ts";
import { CELL_TONES, callName, cellWords, openingWords, short, VERDICT_TONES } from "./run-words.ts";
import { orderCells } from "./schedule.ts";
import { comparisonOf, kernelsOf, type Plan, planOf, type Trial } from "./trial.ts";

export interface RunRequest {
  readonly id: string;
  readonly command: readonly string[];
  readonly host: LabHost;
  /** All with one kernel, or all with a base and a head. */
  readonly trials: readonly Trial[];
  readonly seeds: readonly number[];
  readonly out: string;
  readonly timeoutScale: number;
  readonly keepLab: boolean;
  readonly dumpMemory: boolean;
  /** How many labs run side by side. */
  readonly jobs: "auto" | number;
  /** Whether labs start from snapshots where that is possible. */
  readonly snapshots: boolean;
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

/** While cells end quickly, run.json is written no more often than this. */
const WRITE_MS = 500;

/** Runs all cells, writes the results and the report, and says the verdict. */
export const runAll = async (request: RunRequest): Promise<RunResult> => {
  const { host, log, signal, trials } = request;
  const started = monotonicMs();
  const startedAt = wallClock().toISOString();
  const directory = await makeRunDirectory(request.out, request.id);
  log.alsoTo(path.join(directory, "rig.log"));
  const [machine, tool] = await Promise.all([machineFacts(host), versionOfTool()]);
  const plan = planOf(trials, request.seeds);
  const nameOf = callName(trials);
  log.say(openingWords(request.id, trials, plan.length, machine.accelerator));
  const results = new Map<Plan, CellSummary>();
  const starved: Starved[] = [];
  let most = 0;
  const snapshot = (complete: boolean): Run => {
    // In the order of the plan, whatever the order in which they ended.
    const cells = plan.flatMap(item => results.get(item) ?? []);
    const comparison = trials.flatMap(trial => comparisonOf(trial, cells) ?? []);
    const { words, exitStatus } = runVerdict({ cells, comparison, complete });
    return {
      version: RESULTS_VERSION,
      id: request.id,
      tool,
      command: [...request.command],
      startedAt,
      durationMs: Math.round(monotonicMs() - started),
      machine,
      kernels: kernelsOf(trials).map(kernel => kernel.identity),
      scenarios: trials.map(({ scenario: { name, title, about, healthy } }) => ({ name, title, about, healthy })),
      cells,
      jobs: { asked: request.jobs, most },
      ...(starved.length === 0 ? {} : { starved: [...starved] }),
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
  const keep = latest(() => write(false), WRITE_MS);
  const bays = new Bays(
    {
      host,
      run: request.id,
      out: directory,
      timeoutScale: request.timeoutScale,
      signal,
      onCleanupFailure: what => log.say(`clean-up: ${what}`, "warn"),
    },
    log,
  );
  const labs = new Labs({ log, snapshots: request.snapshots });
  const phases = new Map<Plan, string>();
  const showStatus = () => {
    const now = [...phases].map(([item, phase]) => `${nameOf(item.scenario, item.kernel)} ${item.seed} ${phase}`);
    log.status(now.length === 0 ? "" : `${results.size}/${plan.length} done, ${now.length} running: ${now.join(", ")}`);
  };

  /** Of several scenarios each has its verdict as soon as its cells are over: the first ones come early. */
  const sayTrial = ({ what }: Plan) => {
    const trial = trials.find(({ scenario }) => scenario === what.scenario);
    const own = plan.filter(item => item.what.scenario === what.scenario);
    const cells = own.flatMap(item => results.get(item) ?? []);
    if (trial === undefined || trials.length < 2 || cells.length < own.length) return;
    const comparison = comparisonOf(trial, cells);
    if (comparison !== undefined)
      log.say(`${comparison.scenario}: ${comparison.verdict}`, VERDICT_TONES[comparison.verdict]);
  };

  /** Runs one cell in a bay, which is given back when the lab is gone from it. */
  const one = async (item: Plan, attempt: number, stop: AbortSignal): Promise<CellOutcome> => {
    phases.set(item, "waiting for a bay");
    try {
      const bay = await bays.take();
      let removal = Promise.resolve();
      try {
        return await runCell({
          ...item.what,
          run: request.id,
          bay,
          labs,
          seed: item.seed,
          attempt,
          out: directory,
          timeoutScale: request.timeoutScale,
          keepLab: request.keepLab && item === plan.at(-1),
          dumpMemory: request.dumpMemory,
          signal: stop,
          onRemoval: next => {
            removal = next;
          },
          onPhase: name => {
            phases.set(item, name);
            showStatus();
          },
          onNote: text => log.say(text, "warn"),
        });
      } finally {
        await removal;
        await bays.give(bay);
      }
    } finally {
      phases.delete(item);
      showStatus();
    }
  };

  try {
    await write(false);
    await runCells({
      cells: orderCells(plan, await knownDurations()),
      admission: new Admission({ mode: request.jobs, cores: machine.cpus, memoryMiB: machine.memoryMiB }),
      load: new MachineLoad(),
      directory,
      signal,
      run: one,
      onStart: running => {
        most = Math.max(most, running);
      },
      onEnd: (item, { cell }) => {
        results.set(item, cell);
        log.say(
          cellWords(cell, nameOf(cell.scenario, cell.kernel), results.size, plan.length),
          CELL_TONES[cell.status],
        );
        sayTrial(item);
        keep.soon();
      },
      onStarved: one => {
        starved.push(one);
        log.say(
          `      again ${one.scenario}  ${nameOf(one.scenario, one.kernel)}  seed ${one.seed}  ${short(one.reason)}`,
          "warn",
        );
      },
    });
    await keep.done();
  } catch (error) {
    log.status("");
    await keep.done().catch(() => undefined);
    const run = await write(false).catch(() => undefined);
    if (run !== undefined && results.size > 0) {
      const report = await writeHtmlReport(directory).catch(() => undefined);
      log.say(
        `Stopped after ${results.size} of ${plan.length} cells; their results are kept in ${directory}${report === undefined ? "" : ", the report too"}.`,
        "warn",
      );
    }
    throw error;
  } finally {
    log.status("");
    await bays[Symbol.asyncDispose]();
  }
  await rememberDurations([...results.values()]);
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
