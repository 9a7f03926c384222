/**
 * One cell: a scenario on a kernel with a seed, from an empty machine to a status. Whatever happens on the way, all faults
 * are healed, what there is to see is collected, the lab is removed, and the history is judged.
 */
import { mkdir, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { shellQuote } from "../core/argv.ts";
import { sha256File } from "../core/cache.ts";
import { deadline, monotonicMs, wallClock } from "../core/clock.ts";
import { asRigError, type RigError } from "../core/errors.ts";
import { READ_BACK_PHASE } from "../core/names.ts";
import { Scope } from "../core/scope.ts";
import { readHistory } from "../history/reader.ts";
import { type HistoryWriter, openHistory } from "../history/writer.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Bay } from "../lab/bay.ts";
import { type Cell, type CellSummary, RESULTS_VERSION } from "../results/schema.ts";
import { writeJson } from "../results/write.ts";
import { openBench } from "../scenario/bench.ts";
import { type Bench, READ_BACK_MS, settle, timelineContext } from "../scenario/controls.ts";
import type { Scenario } from "../scenario/scenario.ts";
import type { CellOutcome } from "./cells.ts";
import { judgeCell } from "./judge-cell.ts";
import type { Labs, ReadyLab } from "./labs.ts";
import { Phases } from "./phases.ts";

export interface CellRequest {
  readonly run: string;
  readonly bay: Bay;
  readonly labs: Labs;
  readonly scenario: Scenario;
  readonly kernel: Kernel;
  readonly seed: number;
  /** 1 for the first try. */
  readonly attempt: number;
  /** The run's directory. */
  readonly out: string;
  readonly timeoutScale: number;
  /** Leave the lab running after the cell. */
  readonly keepLab: boolean;
  readonly signal: AbortSignal;
  /** Handed the removal of the lab, which goes on after the cell is judged; until it is over the bay is in use. It never rejects. */
  readonly onRemoval: (removal: Promise<void>) => void;
  readonly onPhase: (name: string) => void;
  /** Told of what is worth a line in the log: a lab that was kept, clean-up that failed. */
  readonly onNote: (text: string) => void;
}

/** A cell's directory, relative to the run's. */
export const cellDirectory = (scenario: string, kernel: string, seed: number): string =>
  path.join("cells", scenario, kernel, String(seed));

/** From a lab that is ready to the end, a cell takes no longer than this. */
const CELL_MS = 300_000;
/** All of it, the boots of other labs that it waits for included; the lab goes by this one. */
const WHOLE_MS = 1_200_000;

/** What a cell has to show when it is over; filled as it goes. */
interface Trail {
  bench: Bench | undefined;
  ready: ReadyLab | undefined;
  /** Memory that the lab had to itself at its end. */
  memoryMiB: number | undefined;
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

/** From a lab that is ready to the last read. */
const work = async (
  request: CellRequest,
  { lab, configured, started }: ReadyLab,
  history: HistoryWriter,
  phases: Phases,
  scope: Scope,
  trail: Trail,
  signal: AbortSignal,
): Promise<void> => {
  const { scenario, seed, kernel, run } = request;
  const scale = request.timeoutScale;
  const bench = await phases
    .run("open", () =>
      openBench({
        lab,
        configured,
        scenario,
        seed,
        sink: history,
        identity: `${run}/${scenario.name}/${kernel.name}/${seed}`,
        scale,
        signal,
        scope,
      }),
    )
    .finally(started);
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
  const { kernel, scenario, bay } = request;
  using whole = deadline(
    WHOLE_MS * request.timeoutScale,
    `${scenario.name} on ${kernel.name} to have had its lab, and to be over`,
    request.signal,
  );
  const ready = await request.labs.ready({
    bay,
    kernel,
    scenario,
    backingMiB: scenario.lab.lunMiB,
    sink: history,
    artefacts: dir,
    survives: request.keepLab,
    timeoutScale: request.timeoutScale,
    signal: whole,
    phase: (name, work) => phases.run(name, work),
    onCleanupFailure: what => request.onNote(`clean-up: ${what}`),
  });
  trail.ready = ready;
  using limit = deadline(CELL_MS * request.timeoutScale, `${scenario.name} on ${kernel.name} to be over`, whole);
  const { lab } = ready;
  const signal = AbortSignal.any([limit, lab.nodeLost]);
  const scope = new Scope(failure =>
    history.record({ kind: "note", text: `clean-up of ${failure.what}: ${failure.message}` }),
  );
  try {
    await attempt(trail, signal, () => work(request, ready, history, phases, scope, trail, signal));
  } finally {
    await phases.run("collect", async () => {
      await scope.close();
      trail.memoryMiB = await lab.memoryMiB().catch(() => undefined);
      if (request.keepLab && !request.signal.aborted) {
        await lab.keep();
        ready.lease.release();
        request.onNote(
          `The lab ${bay.id} is kept. Enter it with: rig shell --lab ${bay.id} initiator   Remove it with: rig reap`,
        );
      } else {
        await lab.collect();
        request.onRemoval(Promise.resolve(lab[Symbol.asyncDispose]()).finally(() => ready.lease.release()));
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
export const runCell = async (request: CellRequest): Promise<CellOutcome> => {
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
  const trail: Trail = { bench: undefined, ready: undefined, memoryMiB: undefined, error: undefined };
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
  const { ready } = trail;
  const version = ready?.lab.nodes.initiator.version;
  const cell: Cell = {
    version: RESULTS_VERSION,
    run,
    scenario: scenario.name,
    title: scenario.title,
    about: scenario.about,
    kernel: { ...kernel.identity, ...(version === undefined ? {} : { version }) },
    seed,
    status: verdict.status,
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    findings: [...verdict.findings],
    phases: phases.list,
    startedAt,
    durationMs,
    ...(ready === undefined ? {} : { lab: { how: ready.how, ...(ready.why === undefined ? {} : { why: ready.why }) } }),
    attempt: request.attempt,
    sessions: (trail.bench?.sessions ?? []).map(session => ({ path: session.path, values: { ...session.values } })),
    faults: (trail.bench?.desk.evidence ?? []).map(evidence => ({ ...evidence, counters: { ...evidence.counters } })),
    operations: { invoked, ok, failed, unanswered: invoked - ok - failed },
    reproduce: `npx rig run ${scenario.name} --kernel ${shellQuote(kernel.identity.given ?? kernel.name)} --seed ${seed}`,
    files: await listFiles(dir),
  };
  await writeJson(path.join(dir, "cell.json"), cell);
  const { starved, worstWaitMs } = verdict;
  return { cell: summaryOf(cell, directory), starved, worstWaitMs, peakMiB: trail.memoryMiB };
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
  ...(cell.lab === undefined ? {} : { lab: cell.lab }),
  ...(cell.attempt === undefined ? {} : { attempt: cell.attempt }),
  directory,
});
