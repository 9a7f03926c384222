import { describe, expect, test } from "vitest";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import type { KernelSpec } from "../kernel/spec.ts";
import { loadScenarios } from "../scenario/load.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { comparisonTrials, fitting, type NamedSides, referenceKernels, trialsOn } from "./wanted-trials.ts";

const scenario = (name: string, reference?: readonly [base: string, head: string], onRequest = false): Scenario =>
  ({
    name,
    ...(reference === undefined ? {} : { reference: { base: reference[0], head: reference[1], onRequest } }),
  }) as unknown as Scenario;

const ALL = [scenario("g/one", ["old", "new"]), scenario("g/none"), scenario("g/two", ["linux+bad", "new"])];
const words = (sides: NamedSides, scenarios = ALL, chosen = false) =>
  comparisonTrials(scenarios, sides, chosen).map(({ scenario: { name }, kernels }) => `${name}: ${kernels.join(" ")}`);

describe("a comparison", () => {
  test("without named kernels is of every scenario that has a reference, on its own two", () => {
    expect(words({})).toEqual(["g/one: old new", "g/two: linux+bad new"]);
  });

  test("with both named is of all scenarios, whatever their references", () => {
    expect(words({ base: "a", head: "b" })).toEqual(["g/one: a b", "g/none: a b", "g/two: a b"]);
  });

  test("with one named takes the other from the reference", () => {
    expect(words({ head: "mine" })).toEqual(["g/one: old mine", "g/two: linux+bad mine"]);
    expect(words({ base: "mine" })).toEqual(["g/one: mine new", "g/two: mine new"]);
  });

  test.each<NamedSides>([{}, { base: "a" }, { head: "b" }])(
    "of a scenario that lacks what is needed is refused: %o",
    sides => {
      expect(() => words(sides, ALL.slice(0, 2), true)).toThrow(
        "g/none has no reference kernels, so both have to be named: rig compare g/none --base A --head B",
      );
    },
  );

  test("of nothing is refused", () => {
    expect(() => words({}, [scenario("g/none")])).toThrow(/^No scenario has reference kernels/);
  });
});

describe("a reference on request", () => {
  const costly = [...ALL, scenario("g/costly", ["slow+kasan", "new"], true)];

  test("is compared when it is named, or when a kernel is", () => {
    expect(words({}, costly)).toEqual(["g/one: old new", "g/two: linux+bad new"]);
    expect(words({}, costly.slice(-1), true)).toEqual(["g/costly: slow+kasan new"]);
    expect(words({ head: "mine" }, costly)).toContain("g/costly: slow+kasan mine");
  });

  test("is nothing that set-up builds", () => {
    expect(referenceKernels(costly)).not.toContain("slow+kasan");
  });
});

test("of all scenarios, those whose instruments a kernel lacks are left out, in words", () => {
  const needing = (name: string, ...instruments: string[]) => ({ name, needs: { instruments } }) as unknown as Scenario;
  const kernel = (name: string, ...suffixes: string[]) => ({ name, suffixes }) as unknown as KernelSpec;
  const slow = kernel("linux+slow-stop", "slow-stop");
  const all = [
    { scenario: needing("g/any"), kernels: [kernel("plain")] },
    { scenario: needing("g/late", "slow-stop"), kernels: [slow] },
    { scenario: needing("g/later", "slow-stop"), kernels: [slow, kernel("plain")] },
  ];
  const { trials, leftOut } = fitting(all);
  expect(trials.map(({ scenario: { name } }) => name)).toEqual(["g/any", "g/late"]);
  expect(leftOut).toEqual(["g/later is left out: plain is without +slow-stop."]);
});

test("a run of one kernel asks for no reference", () => {
  expect(trialsOn(ALL, "k").map(({ kernels }) => kernels)).toEqual([["k"], ["k"], ["k"]]);
});

test("set-up needs each kernel of a reference once", () => {
  expect(referenceKernels(ALL)).toEqual(["old", "new", "linux+bad"]);
});

describe("the project's own scenarios", () => {
  test("name kernels that there are, two different ones each", async () => {
    const catalogue = await loadCatalogue();
    const scenarios = await loadScenarios([]);
    expect(scenarios.map(({ name, reference }) => [name, reference])).toContainEqual([
      "recovery/stale-write",
      { base: "debian-5.10", head: "debian-6.1", onRequest: false },
    ]);
    for (const { name, reference } of scenarios) {
      if (reference === undefined) continue;
      const [base, head] = [findKernel(catalogue, reference.base), findKernel(catalogue, reference.head)];
      expect([base.name, head.name], `${name}: written as they are called`).toEqual([reference.base, reference.head]);
      expect(base.name, name).not.toBe(head.name);
    }
  });
});
