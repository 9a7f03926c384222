/** What is told of repeated measurements: the median, which one slow try does not move, and how far they lie apart. */
import { RigError } from "../core/errors.ts";

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly count: number;
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export const median = (samples: readonly number[]): number => {
  const sorted = samples.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[Math.max(0, sorted.length % 2 === 0 ? half - 1 : half)], sorted[half]];
  if (low === undefined || high === undefined)
    throw new RigError("RIG_BUG", "Expected measurements to take the median of; there are none.");
  return (low + high) / 2;
};

export const spreadOf = (samples: readonly number[]): Spread => ({
  median: median(samples),
  least: Math.min(...samples),
  most: Math.max(...samples),
  count: samples.length,
});
