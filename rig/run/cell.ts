/**
 * One cell: a scenario on a kernel with a seed, from an empty machine to a status. Whatever happens on the way, all faults
 * are healed, what there is to see is collected, the lab is removed, and the history is judged.
 */
import { mkdir, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { sha256File } from "../core/cache.ts";
import { deadline, monotonicMs, wallClock } from "../core/clock.ts";
import { asRigError, type RigError } from "../core/errors.ts";
import { PATH_NAMES, READ_BACK_PHASE } from "../core/names.ts";
import { Scope } from "../core/scope.ts";
import { readHistory } from "../history/reader.ts";
import { type HistoryWriter, openHistory } from "../history/writer.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { bootLab, type Lab } from "../lab/lab.ts";
import type { LabHost } from "../lab/request.ts";
import { type Cell, type CellSummary, RESULTS_VERSION } from "../results/schema.ts";
import { writeJson } from "../results/write.ts";
import { prepareBench, type ReadyBench } from "../scenario/bench.ts";
import { isQuiet, READ_BACK_MS, recover, timelineContext } from "../scenario/controls.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { judgeCell } from "./judge-cell.ts";
import { Phases } from "./phases.ts";

export interface CellRequest {
  readonly run: string;
  readonly host: LabHost;
  readonly scenario: Scenario;
  readonly kernel: Kernel;
  readonly seed: number;
  /** The run's directory. */
  readonly out: string;
  readonly timeoutScale: number;
  /** Leave the lab running after the cell. */
  readonly keepLab: boolean;
  readonly signal: AbortSignal;
  /** Handed the removal of the lab, which goes on after the cell is judged. It never rejects; the run waits for it. */
  readonly onRemoval: (removal: Promise<void>) => void;
  readonly onPhase: (name: string) => void;
  /** Told of what is worth a line in the log: a lab that was kept, clean-up that failed. */
  readonly onNote: (text: string) => void;
}

/** A cell's directory, relative to the run's. */
export const cellDirectory = (scenario: string, kernel: string, seed: number): string =>
  path.join("cells", scenario, kernel, String(seed));

/** A whole cell, the lab included, takes no longer than this. */
const CELL_MS = 300_000;

/** What a cell has to show when it is over; filled as it goes. */
interface Trail {
  bench: ReadyBench | undefined;
  version: string | undefined;
  /** The first thing that went wrong. */
  error: RigError | undefined;
}

const attempt = async (trail: Trail, signal: AbortSignal, work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (error) {
    // What a signal's reason says is nearer to the cause than the step that it interrupted.
    trail.error ??= asRigError(signal.aborted ? signal.reason : error);
  }
};

/** Until the lab is as it was before the first fault: sessions, paths, and nothing under way that was sent earlier. */
const settle = async (bench: ReadyBench): Promise<void> => {
  await recover(bench);
  for (const name of PATH_NAMES) {
    await bench.watch.until(
      state => isQuiet(state, name),
      `path ${name} to be quiet once everything was healed`,
      60_000 * bench.scale,
      bench.signal,
    );
  }
};

/** From a booted lab to the last read. */
const work = async (
  request: CellRequest,
  lab: Lab,
  history: HistoryWriter,
  phases: Phases,
  scope: Scope,
  trail: Trail,
  signal: AbortSignal,
): Promise<void> => {
  const { scenario, seed, kernel, run } = request;
  const scale = request.timeoutScale;
  const bench = await phases.run("set-up", () =>
    prepareBench({
      lab,
      scenario,
      seed,
      sink: history,
      identity: `${run}/${scenario.name}/${kernel.name}/${seed}`,
      scale,
      signal,
      scope,
    }),
  );
  trail.bench = bench;
  await attempt(trail, signal, () => phases.run("timeline", () => scenario.timeline(timelineContext(bench))));
  if (trail.error !== undefined)
    history.record({ kind: "note", text: `The timeline ended early: ${trail.error.message}` });
  await attempt(trail, signal, () => phases.run("heal", () => bench.desk.healAll()));
  // A timeline that has read everything back itself has nothing left to prove: no need to wait for its sessions.
  if (bench.ledger.isReadBack) return;
  // With a lost node there is nobody to settle or to read from; the disk image is still there.
  if (!lab.nodeLost.aborted) await attempt(trail, signal, () => phases.run("settle", () => settle(bench)));
  await attempt(trail, signal, () =>
    phases.run(READ_BACK_PHASE, () => bench.ledger.readBack(READ_BACK_MS * request.timeoutScale)),
  );
};

const runLab = async (
  request: CellRequest,
  dir: string,
  history: HistoryWriter,
  phases: Phases,
  trail: Trail,
): Promise<void> => {
  const { kernel, scenario, host } = request;
  using limit = deadline(
    CELL_MS * request.timeoutScale,
    `${scenario.name} on ${kernel.name} to be over`,
    request.signal,
  );
  const lab = await phases.run("boot", () =>
    bootLab({
      host,
      run: request.run,
      kernel,
      backingMiB: scenario.lab.lunMiB,
      sink: history,
      artefacts: dir,
      timeoutScale: request.timeoutScale,
      signal: limit,
      onCleanupFailure: what => request.onNote(`clean-up: ${what}`),
    }),
  );
  trail.version = lab.nodes.initiator.version;
  const signal = AbortSignal.any([limit, lab.nodeLost]);
  const scope = new Scope(failure =>
    history.record({ kind: "note", text: `clean-up of ${failure.what}: ${failure.message}` }),
  );
  try {
    await attempt(trail, signal, () => work(request, lab, history, phases, scope, trail, signal));
  } finally {
    await phases.run("collect", async () => {
      await scope.close();
      if (request.keepLab && !request.signal.aborted) {
        await lab.keep();
        request.onNote(
          `The lab ${lab.id} is kept. Enter it with: rig shell --lab ${lab.id} initiator   Remove it with: rig reap`,
        );
      } else {
        await lab.collect();
        request.onRemoval(Promise.resolve(lab[Symbol.asyncDispose]()));
      }
    });
  }
};

/** Everything in a cell's directory but cell.json itself. */
const listFiles = async (dir: string): Promise<Cell["files"]> => {
  const names = (await readdir(dir)).filter(name => name !== "cell.json").toSorted();
  return Promise.all(
    names.map(async name => ({
      name,
      bytes: (await stat(path.join(dir, name))).size,
      sha256: await sha256File(path.join(dir, name)),
    })),
  );
};

/** Runs one cell and stores what it found. Rejects only when the run is interrupted or its results cannot be written. */
export const runCell = async (request: CellRequest): Promise<CellSummary> => {
  const { scenario, kernel, seed, run } = request;
  const directory = cellDirectory(scenario.name, kernel.name, seed);
  const dir = path.join(request.out, directory);
  await mkdir(dir, { recursive: true });
  const started = monotonicMs();
  const startedAt = wallClock().toISOString();
  const history = await openHistory(path.join(dir, "history.ndjson"), {
    run,
    scenario: scenario.name,
    kernel: kernel.name,
    seed,
  });
  const phases = new Phases(history, request.onPhase);
  const trail: Trail = { bench: undefined, version: undefined, error: undefined };
  try {
    await runLab(request, dir, history, phases, trail);
  } catch (error) {
    trail.error ??= asRigError(error);
  } finally {
    await history.close();
  }
  request.signal.throwIfAborted();
  request.onPhase("judging");
  const judging = monotonicMs();
  const verdict = judgeCell(await readHistory(history.file), { error: trail.error });
  phases.list.push({ name: "judge", ms: Math.round((monotonicMs() - judging) * 10) / 10 });
  const { invoked, ok, failed } = trail.bench?.ledger.counts ?? { invoked: 0, ok: 0, failed: 0 };
  const durationMs = Math.round(monotonicMs() - started);
  const cell: Cell = {
    version: RESULTS_VERSION,
    run,
    scenario: scenario.name,
    title: scenario.title,
    about: scenario.about,
    kernel: { ...kernel.identity, ...(trail.version === undefined ? {} : { version: trail.version }) },
    seed,
    status: verdict.status,
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    findings: [...verdict.findings],
    phases: phases.list,
    startedAt,
    durationMs,
    sessions: (trail.bench?.sessions ?? []).map(session => ({ path: session.path, values: { ...session.values } })),
    faults: (trail.bench?.desk.evidence ?? []).map(evidence => ({ ...evidence, counters: { ...evidence.counters } })),
    operations: { invoked, ok, failed, unanswered: invoked - ok - failed },
    reproduce: `npx rig run ${scenario.name} --kernel ${kernel.name} --seed ${seed}`,
    files: await listFiles(dir),
  };
  await writeJson(path.join(dir, "cell.json"), cell);
  return summaryOf(cell, directory);
};

/** What a run keeps of a cell. */
export const summaryOf = (cell: Cell, directory: string): CellSummary => ({
  scenario: cell.scenario,
  kernel: cell.kernel.name,
  seed: cell.seed,
  status: cell.status,
  ...(cell.reason === undefined ? {} : { reason: cell.reason }),
  findings: cell.findings.map(finding => ({ oracle: finding.oracle, class: finding.class, title: finding.title })),
  phases: cell.phases,
  durationMs: cell.durationMs,
  directory,
});
