/**
 * Which reads make a sector's history impossible, and what they should have seen. That no order explains a history is a
 * property of the whole; a person wants to know which read was wrong. So the reads are taken in the order in which they
 * were answered, and each is judged against the acknowledged writes and the reads already believed: the first that fits
 * no order is a culprit and is left out of what follows. The believed part always has a valid order, and leaving reads
 * out never spoils one, so there is a culprit exactly where the history is not linearizable.
 */
import {
  addRead,
  type Cluster,
  clustersOf,
  conflicting,
  type RegisterRead,
  type RegisterWrite,
  tookEffect,
} from "./register.ts";

/** How many candidates for "what should have been there" are weighed, and how many are named. */
const CANDIDATES = 64;
const NAMED = 8;

export interface Culprit {
  readonly read: RegisterRead;
  /** The cluster the read belongs to, without it. */
  readonly found: Cluster;
  /** The clusters that forbid it: each certainly came after the found data and before the read. Newest first. */
  readonly rivals: readonly Cluster[];
}

export interface Diagnosis {
  readonly culprits: readonly Culprit[];
  /** The reads that are believed, in their clusters. */
  readonly clusters: ReadonlyMap<number, Cluster>;
}

const newestFirst = (a: Cluster, b: Cluster): number => b.write.startNs - a.write.startNs;

const rivalsOf = (clusters: ReadonlyMap<number, Cluster>, own: Cluster, startNs: number, endNs: number): Cluster[] => {
  const withRead = { minEnd: Math.min(own.minEnd, endNs), maxStart: Math.max(own.maxStart, startNs) };
  return [...clusters.values()].filter(other => other !== own && tookEffect(other) && conflicting(withRead, other));
};

const copyOf = (cluster: Cluster): Cluster => ({ ...cluster, reads: [...cluster.reads] });

/**
 * The culprits of a history.
 * @param reads each of a write in `writes` or of INITIAL, and none that ended before its write began.
 */
export const diagnose = (writes: readonly RegisterWrite[], reads: readonly RegisterRead[]): Diagnosis => {
  const clusters = clustersOf(writes);
  const culprits: Culprit[] = [];
  for (const read of [...reads].sort((a, b) => a.endNs - b.endNs || a.startNs - b.startNs)) {
    const own = clusters.get(read.of);
    if (own === undefined) continue;
    const rivals = rivalsOf(clusters, own, read.startNs, read.endNs);
    if (rivals.length === 0) addRead(own, read);
    else culprits.push({ read, found: copyOf(own), rivals: rivals.map(copyOf).sort(newestFirst) });
  }
  return { culprits, clusters };
};

/**
 * The writes whose data a read over this span may legally have returned, newest first and at most eight; INITIAL stands
 * for the content before the first write. `clusters` hold the reads that are believed.
 */
export const legalValues = (clusters: ReadonlyMap<number, Cluster>, startNs: number, endNs: number): number[] => {
  const all = [...clusters.values()];
  // Whatever was over before the newest write that was itself over before the read began has been replaced.
  const replacedNs = all
    .filter(({ write }) => write.required && write.endNs < startNs)
    .reduce((latest, { write }) => Math.max(latest, write.startNs), Number.NEGATIVE_INFINITY);
  return all
    .filter(({ write }) => write.startNs <= endNs && write.endNs >= replacedNs)
    .sort(newestFirst)
    .slice(0, CANDIDATES)
    .filter(cluster => rivalsOf(clusters, cluster, startNs, endNs).length === 0)
    .slice(0, NAMED)
    .map(({ write }) => write.id);
};
