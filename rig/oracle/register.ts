/**
 * One sector as a register: is there an order of its writes and reads that explains everything that was seen? Each
 * operation takes effect at one moment between its invocation and its answer; a history with such an order is called
 * linearizable. For registers in general that is NP-complete to decide. It is easy here because every write is unique, so
 * every read says which write it saw (Gibbons and Korach, "Testing shared memories", SIAM J. Comput. 26, 1997).
 *
 * A write and the reads that saw it are a *cluster*, and in any valid order they stand together. Of a cluster only two
 * moments matter: its first answer (`minEnd`) and its last invocation (`maxStart`). Cluster X must come before Y if an
 * operation of X was answered before one of Y was invoked, that is if X.minEnd < Y.maxStart. There is a valid order
 * exactly if no read ends before its write begins and no two clusters must each come before the other: any longer cycle
 * contains such a pair, because the cluster with the least minEnd precedes every cluster that has a predecessor.
 *
 * A cluster with minEnd < maxStart is a *forward zone*, the time it certainly owned the sector; the others are *backward
 * zones*. Two clusters conflict where two forward zones overlap or a backward zone lies inside a forward one, so sorting
 * decides in O(n log n).
 *
 * Writes that failed or were never answered may have had no effect. Where nobody read one, leaving it out is always
 * allowed and never harms; where somebody did, it had its effect, no later than its error, or at any time if unanswered.
 */

/** The identity of the content before the first write. */
export const INITIAL = -1;

export interface RegisterWrite {
  readonly id: number;
  readonly startNs: number;
  /** Infinity where it was not answered. */
  readonly endNs: number;
  /** True where it was acknowledged: then it must have taken effect. */
  readonly required: boolean;
}

export interface RegisterRead {
  readonly id: number;
  /** The write whose data it returned, or INITIAL. */
  readonly of: number;
  readonly startNs: number;
  readonly endNs: number;
}

/** A write and the reads that saw it. */
export interface Cluster {
  readonly write: RegisterWrite;
  readonly reads: RegisterRead[];
  minEnd: number;
  maxStart: number;
}

const UNWRITTEN: RegisterWrite = {
  id: INITIAL,
  startNs: Number.NEGATIVE_INFINITY,
  endNs: Number.NEGATIVE_INFINITY,
  required: true,
};

export const clusterOf = (write: RegisterWrite): Cluster => ({
  write,
  reads: [],
  minEnd: write.endNs,
  maxStart: write.startNs,
});

export const addRead = (cluster: Cluster, read: RegisterRead): void => {
  cluster.reads.push(read);
  cluster.minEnd = Math.min(cluster.minEnd, read.endNs);
  cluster.maxStart = Math.max(cluster.maxStart, read.startNs);
};

type Zone = Pick<Cluster, "minEnd" | "maxStart">;

/** Whether an operation of `x` was answered before one of `y` was invoked. Equal moments leave both orders open. */
export const mustPrecede = (x: Zone, y: Zone): boolean => x.minEnd < y.maxStart;

/** Whether each must come before the other. */
export const conflicting = (x: Zone, y: Zone): boolean => mustPrecede(x, y) && mustPrecede(y, x);

/** All writes as clusters without reads, the initial content among them. */
export const clustersOf = (writes: readonly RegisterWrite[]): Map<number, Cluster> =>
  new Map([UNWRITTEN, ...writes].map(write => [write.id, clusterOf(write)]));

/** Whether the cluster takes part in the order: it must have had its effect. */
export const tookEffect = (cluster: Cluster): boolean => cluster.write.required || cluster.reads.length > 0;

const overlapping = (forward: readonly Zone[]): boolean =>
  forward.some((zone, index) => {
    const next = forward[index + 1];
    return next !== undefined && next.minEnd < zone.maxStart;
  });

/** Of zones sorted by minEnd, the last that begins before `moment`. */
const lastBefore = (forward: readonly Zone[], moment: number): Zone | undefined => {
  let low = 0;
  let high = forward.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((forward[middle] as Zone).minEnd < moment) low = middle + 1;
    else high = middle;
  }
  return forward[low - 1];
};

/**
 * Whether the reads and writes are linearizable, in O(n log n).
 * @param reads each of a write in `writes` or of INITIAL.
 */
export const isLinearizable = (writes: readonly RegisterWrite[], reads: readonly RegisterRead[]): boolean => {
  const clusters = clustersOf(writes);
  for (const read of reads) {
    const cluster = clusters.get(read.of);
    if (cluster === undefined || read.endNs < cluster.write.startNs) return false;
    addRead(cluster, read);
  }
  const zones = [...clusters.values()].filter(tookEffect);
  const forward = zones.filter(zone => zone.minEnd < zone.maxStart).sort((a, b) => a.minEnd - b.minEnd);
  if (overlapping(forward)) return false;
  return zones.every(zone => {
    if (zone.minEnd < zone.maxStart) return true;
    const around = lastBefore(forward, zone.maxStart);
    return around === undefined || !conflicting(around, zone);
  });
};
