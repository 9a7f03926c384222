/**
 * Could the difference between two kernels be chance? Fisher's exact test answers for counts of any size, small ones
 * included: given how many cells failed in all, how likely is it that they fall on the two kernels as unevenly as this,
 * or more so, if the kernels were the same?
 */

const lnFactorials: number[] = [0];

/** The natural logarithm of n!, from a table that grows as needed. */
const lnFactorial = (n: number): number => {
  for (let i = lnFactorials.length; i <= n; i++) lnFactorials.push((lnFactorials[i - 1] as number) + Math.log(i));
  return lnFactorials[n] as number;
};

const lnChoose = (n: number, k: number): number => lnFactorial(n) - lnFactorial(k) - lnFactorial(n - k);

/** Tables whose probability differs by less than this share are equally likely; the rest is rounding. */
const ROUNDING = 1e-7;

/**
 * The two-sided p of the table [[a, b], [c, d]]: the sum of the probabilities of all tables with the same margins that
 * are no likelier than this one (the definition R's fisher.test uses). 1 where a margin is empty.
 */
export const fisherExact = (a: number, b: number, c: number, d: number): number => {
  const row = a + b;
  const column = a + c;
  const all = a + b + c + d;
  const lnAll = lnChoose(all, column);
  const lnProbability = (x: number): number => lnChoose(row, x) + lnChoose(all - row, column - x) - lnAll;
  const observed = lnProbability(a) + ROUNDING;
  let sum = 0;
  for (let x = Math.max(0, column - (all - row)); x <= Math.min(row, column); x++) {
    const ln = lnProbability(x);
    if (ln <= observed) sum += Math.exp(ln);
  }
  return Math.min(1, sum);
};

/**
 * The highest rate of failure that `runs` runs without a failure leave possible, with 95 % confidence: the rate at which
 * such luck would have a chance of 1 in 20. The rule of three (3 / runs) approximates it.
 */
export const highestHiddenRate = (runs: number): number => (runs === 0 ? 1 : 1 - 0.05 ** (1 / runs));
