/** Pseudo-random numbers that a seed repeats exactly (mulberry32). */
export interface Rng {
  /** A number in [0, 1). */
  next(): number;
  /** An integer in [from, to]. */
  integer(from: number, to: number): number;
}

export const createRng = (seed: number): Rng => {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x = (x + Math.imul(x ^ (x >>> 7), x | 61)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, integer: (from, to) => from + Math.floor(next() * (to - from + 1)) };
};
