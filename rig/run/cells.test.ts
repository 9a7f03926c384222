import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { Starved } from "../results/schema.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { Admission } from "./admission.ts";
import { type CellOutcome, type CellsRequest, runCells } from "./cells.ts";
import { type CellName, MAX_ATTEMPTS } from "./schedule.ts";

const cellsOf = (count: number): CellName[] =>
  Array.from({ length: count }, (_, index) => ({ scenario: "g/one", kernel: "k", seed: index + 1 }));

const directoryOf = ({ seed }: CellName): string => path.join("cells", String(seed));

const outcome = (cell: CellName, more: Partial<CellOutcome> = {}): CellOutcome => ({
  cell: {
    ...cell,
    status: more.starved === true ? "MISS" : "PASS",
    ...(more.starved === true ? { reason: "a node waited for a CPU" } : {}),
    findings: [],
    phases: [],
    durationMs: 1,
    directory: directoryOf(cell),
  },
  starved: false,
  worstWaitMs: 0,
  peakMiB: 100,
  ...more,
});

/** Lets everything that waits for nothing else go on. */
const settle = () => new Promise(setImmediate);

/** A run of cells that end when the test says so. */
const setUp = async (count: number, jobs: number, more: Partial<CellsRequest<CellName>> = {}) => {
  const directory = await temporaryDirectory();
  const abort = new AbortController();
  const cells = cellsOf(count);
  const log: string[] = [];
  const starved: Starved[] = [];
  const running = new Map<number, { end: (outcome: CellOutcome) => void; fail: (why: Error) => void }>();
  const signals: AbortSignal[] = [];
  const request: CellsRequest<CellName> = {
    cells,
    admission: new Admission({ mode: jobs, cores: 2, memoryMiB: 65_536 }),
    load: { sample: () => ({ busy: 0, availableMiB: 65_536 }) },
    directory,
    signal: abort.signal,
    run: ({ seed }, attempt, signal) => {
      log.push(`run ${seed}${attempt === 1 ? "" : `, try ${attempt}`}`);
      signals.push(signal);
      const { promise, resolve, reject } = Promise.withResolvers<CellOutcome>();
      running.set(seed, { end: resolve, fail: reject });
      return promise;
    },
    onStart: now => log.push(`${now} run`),
    onEnd: ({ seed }, { starved: still }, now) => log.push(`${seed} is over${still ? ", starved" : ""}, ${now} run`),
    onStarved: one => starved.push(one),
    ...more,
  };
  const end = async (seed: number, how: Partial<CellOutcome> = {}) => {
    const cell = cells[seed - 1];
    if (cell === undefined) throw new Error(`no cell ${seed}`);
    running.get(seed)?.end(outcome(cell, how));
    await settle();
  };
  return { request, directory, abort, log, starved, running, signals, end };
};

/** Runs all cells, each as soon as it starts; `how` says how a try ends. */
const runAtOnce = async (count: number, how: (seed: number, attempt: number) => Partial<CellOutcome>, jobs = 1) => {
  const tries: string[] = [];
  const { directory, ...all } = await setUp(count, jobs, {
    run: async (cell, attempt) => {
      tries.push(`${cell.seed}/${attempt}`);
      const dir = path.join(directory, directoryOf(cell));
      await mkdir(dir, { recursive: true });
      await writeFile(path.join(dir, "try"), String(attempt));
      return outcome(cell, how(cell.seed, attempt));
    },
  });
  await runCells(all.request);
  return { ...all, directory, tries };
};

describe("cells", () => {
  test("run in their order, as many at once as are admitted", async () => {
    const { request, log, end } = await setUp(4, 2);
    const all = runCells(request);
    await settle();
    expect(log).toEqual(["run 1", "1 run", "run 2", "2 run"]);
    await end(2);
    expect(log.slice(4)).toEqual(["2 is over, 1 run", "run 3", "2 run"]);
    await end(1);
    await end(3);
    expect(log.slice(7)).toEqual(["1 is over, 1 run", "run 4", "2 run", "3 is over, 1 run"]);
    await end(4);
    await all;
    expect(log.at(-1)).toBe("4 is over, 0 run");
  });

  test("are more at once as soon as more are admitted", async () => {
    const { request, log, end } = await setUp(8, 1, {
      admission: new Admission({ mode: "auto", cores: 1, memoryMiB: 65_536 }),
    });
    void runCells(request);
    await settle();
    expect(log.at(-1)).toBe("3 run");
    await end(1);
    expect(log.at(-1)).toBe("4 run");
    await end(2, { worstWaitMs: 2000 });
    expect(log.at(-1)).toBe("2 is over, 3 run");
  });

  test("tell admission how they ended, and how many ran beside", async () => {
    const seen: unknown[] = [];
    const admission = new Admission({ mode: 1, cores: 1, memoryMiB: 65_536 });
    admission.observe = ({ kind, starved, worstWaitMs, peakMiB }) =>
      void seen.push({ kind, starved, worstWaitMs, peakMiB });
    admission.machine = state => void seen.push(state);
    const { request, end } = await setUp(1, 1, { admission });
    const all = runCells(request);
    await end(1, { worstWaitMs: 7, peakMiB: 321 });
    await all;
    expect(seen).toEqual([
      { busy: 0, availableMiB: 65_536, running: 0 },
      { kind: "cell-ended", starved: false, worstWaitMs: 7, peakMiB: 321 },
    ]);
  });

  test("that are none are over at once", async () => {
    const { request, log } = await setUp(0, 2);
    await runCells(request);
    expect(log).toEqual([]);
  });
});

