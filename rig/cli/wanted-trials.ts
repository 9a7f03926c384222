/**
 * Which scenarios run on which kernels. Every scenario knows the two kernels that show its defect best, its reference; a
 * comparison takes from there whatever the command line does not say. So `rig compare` alone runs every reference
 * comparison, `--head MINE` asks whether a kernel has what the references' heads have, and with both kernels named the
 * references do not matter.
 */
import { RigError } from "../core/errors.ts";
import type { KernelSpec } from "../kernel/spec.ts";
import type { Scenario } from "../scenario/scenario.ts";

/** A scenario, and the kernels that it is to run on, as they were named. */
export interface WantedTrial {
  readonly scenario: Scenario;
  readonly kernels: readonly [string] | readonly [base: string, head: string];
}

export interface NamedSides {
  readonly base?: string;
  readonly head?: string;
}

const usage = (message: string): RigError => new RigError("RIG_USAGE", message, { blame: "usage" });

/** Scenarios on one kernel. */
export const trialsOn = (scenarios: readonly Scenario[], kernel: string): readonly WantedTrial[] =>
  scenarios.map(scenario => ({ scenario, kernels: [kernel] }));

/**
 * The comparisons of these scenarios. `chosen` tells that they were named, not all there are: of all, those without a
 * reference are left out where one is needed; one that was named has to have it.
 */
export const comparisonTrials = (
  scenarios: readonly Scenario[],
  { base, head }: NamedSides,
  chosen: boolean,
): readonly WantedTrial[] => {
  const trials = scenarios.flatMap((scenario): readonly WantedTrial[] => {
    if (!chosen && base === undefined && head === undefined && scenario.reference?.onRequest === true) return [];
    const sides = [base ?? scenario.reference?.base, head ?? scenario.reference?.head] as const;
    const [one, other] = sides;
    if (one !== undefined && other !== undefined) return [{ scenario, kernels: [one, other] }];
    if (!chosen) return [];
    throw usage(
      `${scenario.name} has no reference kernels, so both have to be named: rig compare ${scenario.name} --base A --head B`,
    );
  });
  if (trials.length > 0) return trials;
  throw usage("No scenario has reference kernels, so both have to be named: rig compare --base A --head B");
};

/** The names of kernels that the reference comparisons need, each once. */
export const referenceKernels = (scenarios: readonly Scenario[]): readonly string[] => [
  ...new Set(
    scenarios.flatMap(({ reference }) =>
      reference === undefined || reference.onRequest ? [] : [reference.base, reference.head],
    ),
  ),
];

/** A trial whose kernels' names were understood. */
export interface NamedTrial<K = readonly [KernelSpec] | readonly [KernelSpec, KernelSpec]> {
  readonly scenario: Scenario;
  readonly kernels: K;
}

/**
 * Of all scenarios, those that can run on their kernels: an instrument is built in by its suffix, and without it the cells would
 * be MISS. `leftOut` says in words what is left out, and why.
 */
export const fitting = <T extends NamedTrial<readonly KernelSpec[]>>(
  trials: readonly T[],
): { readonly trials: readonly T[]; readonly leftOut: readonly string[] } => {
  const leftOut: string[] = [];
  const fit = trials.filter(({ scenario, kernels }) => {
    const lacks = kernels.flatMap(kernel =>
      scenario.needs.instruments
        .filter(instrument => !kernel.suffixes.includes(instrument))
        .map(instrument => `${kernel.name} is without +${instrument}`),
    );
    if (lacks.length > 0) leftOut.push(`${scenario.name} is left out: ${lacks.join(", ")}.`);
    return lacks.length === 0;
  });
  return { trials: fit, leftOut };
};
