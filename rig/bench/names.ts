/** The benchmarks by name, and the figures that each of them gives. */
import { RigError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";

export const BENCH_NAMES = ["lab-cold", "lab-restored", "restore-memory", "cell-overhead", "cells-per-hour"] as const;
export type BenchName = (typeof BENCH_NAMES)[number];

/** `lab-cold` gives two of them. */
export const FIGURE_NAMES = ["lab-cold", "lab-cold-login", ...BENCH_NAMES.slice(1)] as readonly FigureName[];
export type FigureName = BenchName | "lab-cold-login";

const isBenchName = (name: string): name is BenchName => (BENCH_NAMES as readonly string[]).includes(name);

/** The benchmarks that were asked for, each once and in the order they are measured in; all where none is named. */
export const chosenBenches = (given: readonly string[]): readonly BenchName[] => {
  for (const name of given) {
    if (isBenchName(name)) continue;
    throw new RigError(
      "RIG_USAGE",
      `There is no benchmark ${JSON.stringify(name.slice(0, 100))}. ${suggestion(name, BENCH_NAMES)}`,
      { blame: "usage" },
    );
  }
  return given.length === 0 ? BENCH_NAMES : BENCH_NAMES.filter(name => given.includes(name));
};