describe("a starved cell", () => {
  test("runs again, and what its try left is kept under another name", async () => {
    const { tries, starved, log, directory } = await runAtOnce(2, (seed, attempt) => ({
      starved: seed === 1 && attempt === 1,
    }));
    expect(tries).toEqual(["1/1", "2/1", "1/2"]);
    expect(starved).toEqual([
      {
        scenario: "g/one",
        kernel: "k",
        seed: 1,
        attempt: 1,
        reason: "a node waited for a CPU",
        directory: "cells/1-starved-1",
      },
    ]);
    expect(await readFile(path.join(directory, "cells/1-starved-1/try"), "utf8")).toBe("1");
    expect(await readFile(path.join(directory, "cells/1/try"), "utf8")).toBe("2");
    expect(log.filter(line => line.includes("over"))).toEqual(["2 is over, 0 run", "1 is over, 0 run"]);
  });

  test("is tried no more often than that, and its last result stands", async () => {
    const { tries, starved, log, directory } = await runAtOnce(1, () => ({ starved: true }));
    expect(tries).toEqual(Array.from({ length: MAX_ATTEMPTS }, (_, index) => `1/${index + 1}`));
    expect(starved.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(log.at(-1)).toBe("1 is over, starved, 0 run");
    expect((await readdir(path.join(directory, "cells"))).toSorted()).toEqual(["1", "1-starved-1", "1-starved-2"]);
  });

  test("has the machine to itself for its last try", async () => {
    const { request, directory, log, end } = await setUp(2, 2);
    const [first] = request.cells;
    if (first === undefined) throw new Error("no cells");
    const starve = async () => {
      await mkdir(path.join(directory, directoryOf(first)), { recursive: true });
      await end(1, { starved: true });
    };
    const all = runCells(request);
    await settle();
    await starve();
    await expect.poll(() => log.at(-2)).toBe("run 1, try 2");
    await starve();
    await expect.poll(() => readdir(path.join(directory, "cells"))).toHaveLength(2);
    await settle();
    expect(log.at(-2)).toBe("run 1, try 2");
    await end(2);
    await expect.poll(() => log.slice(-3)).toEqual(["2 is over, 0 run", "run 1, try 3", "1 run"]);
    await end(1);
    await all;
  });

  test("whose try cannot be put aside ends the run", async () => {
    const { request, end, log } = await setUp(2, 1);
    const all = expect(runCells(request)).rejects.toMatchObject({ code: "ENOENT" });
    await end(1, { starved: true });
    await all;
    expect(log).toEqual(["run 1", "1 run"]);
  });
});

describe("the first error", () => {
  test("stops what runs, and is passed on once nothing runs any more", async () => {
    const { request, log, running, signals, end } = await setUp(4, 2);
    let over = false;
    const all = runCells(request).finally(() => {
      over = true;
    });
    const outcomeOfAll = expect(all).rejects.toThrow("the disk is full");
    await settle();
    running.get(1)?.fail(new Error("the disk is full"));
    await settle();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(signals[1]?.reason).toMatchObject({ message: "the disk is full" });
    expect(over).toBe(false);
    running.get(2)?.fail(new Error("stopped"));
    await outcomeOfAll;
    expect(log.filter(line => line.startsWith("run"))).toEqual(["run 1", "run 2"]);
    await end(2);
  });

  test("leaves the result of a cell that still ends well", async () => {
    const { request, log, running, end } = await setUp(3, 2);
    const all = expect(runCells(request)).rejects.toThrow("the disk is full");
    await settle();
    running.get(1)?.fail(new Error("the disk is full"));
    await end(2);
    await all;
    expect(log.some(line => line.startsWith("2 is over"))).toBe(true);
    expect(log).not.toContain("run 3");
  });
});

describe("a run that is given up", () => {
  test("before it begins starts nothing", async () => {
    const { request, log, abort } = await setUp(2, 2);
    abort.abort(new Error("Stopped by SIGINT."));
    await expect(runCells(request)).rejects.toThrow("Stopped by SIGINT.");
    expect(log).toEqual([]);
  });

  test("tells every cell that runs, waits for them, and ends with that reason", async () => {
    const { request, log, abort, running, signals } = await setUp(3, 2);
    const all = expect(runCells(request)).rejects.toThrow("Stopped by SIGINT.");
    await settle();
    abort.abort(new Error("Stopped by SIGINT."));
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    for (const { fail } of running.values()) fail(new Error("the lab is gone"));
    await all;
    expect(log.filter(line => line.startsWith("run"))).toEqual(["run 1", "run 2"]);
  });
});
