import { readFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Log, silentLog } from "../core/log.ts";
import type { Status } from "../core/names.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LabHost } from "../lab/request.ts";
import { type CellSummary, type Run, runSchema } from "../results/schema.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import type { CellRequest } from "./cell.ts";
import { type RunRequest, runAll } from "./run.ts";

/** Stands in for the lab: what each cell comes to. */
const cells = vi.hoisted(() => ({
  run: (request: CellRequest): Promise<CellSummary> => Promise.reject(new Error(`unset: ${request.seed}`)),
}));
const report = vi.hoisted(() => ({ write: (): Promise<{ file: string }> => Promise.resolve({ file: "index.html" }) }));

vi.mock("./cell.ts", () => ({ runCell: (request: CellRequest) => cells.run(request) }));
vi.mock("../report/html.ts", () => ({ writeHtmlReport: () => report.write() }));
vi.mock("./host.ts", () => ({
  machineFacts: () =>
    Promise.resolve({
      hostname: "h",
      os: "o",
      kernel: "k",
      cpus: 2,
      cpuModel: "m",
      memoryMiB: 1,
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

const summary = ({ scenario: { name }, kernel: { name: of }, seed }: CellRequest, status: Status): CellSummary => ({
  scenario: name,
  kernel: of,
  seed,
  status,
  ...(status === "ERROR" ? { reason: "ssh is gone\nand more" } : {}),
  findings: status === "FAIL" ? [{ oracle: "integrity", class: "stale", title: "older data over newer" }] : [],
  phases: [],
  durationMs: 1234,
  directory: "cells/x",
});

const setUp = async (more: Partial<RunRequest> = {}) => {
  const said: string[] = [];
  const log: Log = { ...silentLog, say: text => void said.push(text) };
  const out = await temporaryDirectory();
  const abort = new AbortController();
  const request: RunRequest = {
    id: "run-1",
    command: ["rig", "compare"],
    host: {} as LabHost,
    scenarios: [scenario("g/one"), scenario("g/two")],
    kernels: [kernel("base"), kernel("head")],
    seeds: [1, 2],
    out,
    timeoutScale: 1,
    keepLab: false,
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
  report.write = () => Promise.resolve({ file: "index.html" });
  cells.run = request => {
    order.push(`${request.scenario.name} ${request.kernel.name} ${request.seed}`);
    return Promise.resolve(summary(request, request.kernel.name === "base" ? "FAIL" : "PASS"));
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

  test("of one kernel compares nothing, and fails where that kernel does", async () => {
    const { request } = await setUp({ kernels: [kernel("base")] });
    const { run } = await runAll(request);
    expect(run.comparison).toEqual([]);
    expect(order).toHaveLength(4);
    expect(run.exitStatus).toBe(1);
  });

  test("with an error in a cell goes on, and is no success", async () => {
    cells.run = request => Promise.resolve(summary(request, "ERROR"));
    const { request, said } = await setUp({ kernels: [kernel("base")] });
    const { run } = await runAll(request);
    expect(run.exitStatus).toBe(3);
    expect(said).toContain("1/4  ERROR g/one  base  seed 1  1.2 s  ssh is gone");
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
