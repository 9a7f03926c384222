/**
 * Which reads make a sector's history impossible, and what they should have seen. That no order explains a history is a
 * property of the whole; a person wants to know which read was wrong. So the reads are taken in the order in which they
 * were answered, and each is judged against the acknowledged writes and the reads already believed: the first that fits
 * no order is a culprit and is left out of what follows. The believed part always has a valid order, and leaving reads
 * out never spoils one, so there is a culprit exactly where the history is not linearizable.
 */
import { type Cluster, countBelow, GrowingZones } from "./diagnosis-zones.ts";
import { INITIAL, type RegisterRead, type RegisterWrite, UNWRITTEN } from "./register.ts";

/** How many rivals of one read are told, how many candidates for "what should have been there" are weighed and named. */
export const RIVALS = 16;
const CANDIDATES = 64;
const NAMED = 8;
/** How many writes are looked at for candidates. */
const LOOKED_AT = 1024;

export interface Culprit {
  readonly read: RegisterRead;
  /** The cluster the read belongs to, without it. */
  readonly found: Readonly<Cluster>;
  /** The clusters that forbid it: each certainly came after the found data and before the read. Newest first, at most RIVALS. */
  readonly rivals: readonly Readonly<Cluster>[];
}

export interface Diagnosis {
  readonly culprits: readonly Culprit[];
  /**
   * The writes whose data a read over this span may legally have returned, newest first and at most eight; INITIAL stands
   * for the content before the first write.
   */
  legalAt(startNs: number, endNs: number): number[];
}

/** Reads in the order in which they were answered. */
export const inOrder = (reads: readonly RegisterRead[]): RegisterRead[] =>
  [...reads].sort((a, b) => a.endNs - b.endNs || a.startNs - b.startNs);

export const newestFirst = (a: Readonly<Cluster>, b: Readonly<Cluster>): number => b.write.startNs - a.write.startNs;

/** Names the writes that a read may have returned as far as the writes alone tell, newest first. */
export class Candidates {
  readonly #byStart: readonly RegisterWrite[];
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  /** The latest invocation among the writes up to each of `#ends`. */
  readonly #latest: Float64Array;

  constructor(writes: readonly RegisterWrite[]) {
    this.#byStart = [...writes].sort((a, b) => a.startNs - b.startNs);
    this.#starts = new Float64Array(this.#byStart.map(({ startNs }) => startNs));
    const done = writes.filter(({ required }) => required).sort((a, b) => a.endNs - b.endNs);
    this.#ends = new Float64Array(done.map(({ endNs }) => endNs));
    this.#latest = new Float64Array(done.length);
    let latest = Number.NEGATIVE_INFINITY;
    done.forEach(({ startNs }, index) => {
      latest = Math.max(latest, startNs);
      this.#latest[index] = latest;
    });
  }

  /** Those that had begun by `endNs` and were not over when the newest began that was itself over before `startNs`. */
  *over(startNs: number, endNs: number, all = false): Generator<RegisterWrite> {
    const replaced = countBelow(this.#ends, startNs) - 1;
    const replacedNs = replaced < 0 || all ? Number.NEGATIVE_INFINITY : (this.#latest[replaced] as number);
    let place = countBelow(this.#starts, endNs);
    while (place < this.#starts.length && this.#starts[place] === endNs) place++;
    const least = Math.max(0, place - LOOKED_AT);
    for (place--; place >= least; place--) {
      const write = this.#byStart[place] as RegisterWrite;
      if (write.endNs >= replacedNs) yield write;
    }
    if (replacedNs === Number.NEGATIVE_INFINITY) yield UNWRITTEN;
  }

  /** The first eight of those that `legal` accepts. */
  named(startNs: number, endNs: number, legal: (id: number) => boolean, weighed = CANDIDATES, all = false): number[] {
    const found: number[] = [];
    let asked = 0;
    for (const { id } of this.over(startNs, endNs, all)) {
      if (id !== INITIAL && ++asked > weighed) continue;
      if (legal(id)) found.push(id);
      if (found.length === NAMED) break;
    }
    return found;
  }
}

/**
 * The culprits of a history.
 * @param reads each of a write in `writes` or of INITIAL, and none that ended before its write began.
 */
export const diagnose = (writes: readonly RegisterWrite[], reads: readonly RegisterRead[]): Diagnosis => {
  const zones = new GrowingZones(writes, reads);
  const culprits: Culprit[] = [];
  for (const read of inOrder(reads)) {
    const own = zones.clusters.get(read.of);
    if (own === undefined) continue;
    const rivals = zones.rivals(own, read.startNs, read.endNs, RIVALS);
    if (rivals.length === 0) zones.add(read);
    else culprits.push({ read, found: { ...own }, rivals: rivals.map(rival => ({ ...rival })).sort(newestFirst) });
  }
  let candidates: Candidates | undefined;
  return {
    culprits,
    legalAt(startNs, endNs) {
      candidates ??= new Candidates(writes);
      return candidates.named(startNs, endNs, id => {
        const own = zones.clusters.get(id);
        return own !== undefined && zones.rivals(own, startNs, endNs, 1).length === 0;
      });
    },
  };
};
