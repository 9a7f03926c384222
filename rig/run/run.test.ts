import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Log, silentLog } from "../core/log.ts";
import type { Status } from "../core/names.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LabHost } from "../lab/host.ts";
import { type CellSummary, type Run, runSchema } from "../results/schema.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { ownCache, temporaryDirectory } from "../testing/bench-dir.ts";
import { type CellRequest, cellDirectory } from "./cell-request.ts";
import type { CellOutcome } from "./cells.ts";
import { rememberDurations } from "./durations.ts";
import { type RunRequest, runAll } from "./run.ts";
import type { Trial } from "./trial.ts";

/** Stands in for the lab: what each cell comes to. */
const cells = vi.hoisted(() => ({
  run: (request: CellRequest): Promise<CellOutcome> => Promise.reject(new Error(`unset: ${request.seed}`)),
}));
const machine = vi.hoisted(() => ({ memoryMiB: 1 }));
const report = vi.hoisted(() => ({ write: (): Promise<{ file: string }> => Promise.resolve({ file: "index.html" }) }));

/** What became of the bays, and what the labs were asked to be. */
const places = vi.hoisted(() => ({ told: [] as string[], snapshots: undefined as boolean | undefined }));

vi.mock("./cell.ts", async original => ({
  ...(await original<typeof import("./cell.ts")>()),
  runCell: (request: CellRequest) => cells.run(request),
}));
vi.mock("./bays.ts", () => ({
  Bays: class {
    #made = 0;
    take(): Promise<{ id: string }> {
      const id = `bay ${++this.#made}`;
      places.told.push(`take ${id}`);
      return Promise.resolve({ id });
    }
    give({ id }: { id: string }): Promise<void> {
      places.told.push(`give ${id}`);
      return Promise.resolve();
    }
    [Symbol.asyncDispose](): Promise<void> {
      places.told.push("close");
      return Promise.resolve();
    }
  },
}));
vi.mock("./labs.ts", () => ({
  Labs: vi.fn(function labs(options: { snapshots: boolean }) {
    places.snapshots = options.snapshots;
  }),
}));
vi.mock("../report/html.ts", () => ({ writeHtmlReport: () => report.write() }));
vi.mock("./host.ts", () => ({
  machineFacts: () =>
    Promise.resolve({
      hostname: "h",
      os: "o",
      kernel: "k",
      cpus: 2,
      cpuModel: "m",
      memoryMiB: machine.memoryMiB,
      accelerator: "tcg",
      acceleratorWhy: "w",
      docker: "d",
      qemu: "q",
    }),
}));

const kernel = (name: string): Kernel =>
  ({ name, identity: { name, release: name, sha256: "00", source: "here" } }) as unknown as Kernel;
const scenario = (name: string): Scenario =>
  ({ name, title: `about ${name}`, about: [], healthy: "All is well." }) as unknown as Scenario;

const trialsOf = (names: readonly string[], ...kernels: [Kernel] | [Kernel, Kernel]): Trial[] =>
  names.map(name => ({ scenario: scenario(name), kernels }));

const CELL = { seed: 1, attempt: 1 } as CellRequest;

const outcome = (
  { scenario: { name }, kernel: { name: of }, seed, attempt }: CellRequest,
  status: Status,
  more: Partial<CellOutcome> = {},
): CellOutcome => {
  const cell: CellSummary = {
    scenario: name,
    kernel: of,
    seed,
    status,
    ...(status === "ERROR" ? { reason: "ssh is gone\nand more" } : {}),
    findings: status === "FAIL" ? [{ oracle: "integrity", class: "stale", title: "older data over newer" }] : [],
    phases: [],
    durationMs: 1234,
    attempt,
    directory: cellDirectory(name, of, seed),
  };
  return { cell, starved: false, worstWaitMs: 0, peakMiB: undefined, ...more };
};

