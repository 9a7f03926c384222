/**
 * A trial: a scenario, and the kernels that it runs on. The trials of a run need not have kernels in common: a scenario is
 * best shown by the two kernels that differ in what it is about. A run's cells are its trials' scenarios, each on its own
 * kernels, times the seeds; kernels that another scenario brought along are not crossed with it.
 */
import type { Kernel } from "../kernel/kernel.ts";
import type { CellSummary, Comparison } from "../results/schema.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { compare, sideOf } from "../verdict/compare.ts";

export interface Trial {
  readonly scenario: Scenario;
  /** One kernel to run, or base and head to compare. */
  readonly kernels: readonly [Kernel] | readonly [Kernel, Kernel];
}

/** A cell that is to run, under its names. */
export interface Plan {
  readonly scenario: string;
  readonly kernel: string;
  readonly seed: number;
  readonly what: { readonly scenario: Scenario; readonly kernel: Kernel };
}

/** Every cell, scenario by scenario, and within one seed by seed with base and head. */
export const planOf = (trials: readonly Trial[], seeds: readonly number[]): readonly Plan[] =>
  trials.flatMap(({ scenario, kernels }) =>
    seeds.flatMap(seed =>
      kernels.map(kernel => ({ scenario: scenario.name, kernel: kernel.name, seed, what: { scenario, kernel } })),
    ),
  );

/** The kernels of all trials, each once, in the order in which they are first needed. */
export const kernelsOf = (trials: readonly Trial[]): readonly Kernel[] => [
  ...new Map(trials.flatMap(({ kernels }) => kernels).map(kernel => [kernel.name, kernel])).values(),
];

/** What the cells so far say of one trial; undefined where it has no two kernels. */
export const comparisonOf = ({ scenario, kernels }: Trial, cells: readonly CellSummary[]): Comparison | undefined => {
  const [base, head] = kernels;
  if (head === undefined) return undefined;
  const side = ({ name }: Kernel) =>
    sideOf(
      name,
      cells.filter(cell => cell.scenario === scenario.name && cell.kernel === name).map(cell => cell.status),
    );
  return compare(scenario.name, side(base), side(head));
};
