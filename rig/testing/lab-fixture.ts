/** Real labs for tests: the host made ready, a kernel of the catalogue, and a scenario of the test's own. */
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { silentLog } from "../core/log.ts";
import type { Scope } from "../core/scope.ts";
import type { HistorySink } from "../history/event.ts";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { type Kernel, resolveKernel } from "../kernel/kernel.ts";
import type { LabHost } from "../lab/host.ts";
import type { Lab } from "../lab/lab.ts";
import type { Cell } from "../results/schema.ts";
import { Bays } from "../run/bays.ts";
import { runCell } from "../run/cell.ts";
import type { CellRequest } from "../run/cell-request.ts";
import type { CellOutcome } from "../run/cells.ts";
import { prepareHost } from "../run/host.ts";
import { Labs } from "../run/labs.ts";
import { MAX_ATTEMPTS } from "../run/schedule.ts";
import { openBench } from "../scenario/bench.ts";
import type { Bench } from "../scenario/controls.ts";
import {
  type Scenario,
  type ScenarioDefinition,
  scenarioDataSchema,
  type TimelineContext,
} from "../scenario/scenario.ts";

export interface LabFixture extends AsyncDisposable {
  readonly host: LabHost;
  readonly bays: Bays;
  readonly labs: Labs;
  readonly kernel: Kernel;
  /** A directory for results, removed at the end. */
  readonly out: string;
}

export const labFixture = async (kernelName: string): Promise<LabFixture> => {
  const host = await prepareHost(silentLog);
  const kernel = await resolveKernel(findKernel(await loadCatalogue(), kernelName), silentLog);
  const out = await mkdtemp(path.join(tmpdir(), "rig-test-"));
  const request = { host, run: "test", out, timeoutScale: 1, onCleanupFailure: () => undefined };
  const bays = new Bays(request, silentLog);
  const labs = new Labs({ log: silentLog, snapshots: true });
  return {
    host,
    bays,
    labs,
    kernel,
    out,
    [Symbol.asyncDispose]: async () => {
      await bays[Symbol.asyncDispose]();
      await rm(out, { recursive: true, force: true });
    },
  };
};

/** The lab of the tests' own scenarios, to be changed where a test needs another one. */
export const TEST_LAB = { paths: 2, transport: "tcp", multipath: "failover" } as const;

/** A scenario with small, quick settings; the timeline is the test's. */
export const testScenario = (
  name: string,
  timeline: Scenario["timeline"],
  more: Partial<ScenarioDefinition> = {},
): Scenario => {
  const data = scenarioDataSchema.parse({
    title: "a scenario of a test",
    about: [],
    healthy: "It does what the test expects.",
    lab: TEST_LAB,
    timing: { noopInterval: 1, noopTimeout: 1, replacementTimeout: 0, targetNopinTimeout: 0 },
    ledger: { slots: 8, slotBytes: 4096 },
    ...more,
  });
  return { name: `test/${name}`, ...data, timeline };
};

/** A lab that is ready for a timeline, without a cell around it: the test is its timeline. */
export const openLab = async (
  { bays, labs, kernel, out }: LabFixture,
  scenario: Scenario,
  scope: Scope,
  sink: HistorySink = { record: () => undefined },
): Promise<Bench> => {
  const bay = await bays.take();
  scope.defer("bay", () => bays.give(bay));
  const artefacts = path.join(out, "labs", scenario.name);
  await mkdir(artefacts, { recursive: true });
  const common = { scenario, sink, signal: new AbortController().signal };
  const ready = await labs.ready({
    ...common,
    bay,
    kernel,
    backingMiB: scenario.lab.lunMiB,
    artefacts,
    timeoutScale: 1,
    phase: (_, work) => work(),
    onCleanupFailure: () => undefined,
  });
  const { lab, configured, lease } = ready;
  scope.defer("lab", async () => {
    await lab[Symbol.asyncDispose]();
    lease.release();
  });
  try {
    return await openBench({ ...common, lab, configured, seed: 1, identity: scenario.name, scale: 1, scope });
  } finally {
    ready.started();
  }
};

/** Runs one cell once. */
export const runOnce = async (
  fixture: LabFixture,
  scenario: Scenario,
  more: Partial<CellRequest> = {},
): Promise<CellOutcome> => {
  const bay = await fixture.bays.take();
  let removal = Promise.resolve();
  try {
    return await runCell({
      run: "test",
      bay,
      labs: fixture.labs,
      scenario,
      kernel: fixture.kernel,
      seed: 1,
      attempt: 1,
      out: fixture.out,
      timeoutScale: 1,
      keepLab: false,
      dumpMemory: false,
      signal: new AbortController().signal,
      onPhase: () => undefined,
      onNote: () => undefined,
      onRemoval: next => {
        removal = next;
      },
      ...more,
    });
  } finally {
    await removal;
    await fixture.bays.give(bay);
  }
};

/** Runs one cell, as a run does: again if its lab was starved of CPU. Reads its cell.json. */
export const runTestCell = async (
  fixture: LabFixture,
  scenario: Scenario,
  more: Partial<CellRequest> = {},
): Promise<Cell> => {
  for (let attempt = 1; ; attempt++) {
    const { cell, starved } = await runOnce(fixture, scenario, { ...more, attempt });
    const directory = path.join(fixture.out, cell.directory);
    if (!starved || attempt === MAX_ATTEMPTS)
      return JSON.parse(await readFile(path.join(directory, "cell.json"), "utf8")) as Cell;
    await rm(directory, { recursive: true });
  }
};

/** Runs one cell whose timeline reaches behind the rig's back: it is handed the lab itself beside the controls. */
export const runTamperedCell = (
  fixture: LabFixture,
  name: string,
  timeline: (context: TimelineContext, lab: Lab) => Promise<void>,
  more: Partial<ScenarioDefinition> = {},
): Promise<Cell> => {
  let lab: Lab | undefined;
  const labs: CellRequest["labs"] = {
    ready: async request => {
      const ready = await fixture.labs.ready(request);
      lab = ready.lab;
      return ready;
    },
  };
  const scenario = testScenario(
    name,
    async context => {
      if (lab === undefined) throw new Error("The timeline runs without a lab.");
      await timeline(context, lab);
    },
    more,
  );
  return runTestCell(fixture, scenario, { labs });
};
