/** The benchmarks by name, and the figures that each of them gives. */
import { RigError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";

/** Those that need no lab, and those that measure one. */
const LABLESS_NAMES = ["integrity-oracle", "history"] as const;
const LAB_NAMES = [
  "lab-cold",
  "lab-restored",
  "restore-memory",
  "ledger-4k",
  "ledger-64k",
  "cell-overhead",
  "cells-per-hour",
] as const;
export const BENCH_NAMES = [...LABLESS_NAMES, ...LAB_NAMES] as const;
export type BenchName = (typeof BENCH_NAMES)[number];

/** Some benchmarks give several. */
const FIGURES_OF = {
  "integrity-oracle": ["integrity-oracle", "integrity-tenfold", "integrity-memory", "integrity-mixed"],
  history: ["history-bytes", "history-record", "history-read"],
  "lab-cold": ["lab-cold", "lab-cold-login"],
  "lab-restored": ["lab-restored"],
  "restore-memory": ["restore-memory"],
  "ledger-4k": ["ledger-4k"],
  "ledger-64k": ["ledger-64k"],
  "cell-overhead": ["cell-overhead"],
  "cells-per-hour": ["cells-per-hour"],
} as const satisfies Record<BenchName, readonly string[]>;
export type FigureName = (typeof FIGURES_OF)[BenchName][number];
export const FIGURE_NAMES: readonly FigureName[] = BENCH_NAMES.flatMap(name => FIGURES_OF[name]);

/** Whether a benchmark measures a lab; for the others none is prepared. */
export const needsLab = (name: BenchName): boolean => (LAB_NAMES as readonly string[]).includes(name);

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
