import { describe, expect, test } from "vitest";
import type { Kernel } from "../kernel/kernel.ts";
import type { CellSummary } from "../results/schema.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { callName, cellWords, openingWords } from "./run-words.ts";
import type { Trial } from "./trial.ts";

const kernel = (name: string): Kernel => ({ name, identity: { name, release: "5.10.262" } }) as unknown as Kernel;
const trial = (name: string, ...kernels: [string] | [string, string]): Trial => ({
  scenario: { name } as unknown as Scenario,
  kernels: kernels.map(kernel) as unknown as [Kernel, Kernel],
});

const LONG = ["linux-5.10+without-seed+offload-model", "linux-5.10+offload-model"] as const;
const SHORT = ["debian-5.10", "debian-6.1"] as const;
const MIXED = [trial("recovery/stale-write", ...SHORT), trial("recovery/offload-stale-write", ...LONG)];

describe("a cell's kernel is called", () => {
  test("by its name where names are short and the same for all scenarios", () => {
    const nameOf = callName([trial("g/one", ...SHORT), trial("g/two", ...SHORT)]);
    expect([nameOf("g/one", "debian-5.10"), nameOf("g/two", "debian-6.1")]).toEqual(["debian-5.10", "debian-6.1"]);
    expect(callName([trial("g/one", LONG[0])])("g/one", LONG[0])).toBe(LONG[0]);
  });

  test.each([
    ["names are long", [trial("g/one", ...LONG)]],
    ["the base of one is the head of another", [trial("g/one", "old", "new"), trial("g/two", "new", "old")]],
    ["scenarios have kernels of their own", [trial("g/one", "old", "new"), trial("g/two", "oldest", "old")]],
  ])("base or head where %s", (_why, trials) => {
    const nameOf = callName(trials);
    for (const { scenario, kernels } of trials)
      expect(kernels.map(({ name }) => nameOf(scenario.name, name))).toEqual(["base", "head"]);
  });
});

describe("a run's first lines", () => {
  const open = (trials: readonly Trial[]) => openingWords("ID", trials, 20, "tcg").split("\n");

  test("name one kernel, or two against each other", () => {
    expect(open([trial("g/one", "debian-6.1")])).toEqual(["Run ID: 20 cells, debian-6.1 (5.10.262), tcg."]);
    expect(open([trial("g/one", ...SHORT), trial("g/two", ...SHORT)])).toEqual([
      "Run ID: 20 cells, debian-5.10 (5.10.262) against debian-6.1 (5.10.262), tcg.",
    ]);
  });

  test("have a line for each of two long names", () => {
    expect(open([trial("g/one", ...LONG)])).toEqual([
      "Run ID: 20 cells, tcg.",
      "  base  linux-5.10+without-seed+offload-model (5.10.262)",
      "  head  linux-5.10+offload-model (5.10.262)",
    ]);
  });

  test("say base and head of every scenario where they differ", () => {
    expect(open(MIXED)).toEqual([
      "Run ID: 20 cells of 2 scenarios, each on its own base and head, tcg.",
      "  recovery/stale-write",
      "    base  debian-5.10 (5.10.262)",
      "    head  debian-6.1 (5.10.262)",
      "  recovery/offload-stale-write",
      "    base  linux-5.10+without-seed+offload-model (5.10.262)",
      "    head  linux-5.10+offload-model (5.10.262)",
    ]);
  });
});

test("of a cell the line leaves room for its time in a terminal of 80 columns", () => {
  const cell = { scenario: "recovery/offload-stale-write", kernel: LONG[0], seed: 10, status: "PASS" } as CellSummary;
  const line = cellWords(
    { ...cell, findings: [], durationMs: 11_000 },
    callName(MIXED)(cell.scenario, cell.kernel),
    7,
    120,
  );
  expect(line).toBe("  7/120  PASS  recovery/offload-stale-write  base  seed 10  11.0 s");
  expect("[ 116.6 s] ".length + line.length).toBeLessThanOrEqual(80);
});
