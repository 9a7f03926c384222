/**
 * One cell: a scenario on a kernel with a seed, from an empty machine to a status. Whatever happens on the way, all faults
 * are healed, what there is to see is collected, the lab is removed, and the history is judged.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { deadline, monotonicMs, wallClock } from "../core/clock.ts";
import { asRigError, messageOf, type RigError } from "../core/errors.ts";
import { READ_BACK_PHASE } from "../core/names.ts";
import { Scope } from "../core/scope.ts";
import { readHistory } from "../history/reader.ts";
import { type HistoryWriter, openHistory } from "../history/writer.ts";
import { writeJson } from "../results/write.ts";
import { openBench } from "../scenario/bench.ts";
import { type Bench, settle, timelineContext } from "../scenario/controls.ts";
import { READ_BACK_MS } from "../scenario/ledger-control.ts";
import { tidyCaptures } from "../witness/capture-files.ts";
import { collectWitness, type OpenWitness, openWitness } from "../witness/collect.ts";
import { writePacketWords } from "../witness/packet-words.ts";
import { digestsOf } from "../witness/pdu.ts";
import { cellRecord, summaryOf } from "./cell-record.ts";
import { type CellRequest, cellDirectory } from "./cell-request.ts";
import type { CellOutcome } from "./cells.ts";
import { HangLook } from "./collect/hang.ts";
import { Inventory } from "./collect/inventory.ts";
import { judgeCell } from "./judge-cell.ts";
import type { ReadyLab } from "./labs.ts";
import { Phases } from "./phases.ts";
import { stoppedEvent } from "./stopped.ts";

/** From a lab that is ready to the end, a cell takes no longer than this. */
const CELL_MS = 300_000;
/** All of it, the boots of other labs that it waits for included; the lab goes by this one. */
const WHOLE_MS = 1_200_000;

/** What a cell has to show when it is over; filled as it goes. */
interface Trail {
  readonly history: HistoryWriter;
  bench: Bench | undefined;
  inventory: Inventory | undefined;
  ready: ReadyLab | undefined;
  witness: OpenWitness | undefined;
  hang: HangLook | undefined;
  /** Memory that the lab had to itself at its end. */
  memoryMiB: number | undefined;
  /** The first thing that went wrong. */
  error: RigError | undefined;
}

/** The first error is what stopped the cell; the history must know of it, for the verdict is made from the history alone. */
const stop = (trail: Trail, error: unknown): void => {
  if (trail.error !== undefined) return;
  trail.error = asRigError(error);
  trail.history.record(stoppedEvent(trail.error));
};

/** Resolves with what went wrong in this work, be it the cell's first error or a later one. */
const attempt = async (trail: Trail, signal: AbortSignal, work: () => Promise<void>): Promise<RigError | undefined> => {
  try {
    await work();
    return undefined;
  } catch (error) {
    // What a signal's reason says is nearer to the cause than the step that it interrupted.
    const cause = asRigError(signal.aborted ? signal.reason : error);
    stop(trail, cause);
    return cause;
  }
};

/** From a lab that is ready to the last read. */
const work = async (
  request: CellRequest,
  dir: string,
  { lab, configured, started }: ReadyLab,
  history: HistoryWriter,
  phases: Phases,
  scope: Scope,
  trail: Trail,
  signal: AbortSignal,
): Promise<void> => {
  const { scenario, seed, kernel, run, dumpMemory, onNote } = request;
  const scale = request.timeoutScale;
  const hang = new HangLook({ lab, sink: history, dir, dumpMemory, scale, signal, onNote }, look =>
    phases.run("hang", look),
  );
  trail.hang = hang;
  const bench = await phases
    .run("open", async () => {
      trail.witness = await openWitness(lab.nodes.target.agent, signal);
      const opened = await openBench({
        lab,
        configured,
        scenario,
        seed,
        sink: history,
        identity: `${run}/${scenario.name}/${kernel.name}/${seed}`,
        scale,
        signal,
        scope,
      });
      trail.inventory = new Inventory({ lab, watch: opened.watch, sink: history, scale, signal });
      await trail.inventory.begin();
      return opened;
    })
    .finally(started);
  trail.bench = bench;
  const stopped = await attempt(trail, signal, () =>
    phases.run("timeline", () => scenario.timeline(timelineContext(bench))),
  );
  await hang.after(stopped);
  await attempt(trail, signal, () => phases.run("heal", () => bench.desk.healAll()));
  // A timeline that has read everything back itself has nothing left to prove: no need to wait for its sessions.
  if (bench.ledger.isReadBack) return;
  // With a lost node there is nobody to settle or to read from; the disk image is still there.
  const unsettled = lab.nodeLost.aborted
    ? undefined
    : await attempt(trail, signal, () => phases.run("settle", () => settle(bench)));
  const unread = await attempt(trail, signal, () =>
    phases.run(READ_BACK_PHASE, () => bench.ledger.readBack(READ_BACK_MS * request.timeoutScale)),
  );
  await hang.after(unsettled);
  await hang.after(unread);
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
    await attempt(trail, signal, () => work(request, dir, ready, history, phases, scope, trail, signal));
  } finally {
    await phases.run("collect", async () => {
      if (!signal.aborted) await trail.inventory?.end();
      await scope.close();
      await collectWitness({
        agent: lab.nodes.target.agent,
        opened: trail.witness,
        directory: dir,
        dropped: name => lab.dropped("target", name),
        stillMs: trail.hang?.stillMs ?? 0,
        sink: history,
        startNs: history.startNs,
        digests: digestsOf(ready.configured.sessions.map(({ values }) => values)),
        signal: request.signal,
      });
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
      // A lab that is kept captures no more.
      await tidyCaptures(dir).catch((error: unknown) => request.onNote(`captures: ${messageOf(error)}`));
    });
  }
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
  const trail: Trail = {
    history,
    bench: undefined,
    inventory: undefined,
    witness: undefined,
    hang: undefined,
    ready: undefined,
    memoryMiB: undefined,
    error: undefined,
  };
  try {
    await runLab(request, dir, history, phases, trail);
  } catch (error) {
    stop(trail, error);
  } finally {
    await history.close();
  }
  request.signal.throwIfAborted();
  request.onPhase("judging");
  const judging = monotonicMs();
  const whole = await readHistory(history.file);
  const verdict = judgeCell(whole);
  phases.list.push({ name: "judge", ms: Math.round((monotonicMs() - judging) * 10) / 10 });
  const sessions = trail.ready?.configured.sessions.map(({ values }) => values) ?? [];
  const words = { directory: dir, events: whole.events, findings: verdict.findings, digests: digestsOf(sessions) };
  const unsaid = await writePacketWords({ ...words, signal: request.signal }).catch(messageOf);
  if (unsaid !== undefined) request.onNote(unsaid);
  const cell = await cellRecord({
    request,
    dir,
    startedAt,
    durationMs: Math.round(monotonicMs() - started),
    verdict,
    phases: phases.list,
    ready: trail.ready,
    bench: trail.bench,
  });
  await writeJson(path.join(dir, "cell.json"), cell);
  const { starved, worstWaitMs } = verdict;
  return { cell: summaryOf(cell, directory), starved, worstWaitMs, peakMiB: trail.memoryMiB };
};
