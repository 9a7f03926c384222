import { expect, test } from "vitest";
import { exitStatusOf } from "../core/errors.ts";
import { BENCH_NAMES, chosenBenches } from "./names.ts";

test("all where none is named", () => {
  expect(chosenBenches([])).toEqual(BENCH_NAMES);
});

test("each once, in the order they are measured in", () => {
  expect(chosenBenches(["cells-per-hour", "lab-cold", "cells-per-hour"])).toEqual(["lab-cold", "cells-per-hour"]);
});

test.each([
  ["lab-restore", 'There is no benchmark "lab-restore". Did you mean lab-restored?'],
  [
    "throughput",
    'There is no benchmark "throughput". There are: lab-cold, lab-restored, restore-memory, cell-overhead, cells-per-hour.',
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
