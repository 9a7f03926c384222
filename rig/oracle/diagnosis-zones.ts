/**
 * Clusters that grow while they are asked which of them forbid a read. Each stands at its `minEnd` among all moments at
 * which a cluster may ever end, in a tree that knows the greatest `maxStart` of every stretch of them; so to ask "which
 * ended before this moment and began after that one" costs a few steps for each answer, not one for each cluster.
 */
import { type RegisterRead, type RegisterWrite, UNWRITTEN, type Zone } from "./register.ts";
import { executionOf, isEarly } from "./register-executions.ts";

/** A write and the late reads of it that are believed, or an earlier execution of it and the read that saw it. */
export interface Cluster extends Zone {
  readonly write: RegisterWrite;
  maxStart: number;
  /** Whether any of the reads saw it. */
  seen: boolean;
}

/** So many executions of one write, on average, are looked at to find those of others. */
const EXECUTIONS = 4;
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
  /** Where the cluster of a write stands. */
  readonly #places = new Map<number, number>();
  readonly #taken = new Map<number, number>();

  /** @param reads every read that may be added. */
  constructor(writes: readonly RegisterWrite[], reads: readonly RegisterRead[]) {
    const all = [UNWRITTEN, ...writes];
    const byId = new Map(all.map(write => [write.id, write]));
    const early = reads.flatMap(read => {
      const write = byId.get(read.of);
      return write !== undefined && isEarly(write, read) ? [executionOf(write, read).minEnd] : [];
    });
    this.#moments = [...all.map(({ endNs }) => endNs), ...early].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    this.#at = Array.from({ length: this.#moments.length });
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(2, this.#moments.length)));
    this.#tree = new Array<number>(2 * this.#leaves).fill(NONE);
    for (const write of all) {
      const cluster = { write, minEnd: write.endNs, maxStart: write.startNs, seen: false };
      this.clusters.set(write.id, cluster);
      this.#places.set(write.id, this.#stand(cluster));
    }
  }

  /** Adds a read that is believed. */
  add(read: RegisterRead): void {
    const cluster = this.clusters.get(read.of);
    if (cluster === undefined) return;
    if (isEarly(cluster.write, read)) {
      this.#stand({ write: cluster.write, ...executionOf(cluster.write, read), seen: true });
      return;
    }
    cluster.seen = true;
    cluster.maxStart = Math.max(cluster.maxStart, read.startNs);
    this.#put(this.#places.get(read.of) ?? 0, cluster);
  }

  /**
   * Those that certainly had their effect after `own` and before a read of it over this span, or around that read where it
   * may have an execution of its own; `most` at most, latest first, and one of each write.
   */
  rivals(own: Cluster, startNs: number, endNs: number, most: number): Cluster[] {
    const span = { startNs, endNs };
    const early = isEarly(own.write, span);
    const { minEnd, maxStart } = early ? executionOf(own.write, span) : own;
    return this.#between(minEnd, early ? maxStart : Math.max(maxStart, startNs), own, most);
  }

  #between(minEnd: number, maxStart: number, own: Cluster, most: number): Cluster[] {
    const found: Cluster[] = [];
    // Most reads have no rival, and most of those that have need no second look.
    this.#collect(1, 0, this.#leaves, countBelow(this.#moments, maxStart), minEnd, own, EXECUTIONS * most, found);
    const writes = new Set<RegisterWrite>();
    return found.filter(({ write }) => writes.size < writes.add(write).size).slice(0, most);
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
      if (cluster !== undefined && cluster.write !== own.write) found.push(cluster);
      return;
    }
    const middle = (first + after) / 2;
    this.#collect(2 * node + 1, middle, after, limit, minEnd, own, most, found);
    this.#collect(2 * node, first, middle, limit, minEnd, own, most, found);
  }

  /** Gives the cluster the next free place of its moment: there is one for every write and every early read. */
  #stand(cluster: Cluster): number {
    const first = countBelow(this.#moments, cluster.minEnd);
    const used = this.#taken.get(first) ?? 0;
    this.#taken.set(first, used + 1);
    this.#put(first + used, cluster);
    return first + used;
  }

  #put(place: number, cluster: Cluster): void {
    this.#at[place] = cluster;
    const effect = cluster.write.required || cluster.seen;
    let node = this.#leaves + place;
    this.#tree[node] = effect ? cluster.maxStart : NONE;
    for (node >>= 1; node >= 1; node >>= 1)
      this.#tree[node] = Math.max(this.#tree[2 * node] as number, this.#tree[2 * node + 1] as number);
  }
}