const setUp = async (more: Partial<RunRequest> = {}) => {
  const said: string[] = [];
  const log: Log = { ...silentLog, say: text => void said.push(text) };
  const out = await temporaryDirectory();
  await ownCache();
  const abort = new AbortController();
  const request: RunRequest = {
    id: "run-1",
    command: ["rig", "compare"],
    host: {} as LabHost,
    trials: trialsOf(["g/one", "g/two"], kernel("base"), kernel("head")),
    seeds: [1, 2],
    out,
    timeoutScale: 1,
    keepLab: false,
    dumpMemory: false,
    jobs: 1,
    snapshots: true,
    log,
    signal: abort.signal,
    ...more,
  };
  const stored = async (): Promise<Run> =>
    runSchema.parse(JSON.parse(await readFile(path.join(out, "run-1/run.json"), "utf8")));
  return { request, said, stored, abort };
};

const order: string[] = [];
beforeEach(() => {
  order.length = 0;
  places.told.length = 0;
  machine.memoryMiB = 1;
  report.write = () => Promise.resolve({ file: "index.html" });
  cells.run = request => {
    order.push(`${request.scenario.name} ${request.kernel.name} ${request.seed}`);
    return Promise.resolve(outcome(request, request.kernel.name === "base" ? "FAIL" : "PASS"));
  };
});

