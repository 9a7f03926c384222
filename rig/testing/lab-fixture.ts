/** Real labs for tests: the host made ready, a kernel of the catalogue, and a scenario of the test's own. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { silentLog } from "../core/log.ts";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { type Kernel, resolveKernel } from "../kernel/kernel.ts";
import type { LabHost } from "../lab/request.ts";
import type { Cell } from "../results/schema.ts";
import { type CellRequest, runCell } from "../run/cell.ts";
import { prepareHost } from "../run/host.ts";
import { type Scenario, type ScenarioDefinition, scenarioDataSchema } from "../scenario/scenario.ts";

export interface LabFixture extends AsyncDisposable {
  readonly host: LabHost;
  readonly kernel: Kernel;
  /** A directory for results, removed at the end. */
  readonly out: string;
}

export const labFixture = async (kernelName: string): Promise<LabFixture> => {
  const host = await prepareHost(silentLog);
  const kernel = await resolveKernel(findKernel(await loadCatalogue(), kernelName), silentLog);
  const out = await mkdtemp(path.join(tmpdir(), "rig-test-"));
  return { host, kernel, out, [Symbol.asyncDispose]: () => rm(out, { recursive: true, force: true }) };
};

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
    lab: { paths: 2, transport: "tcp", multipath: "failover" },
    timing: { noopInterval: 1, noopTimeout: 1, replacementTimeout: 0, targetNopinTimeout: 0 },
    ledger: { slots: 8, slotBytes: 4096 },
    ...more,
  });
  return { name: `test/${name}`, ...data, timeline };
};

/** Runs one cell and reads its cell.json. */
export const runTestCell = async (
  fixture: LabFixture,
  scenario: Scenario,
  more: Partial<CellRequest> = {},
): Promise<Cell> => {
  let removal = Promise.resolve();
  const summary = await runCell({
    run: "test",
    host: fixture.host,
    scenario,
    kernel: fixture.kernel,
    seed: 1,
    out: fixture.out,
    timeoutScale: 1,
    keepLab: false,
    signal: new AbortController().signal,
    onPhase: () => undefined,
    onNote: () => undefined,
    onRemoval: next => {
      removal = next;
    },
    ...more,
  });
  await removal;
  return JSON.parse(await readFile(path.join(fixture.out, summary.directory, "cell.json"), "utf8")) as Cell;
};
