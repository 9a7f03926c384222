/**
 * Clusters that grow while they are asked which of them forbid a read. Each stands at its `minEnd` among all moments at
 * which a cluster may ever end, in a tree that knows the greatest `maxStart` of every stretch of them; so to ask "which
 * ended before this moment and began after that one" costs a few steps for each answer, not one for each cluster.
 */
import { type RegisterRead, type RegisterWrite, UNWRITTEN, type Zone } from "./register.ts";

/** A write and the reads of it that are believed. */
export interface Cluster extends Zone {
  readonly write: RegisterWrite;
  minEnd: number;
  maxStart: number;
  /** How many believed reads saw it. */
  seen: number;
}

const NONE = Number.NEGATIVE_INFINITY;

/** How many members of the sorted list are less than `value`. */
export const countBelow = (sorted: ArrayLike<number>, value: number): number => {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
};

export class GrowingZones {
  readonly clusters = new Map<number, Cluster>();
  /** The moments at which a cluster may end, in order; several may be the same moment. */
  readonly #moments: readonly number[];
  readonly #at: (Cluster | undefined)[];
  readonly #tree: number[];
  readonly #leaves: number;
  readonly #places = new Map<Cluster, number>();
  readonly #taken = new Map<number, number>();

  /** @param reads every read that may be added. */
  constructor(writes: readonly RegisterWrite[], reads: readonly RegisterRead[]) {
    const all = [UNWRITTEN, ...writes];
    this.#moments = [...all, ...reads].map(({ endNs }) => endNs).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    this.#at = Array.from({ length: this.#moments.length });
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(2, this.#moments.length)));
    this.#tree = new Array<number>(2 * this.#leaves).fill(NONE);
    for (const write of all) {
      const cluster = { write, minEnd: write.endNs, maxStart: write.startNs, seen: 0 };
      this.clusters.set(write.id, cluster);
      this.#stand(cluster);
    }
  }

  /** Adds a read that is believed. */
  add(read: RegisterRead): void {
    const cluster = this.clusters.get(read.of);
    if (cluster === undefined) return;
    cluster.seen++;
    cluster.maxStart = Math.max(cluster.maxStart, read.startNs);
    if (read.endNs < cluster.minEnd) {
      this.#put(this.#places.get(cluster) ?? 0, undefined);
      cluster.minEnd = read.endNs;
      this.#stand(cluster);
    } else {
      this.#put(this.#places.get(cluster) ?? 0, cluster);
    }
  }

  /** Those that certainly had their effect after `own` and before a read of it over this span; `most` at most, latest first. */
  rivals(own: Cluster, startNs: number, endNs: number, most: number): Cluster[] {
    const minEnd = Math.min(own.minEnd, endNs);
    const maxStart = Math.max(own.maxStart, startNs);
    const found: Cluster[] = [];
    // Most reads have no rival, and most of those that have need no second look.
    this.#collect(1, 0, this.#leaves, countBelow(this.#moments, maxStart), minEnd, own, most, found);
    return found;
  }

  #collect(
    node: number,
    first: number,
    after: number,
    limit: number,
    minEnd: number,
    own: Cluster,
    most: number,
    found: Cluster[],
  ): void {
    if (first >= limit || found.length >= most || !((this.#tree[node] as number) > minEnd)) return;
    if (after - first === 1) {
      const cluster = this.#at[first];
      if (cluster !== undefined && cluster !== own) found.push(cluster);
      return;
    }
    const middle = (first + after) / 2;
    this.#collect(2 * node + 1, middle, after, limit, minEnd, own, most, found);
    this.#collect(2 * node, first, middle, limit, minEnd, own, most, found);
  }

  /** Gives the cluster the next free place of its moment: there is one for every write and read. */
  #stand(cluster: Cluster): void {
    const first = countBelow(this.#moments, cluster.minEnd);
    const used = this.#taken.get(first) ?? 0;
    this.#taken.set(first, used + 1);
    this.#places.set(cluster, first + used);
    this.#put(first + used, cluster);
  }

  #put(place: number, cluster: Cluster | undefined): void {
    this.#at[place] = cluster;
    const effect = cluster !== undefined && (cluster.write.required || cluster.seen > 0);
    let node = this.#leaves + place;
    this.#tree[node] = effect ? cluster.maxStart : NONE;
    for (node >>= 1; node >= 1; node >>= 1)
      this.#tree[node] = Math.max(this.#tree[2 * node] as number, this.#tree[2 * node + 1] as number);
  }
}