describe("a run", () => {
  test("takes scenario by scenario, and a seed's base and head next to each other", async () => {
    const { request } = await setUp();
    await runAll(request);
    expect(order).toEqual([
      "g/one base 1",
      "g/one head 1",
      "g/one base 2",
      "g/one head 2",
      "g/two base 1",
      "g/two head 1",
      "g/two base 2",
      "g/two head 2",
    ]);
  });

  test("compares each scenario, says every cell, and stores it all", async () => {
    const { request, said, stored } = await setUp({ seeds: [1, 2, 3, 4, 5] });
    const { run, report: file } = await runAll(request);
    expect(file).toBe("index.html");
    expect(await stored()).toEqual(run);
    expect(run.complete).toBe(true);
    expect(run.comparison).toMatchObject([
      {
        scenario: "g/one",
        base: { kernel: "base", fail: 5, pass: 0 },
        head: { kernel: "head", fail: 0, pass: 5 },
        verdict: "fixed",
      },
      { scenario: "g/two", verdict: "fixed" },
    ]);
    expect(run.exitStatus).toBe(0);
    expect(said).toContain(" 1/20  FAIL  g/one  base  seed 1  1.2 s  stale: older data over newer");
    expect(said).toContain(" 2/20  PASS  g/one  head  seed 1  1.2 s");
  });

  test("runs each scenario on its own kernels, and says each verdict as soon as its cells are over", async () => {
    const [old, older, oldest] = [kernel("old"), kernel("older"), kernel("oldest")];
    const { request, said, stored } = await setUp({
      trials: [
        { scenario: scenario("g/one"), kernels: [older, old] },
        { scenario: scenario("g/two"), kernels: [oldest, older] },
      ],
      seeds: [1, 2, 3, 4],
    });
    // The head of the second is the base of the first, and fails there alone.
    cells.run = one => {
      const on = `${one.scenario.name} ${one.kernel.name}`;
      order.push(`${on} ${one.seed}`);
      return Promise.resolve(outcome(one, on === "g/one older" || on === "g/two oldest" ? "FAIL" : "PASS"));
    };
    const { run } = await runAll(request);
    expect(order).toEqual([
      ...[1, 2, 3, 4].flatMap(seed => [`g/one older ${seed}`, `g/one old ${seed}`]),
      ...[1, 2, 3, 4].flatMap(seed => [`g/two oldest ${seed}`, `g/two older ${seed}`]),
    ]);
    expect(run.kernels.map(({ name }) => name)).toEqual(["older", "old", "oldest"]);
    expect(run.comparison).toMatchObject([
      { scenario: "g/one", base: { kernel: "older", fail: 4 }, head: { kernel: "old", pass: 4 }, verdict: "fixed" },
      { scenario: "g/two", base: { kernel: "oldest", fail: 4 }, head: { kernel: "older", pass: 4 }, verdict: "fixed" },
    ]);
    expect(run).toMatchObject({ exitStatus: 0, complete: true });
    expect(await stored()).toEqual(run);
    const lines = said.flatMap(text => text.split("\n"));
    expect(lines.slice(0, 4)).toEqual([
      "Run run-1: 16 cells of 2 scenarios, each on its own base and head, tcg.",
      "  g/one",
      "    base  older (older)",
      "    head  old (old)",
    ]);
    expect(said).toContain(" 1/16  FAIL  g/one  base  seed 1  1.2 s  stale: older data over newer");
    expect(said[said.indexOf("g/one: fixed") - 1]).toMatch(/^ 8\/16/);
    expect(said.at(-1)).toBe("g/two: fixed");
  });

  test("says no verdict of a scenario before its last cell, nor of the only one", async () => {
    const { request, said, abort } = await setUp({ seeds: [1] });
    const honest = cells.run;
    cells.run = one => {
      if (order.length === 3) abort.abort(new Error("Stopped by SIGINT."));
      one.signal.throwIfAborted();
      return honest(one);
    };
    await expect(runAll(request)).rejects.toThrow("Stopped by SIGINT.");
    expect(said.filter(line => /^g\//.test(line))).toEqual(["g/one: inconclusive"]);
    const alone = await setUp({ trials: trialsOf(["g/one"], kernel("base"), kernel("head")) });
    order.length = 0;
    cells.run = honest;
    await runAll(alone.request);
    expect(alone.said.filter(line => /^g\//.test(line))).toEqual([]);
  });

  test("of one kernel compares nothing, and fails where that kernel does", async () => {
    const { request } = await setUp({ trials: trialsOf(["g/one", "g/two"], kernel("base")) });
    const { run } = await runAll(request);
    expect(run.comparison).toEqual([]);
    expect(order).toHaveLength(4);
    expect(run.exitStatus).toBe(1);
  });

  test("with an error in a cell goes on, and is no success", async () => {
    cells.run = request => Promise.resolve(outcome(request, "ERROR"));
    const { request, said } = await setUp({ trials: trialsOf(["g/one", "g/two"], kernel("base")) });
    const { run } = await runAll(request);
    expect(run.exitStatus).toBe(3);
    expect(said).toContain("1/4  ERROR g/one  base  seed 1  1.2 s  ssh is gone");
  });

  test("stores its cells as they were planned, in whatever order they ended", async () => {
    const { request } = await setUp({ seeds: [1] });
    await rememberDurations([
      { ...outcome({ ...CELL, scenario: scenario("g/one"), kernel: kernel("base") }, "PASS").cell, durationMs: 1 },
      { ...outcome({ ...CELL, scenario: scenario("g/one"), kernel: kernel("head") }, "PASS").cell, durationMs: 1 },
    ]);
    const { run } = await runAll(request);
    expect(order).toEqual(["g/two base 1", "g/two head 1", "g/one base 1", "g/one head 1"]);
    expect(run.cells.map(cell => `${cell.scenario} ${cell.kernel}`)).toEqual([
      "g/one base",
      "g/one head",
      "g/two base",
      "g/two head",
    ]);
  });

  test("orders the next run by how long its cells took", async () => {
    const { request } = await setUp({ seeds: [1], trials: trialsOf(["g/one", "g/two"], kernel("base")) });
    cells.run = one => {
      const { cell, ...rest } = outcome(one, "PASS");
      order.push(one.scenario.name);
      return Promise.resolve({ ...rest, cell: { ...cell, durationMs: one.scenario.name === "g/two" ? 90 : 10 } });
    };
    await runAll(request);
    await runAll({ ...request, id: "run-2" });
    expect(order).toEqual(["g/one", "g/two", "g/two", "g/one"]);
  });

  test("tells how many labs ran at once", async () => {
    machine.memoryMiB = 65_536;
    const { request } = await setUp({ jobs: 3 });
    const gate = Promise.withResolvers<undefined>();
    let running = 0;
    cells.run = async one => {
      if (++running === 3) gate.resolve(undefined);
      await gate.promise;
      return outcome(one, "PASS");
    };
    const { run } = await runAll(request);
    expect(run.jobs).toEqual({ asked: 3, most: 3 });
  });

  test("says of a starved cell that it runs again, and keeps what it found", async () => {
    const { request, said, stored } = await setUp({ seeds: [1], trials: trialsOf(["g/one", "g/two"], kernel("base")) });
    cells.run = async one => {
      order.push(`${one.scenario.name} ${one.attempt}`);
      await mkdir(path.join(one.out, cellDirectory(one.scenario.name, "base", 1)), { recursive: true });
      const starved = one.scenario.name === "g/one" && one.attempt === 1;
      return outcome(one, starved ? "ERROR" : "PASS", { starved });
    };
    const { run } = await runAll(request);
    expect(order).toEqual(["g/one 1", "g/two 1", "g/one 2"]);
    expect(await stored()).toEqual(run);
    expect(run.starved).toEqual([
      {
        scenario: "g/one",
        kernel: "base",
        seed: 1,
        attempt: 1,
        reason: "ssh is gone\nand more",
        directory: "cells/g/one/base/1-starved-1",
      },
    ]);
    expect(run.cells).toMatchObject([{ scenario: "g/one", status: "PASS", attempt: 2 }, { scenario: "g/two" }]);
    expect(run).toMatchObject({ complete: true, exitStatus: 0 });
    expect(said).toContain("      again g/one  base  seed 1  ssh is gone");
  });
});

describe("the bays of a run", () => {
  test("are each given back when the lab is gone from it, and closed at the end", async () => {
    const { request } = await setUp({ seeds: [1], trials: trialsOf(["g/one"], kernel("base"), kernel("head")) });
    cells.run = one => {
      const removal = new Promise(setImmediate).then(() => void places.told.push(`${one.kernel.name} is gone`));
      one.onRemoval(removal);
      places.told.push(`${one.kernel.name} in ${one.bay.id}`);
      return Promise.resolve(outcome(one, "PASS"));
    };
    await runAll(request);
    expect(places.told).toEqual([
      ...["take bay 1", "base in bay 1", "base is gone", "give bay 1"],
      ...["take bay 2", "head in bay 2", "head is gone", "give bay 2"],
      "close",
    ]);
  });

  test("are given back and closed after an error too", async () => {
    const { request } = await setUp();
    cells.run = () => Promise.reject(new Error("the disk is full"));
    await expect(runAll(request)).rejects.toThrow("the disk is full");
    expect(places.told).toEqual(["take bay 1", "give bay 1", "close"]);
  });

  test("keep the lab of the last cell of the plan, where that is asked for", async () => {
    const kept: string[] = [];
    cells.run = one => {
      if (one.keepLab) kept.push(`${one.scenario.name} ${one.kernel.name} ${one.seed}`);
      return Promise.resolve(outcome(one, "PASS"));
    };
    const { request } = await setUp({ keepLab: true });
    await runAll(request);
    expect(kept).toEqual(["g/two head 2"]);
  });

  test.each([true, false])("have labs from snapshots: %s", async snapshots => {
    const { request } = await setUp({ snapshots });
    await runAll(request);
    expect(places.snapshots).toBe(snapshots);
  });
});

describe("a run that is interrupted", () => {
  test("keeps what it has, and says so", async () => {
    const { request, said, stored, abort } = await setUp();
    const honest = cells.run;
    cells.run = async one => {
      if (order.length === 2) abort.abort(new Error("Stopped by SIGINT."));
      one.signal.throwIfAborted();
      return honest(one);
    };
    await expect(runAll(request)).rejects.toThrow("Stopped by SIGINT.");
    expect(await stored()).toMatchObject({ complete: false, cells: [{ kernel: "base" }, { kernel: "head" }] });
    expect(said.at(-1)).toMatch(/^Stopped after 2 of 8 cells; their results are kept in .*, the report too\.$/);
  });

  test("before its first cell has nothing to keep", async () => {
    const { request, said, stored, abort } = await setUp();
    abort.abort(new Error("Stopped by SIGINT."));
    await expect(runAll(request)).rejects.toThrow("Stopped by SIGINT.");
    expect(order).toEqual([]);
    expect(said.some(line => line.startsWith("Stopped"))).toBe(false);
    expect((await stored()).complete).toBe(false);
  });
});

test("a report that cannot be written does not take the results with it", async () => {
  report.write = () => Promise.reject(new Error("no template."));
  const { request, said, stored } = await setUp();
  expect(await runAll(request)).toMatchObject({ report: undefined, run: { complete: true } });
  expect((await stored()).cells).toHaveLength(8);
  expect(said.at(-1)).toMatch(/^The report could not be written: no template\. .*try: rig report /);
});
