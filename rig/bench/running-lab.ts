/** A lab brought as far as a timeline would find it, cold or restored, with the time that each stretch of the way took. */
import { monotonicMs } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { Scope } from "../core/scope.ts";
import { bootLab, type Lab } from "../lab/lab.ts";
import type { ReadyLabRequest } from "../run/labs.ts";
import { type Configured, configureLab, openBench } from "../scenario/bench.ts";
import { BENCH_RUN, labRequest, NO_SINK, type Stand } from "./stand.ts";

const WRITE_MS = 30_000;

export interface ColdTimes {
  /** Until both nodes answer by ssh. */
  readonly upMs: number;
  /** Until both sessions are logged in and the device is there, the boot included. */
  readonly loginMs: number;
}

/** Opens the device of a configured lab and writes until one generation of the ledger is acknowledged. */
const startIo = async (stand: Stand, lab: Lab, configured: Configured, scope: Scope): Promise<void> => {
  const bench = await openBench({
    lab,
    configured,
    scenario: stand.scenario,
    seed: 1,
    sink: NO_SINK,
    identity: `${BENCH_RUN}/${stand.scenario.name}`,
    scale: 1,
    signal: AbortSignal.any([stand.signal, lab.nodeLost]),
    scope,
  });
  await bench.ledger.rewrite().acknowledged(WRITE_MS);
};

/** Runs the work with a scope that is closed after it. */
const scoped = async <T>(stand: Stand, work: (scope: Scope) => Promise<T>): Promise<T> => {
  const scope = new Scope(({ what, message }) => stand.log.say(`clean-up: ${what}: ${message}`, "warn"));
  try {
    return await work(scope);
  } finally {
    await scope.close();
  }
};

/** Boots a lab until both nodes answer, and nothing is set up meanwhile. */
const bootOnly = async (stand: Stand, scope: Scope): Promise<number> => {
  const bay = await stand.bays.take();
  scope.defer("bay", () => stand.bays.give(bay));
  const request = await labRequest(stand, bay, stand.head);
  const started = monotonicMs();
  const lab = await bootLab(request);
  scope.defer("lab", () => Promise.resolve(lab[Symbol.asyncDispose]()));
  return monotonicMs() - started;
};

const boot = async (stand: Stand, scope: Scope): Promise<{ lab: Lab; configured: Configured; ms: number }> => {
  const bay = await stand.bays.take();
  scope.defer("bay", () => stand.bays.give(bay));
  const setUp = configureLab(stand.scenario, NO_SINK, stand.signal);
  const request = { ...(await labRequest(stand, bay, stand.head)), onNode: setUp.onNode };
  const started = monotonicMs();
  const lab = await bootLab(request);
  scope.defer("lab", () => Promise.resolve(lab[Symbol.asyncDispose]()));
  const configured = await setUp.done(lab);
  return { lab, configured, ms: monotonicMs() - started };
};

/** Restores a lab and returns how long it took until both nodes answer and I/O runs. */
const restore = async (stand: Stand, scope: Scope): Promise<{ lab: Lab; ms: number }> => {
  const bay = await stand.bays.take();
  scope.defer("bay", () => stand.bays.give(bay));
  const request: ReadyLabRequest = {
    ...(await labRequest(stand, bay, stand.head)),
    scenario: stand.scenario,
    phase: (_name, work) => work(),
  };
  // Somebody who needed the space may have removed the snapshot; making it again is not what is measured.
  await stand.labs.prepare(request);
  const started = monotonicMs();
  const ready = await stand.labs.ready(request);
  const { lab, configured, lease } = ready;
  scope.defer("lease", () => {
    lease.release();
    return Promise.resolve();
  });
  scope.defer("lab", () => Promise.resolve(lab[Symbol.asyncDispose]()));
  scope.defer("turn", () => {
    ready.started();
    return Promise.resolve();
  });
  if (ready.how !== "restored")
    throw new RigError(
      "RIG_LAB_SNAPSHOT",
      `Expected a lab restored from a snapshot; it was booted. ${ready.why ?? ""}`,
    );
  await startIo(stand, lab, configured, scope);
  ready.started();
  return { lab, ms: monotonicMs() - started };
};

/** Does the work in a lab that is booted and set up, and removes the lab. */
export const inLab = <T>(
  stand: Stand,
  work: (lab: Lab, configured: Configured, scope: Scope) => Promise<T>,
): Promise<T> =>
  scoped(stand, async scope => {
    const { lab, configured } = await boot(stand, scope);
    return work(lab, configured, scope);
  });

/** Boots a lab, and then another that is set up on the way. */
export const timeBoot = (stand: Stand): Promise<ColdTimes> =>
  scoped(stand, async scope => {
    const upMs = await scoped(stand, inner => bootOnly(stand, inner));
    const { ms: loginMs } = await boot(stand, scope);
    return { upMs, loginMs };
  });

/** Restores a lab once. */
export const timeRestore = (stand: Stand): Promise<number> =>
  scoped(stand, async scope => (await restore(stand, scope)).ms);

/** MiB that a booted lab has to itself once it has written. */
export const bootedMemory = (stand: Stand): Promise<number> =>
  scoped(stand, async scope => {
    const { lab, configured } = await boot(stand, scope);
    await startIo(stand, lab, configured, scope);
    return lab.memoryMiB();
  });

/** MiB that each of several labs has to itself that were restored from one snapshot, while all of them are there. */
export const restoredMemory = (stand: Stand, count: number): Promise<readonly number[]> =>
  scoped(stand, async scope => {
    const labs: Lab[] = [];
    for (let i = 0; i < count; i++) labs.push((await restore(stand, scope)).lab);
    return Promise.all(labs.map(lab => lab.memoryMiB()));
  });
