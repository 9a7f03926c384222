/**
 * The guest's clock in terms of the host's. Somebody who asks for the time knows when he asked and when he was told: the answer
 * is of some moment between the two. Of several such exchanges together each narrows the difference further; the best of the
 * beginning and the best of the end give a line, and half the width of what is left is how far off it may be.
 */

export interface Exchange {
  /** Host's monotonic clock, when the question was sent and when the answer was there. */
  readonly sentNs: bigint;
  readonly receivedNs: bigint;
  readonly guestNs: bigint;
}

export interface ClockFit {
  /** The host's time, in ns, of a moment on the guest's clock. */
  readonly hostNs: (guestNs: number) => bigint;
  /** How far off it may be, between the first exchange and the last. */
  readonly skewNs: number;
}

/** What to add to the guest's clock, and by how much that may be wrong, at a moment of the guest's clock. */
interface Point {
  readonly guestNs: bigint;
  readonly offsetNs: bigint;
  readonly halfNs: bigint;
}

/** The narrowest bound that all exchanges of one moment agree on; the narrowest one alone where they do not. */
const pointOf = (exchanges: readonly Exchange[]): Point | undefined => {
  const bounds = exchanges
    .map(({ sentNs, receivedNs, guestNs }) => ({ guestNs, low: sentNs - guestNs, high: receivedNs - guestNs }))
    .filter(({ low, high }) => high >= low)
    .toSorted((a, b) => Number(a.high - a.low - (b.high - b.low)));
  const best = bounds[0];
  if (best === undefined) return undefined;
  let { low, high } = best;
  for (const bound of bounds) {
    const next = { low: bound.low > low ? bound.low : low, high: bound.high < high ? bound.high : high };
    if (next.high >= next.low) ({ low, high } = next);
  }
  return { guestNs: best.guestNs, offsetNs: (low + high) / 2n, halfNs: (high - low + 1n) / 2n };
};

/** A clock that ran off further than this was started anew between the two. */
const MAX_DRIFT_NS = 200_000_000;

/**
 * Fits a line through the exchanges of a beginning and those of an end; undefined where there is none at all, and where the two
 * cannot be of one clock.
 */
export const fitClock = (begin: readonly Exchange[], end: readonly Exchange[]): ClockFit | undefined => {
  const [first, last] = [pointOf(begin) ?? pointOf(end), pointOf(end) ?? pointOf(begin)];
  if (first === undefined || last === undefined) return undefined;
  const spanNs = Number(last.guestNs - first.guestNs);
  const driftNs = Number(last.offsetNs - first.offsetNs);
  if (spanNs < 0 || Math.abs(driftNs) > MAX_DRIFT_NS + spanNs / 20) return undefined;
  return {
    hostNs: guestNs => {
      // Beyond the two nobody knows how it ran.
      const along = spanNs === 0 ? 0 : Math.min(1, Math.max(0, (guestNs - Number(first.guestNs)) / spanNs));
      return BigInt(Math.round(guestNs)) + first.offsetNs + BigInt(Math.round(along * driftNs));
    },
    skewNs: Number(first.halfNs > last.halfNs ? first.halfNs : last.halfNs),
  };
};
