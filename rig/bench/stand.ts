/** What all benchmarks measure on: the host made ready, a scenario, kernels, bays to be used again, and a place for results. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Log } from "../core/log.ts";
import type { HistorySink } from "../history/event.ts";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { type Kernel, resolveKernel } from "../kernel/kernel.ts";
import type { Bay } from "../lab/bay.ts";
import type { LabHost } from "../lab/host.ts";
import { reap } from "../lab/reaper.ts";
import type { LabRequest } from "../lab/request.ts";
import { Bays } from "../run/bays.ts";
import { prepareHost } from "../run/host.ts";
import { Labs } from "../run/labs.ts";
import { loadScenario } from "../scenario/load.ts";
import type { Scenario } from "../scenario/scenario.ts";

/** What is measured: the scenario whose cells are counted, the kernel that has its bug, and the one that has not. */
const SCENARIO = "recovery/stale-write";
const BASE = "debian-5.10";
const HEAD = "debian-6.1";

/** Names what is run, in labels of containers and in results. */
export const BENCH_RUN = "bench";

/** Nobody reads the history of a lab that is only timed. */
export const NO_SINK: HistorySink = { record: () => undefined };

export interface Stand extends AsyncDisposable {
  readonly host: LabHost;
  readonly scenario: Scenario;
  /** The one that single labs boot. */
  readonly head: Kernel;
  /** The other one, fetched when it is first asked for. */
  base(): Promise<Kernel>;
  readonly bays: Bays;
  readonly labs: Labs;
  /** A directory for results, removed at the end. */
  readonly out: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Takes the removal of a half-made stand upon itself. */
export const openStand = async (log: Log, signal: AbortSignal): Promise<Stand> => {
  const [scenario, catalogue] = await Promise.all([loadScenario(SCENARIO), loadCatalogue()]);
  const host = await prepareHost(log, signal);
  for (const gone of await reap(host.docker, { kept: false }))
    log.say(`Left over from a rig that was killed, removed: ${gone}`, "warn");
  const kernel = (name: string) => resolveKernel(findKernel(catalogue, name), log, { signal });
  const head = await kernel(HEAD);
  const out = await mkdtemp(path.join(tmpdir(), "rig-bench-"));
  const onCleanupFailure = (what: string) => log.say(`clean-up: ${what}`, "warn");
  const bays = new Bays({ host, run: BENCH_RUN, out, timeoutScale: 1, signal, onCleanupFailure }, log);
  let base: Promise<Kernel> | undefined;
  return {
    host,
    scenario,
    head,
    base: () => (base ??= kernel(BASE)),
    bays,
    labs: new Labs({ log, snapshots: true }),
    out,
    log,
    signal,
    [Symbol.asyncDispose]: async () => {
      await bays[Symbol.asyncDispose]();
      await rm(out, { recursive: true, force: true });
    },
  };
};

let labs = 0;

/** What a lab of the scenario is asked to be; its consoles and captures go to a directory of its own. */
export const labRequest = async (
  stand: Stand,
  bay: Bay,
  kernel: Kernel,
): Promise<LabRequest & { signal: AbortSignal }> => {
  const artefacts = path.join(stand.out, `lab-${++labs}`);
  await mkdir(artefacts);
  return {
    bay,
    kernel,
    backingMiB: stand.scenario.lab.lunMiB,
    sink: NO_SINK,
    artefacts,
    timeoutScale: 1,
    signal: stand.signal,
    onCleanupFailure: what => stand.log.say(`clean-up: ${what}`, "warn"),
  };
};

/** Makes the snapshot of a kernel's lab if it is not there, so that nothing that is timed has to. */
export const prepareSnapshot = async (stand: Stand, kernel: Kernel): Promise<void> => {
  const bay = await stand.bays.take();
  try {
    const request = await labRequest(stand, bay, kernel);
    await stand.labs.prepare({ ...request, scenario: stand.scenario, phase: (_name, work) => work() });
  } finally {
    await stand.bays.give(bay);
  }
};
