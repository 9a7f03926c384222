import { expect, test } from "vitest";
import { exitStatusOf } from "../core/errors.ts";
import { BENCH_NAMES, chosenBenches, FIGURE_NAMES, needsLab } from "./names.ts";

test("all where none is named", () => {
  expect(chosenBenches([])).toEqual(BENCH_NAMES);
});

test("each once, in the order they are measured in", () => {
  expect(chosenBenches(["cells-per-hour", "lab-cold", "cells-per-hour"])).toEqual(["lab-cold", "cells-per-hour"]);
});

test("judging and writing histories needs no lab", () => {
  expect(BENCH_NAMES.filter(name => !needsLab(name))).toEqual(["integrity-oracle", "history"]);
});

test("no two figures have one name", () => {
  expect(new Set(FIGURE_NAMES).size).toBe(FIGURE_NAMES.length);
});

test.each([
  ["lab-restore", 'There is no benchmark "lab-restore". Did you mean lab-restored?'],
  [
    "throughput",
    'There is no benchmark "throughput". There are: integrity-oracle, history, lab-cold, lab-restored, restore-memory, ledger-4k, ledger-64k, cell-overhead, cells-per-hour.',
  ],
])("%s is unusable input, told in one message", (name, message) => {
  let error: unknown;
  try {
    chosenBenches(["lab-cold", name]);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: "RIG_USAGE", message });
  expect(exitStatusOf(error)).toBe(2);
});
