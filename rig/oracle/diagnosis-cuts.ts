/**
 * Which reads are wrong where a volatile cache lost its power. As in diagnosis.ts the first read that fits no course of
 * events is a culprit and is left out of what follows; here the question has to be asked of all reads so far at once
 * (register-cuts.ts), and since more reads never make a history legal, the first is found by halving.
 */
import { Candidates, type Culprit, type Diagnosis, inOrder, newestFirst, RIVALS } from "./diagnosis.ts";
import { type Cluster, GrowingZones } from "./diagnosis-zones.ts";
import { INITIAL, type RegisterRead } from "./register.ts";
import { isLegal } from "./register-cuts.ts";
import { type Cut, type CutWrite, isDurable } from "./register-holdings.ts";

/** Operations that may be looked at in all before the reads that are left go unjudged: a few seconds. */
const LOOKS = 20_000_000;
/** Of how many candidates for "what should have been there" each is tried, at most. */
const WEIGHED = 16;

export interface CutCulprit extends Culprit {
  /** A newer write that had to survive a cut and was gone after it: the cut's number. */
  readonly lost?: { readonly id: number; readonly cut: number };
}

export interface CutDiagnosis extends Diagnosis {
  readonly culprits: readonly CutCulprit[];
}

/** How many of the reads, in order, may be believed with those that are. */
const believable = (
  writes: readonly CutWrite[],
  believed: readonly RegisterRead[],
  reads: readonly RegisterRead[],
  cuts: readonly Cut[],
): number => {
  let low = 0;
  let high = reads.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (isLegal(writes, [...believed, ...reads.slice(0, middle)], cuts)) low = middle;
    else high = middle;
  }
  return low;
};

/** What forbids the read: what had to be there in spite of the cut before it. */
const culpritOf = (
  read: RegisterRead,
  writes: readonly CutWrite[],
  believed: readonly RegisterRead[],
  cuts: readonly Cut[],
): CutCulprit | undefined => {
  const zones = new GrowingZones(writes, [...believed, read]);
  for (const other of believed) zones.add(other);
  const own = zones.clusters.get(read.of);
  if (own === undefined) return undefined;
  const last = cuts.findLastIndex(({ endNs }) => endNs < read.startNs);
  const lastEndNs = cuts[last]?.endNs ?? Number.NEGATIVE_INFINITY;
  const seenSince = (id: number, ns: number) => believed.some(({ of, startNs }) => of === id && startNs > ns);
  const byId = new Map(writes.map(write => [write.id, write]));
  /** The first cut that the write had to survive and after which nobody saw it. */
  const lostAt = (id: number): number =>
    cuts.findIndex((cut, index) => {
      const write = byId.get(id);
      return index <= last && write !== undefined && isDurable(write, cut) && !seenSince(id, cut.endNs);
    });
  const counts = ({ write }: Cluster) =>
    write.startNs > lastEndNs || lostAt(write.id) >= 0 || seenSince(write.id, lastEndNs);
  const rivals = zones.rivals(own, read.startNs, read.endNs, RIVALS).filter(counts).sort(newestFirst);
  const instead = believed.findLast(({ of, startNs }) => of !== read.of && startNs > lastEndNs);
  if (rivals.length === 0) {
    // Several writes together forbid it: it tells the most to name one that did not survive.
    const gone = [...zones.clusters.values()].filter(({ write }) => write.id !== read.of && lostAt(write.id) >= 0);
    const other = gone.sort(newestFirst)[0] ?? zones.clusters.get(instead?.of ?? read.of);
    if (other !== undefined && other !== own) rivals.push(other);
  }
  // Where anything else forbids it too, it is no loss: that data came over what was there after the cut.
  const losses = rivals.map(({ write }) => ({ id: write.id, cut: lostAt(write.id) }));
  const lost = losses.every(({ cut }) => cut >= 0) ? losses[0] : undefined;
  const found = { read, found: { ...own }, rivals: rivals.map(rival => ({ ...rival })) };
  return lost === undefined ? found : { ...found, lost };
};

/** The culprits of a history; see `isLegal`. */
export const diagnoseThroughCuts = (
  writes: readonly CutWrite[],
  reads: readonly RegisterRead[],
  cuts: readonly Cut[],
): CutDiagnosis => {
  const believed: RegisterRead[] = [];
  const culprits: CutCulprit[] = [];
  const each = writes.length + reads.length;
  const turn = each * (2 + Math.ceil(Math.log2(reads.length + 1)));
  let left = LOOKS;
  let rest = inOrder(reads);
  while (left > 0 && !isLegal(writes, [...believed, ...rest], cuts)) {
    const good = believable(writes, believed, rest, cuts);
    believed.push(...rest.slice(0, good));
    const culprit = rest[good] === undefined ? undefined : culpritOf(rest[good], writes, believed, cuts);
    if (culprit !== undefined) culprits.push(culprit);
    rest = rest.slice(good + 1);
    left -= turn;
  }
  if (left > 0) believed.push(...rest);
  const candidates = new Candidates(writes);
  return {
    culprits,
    legalAt(startNs, endNs) {
      if (left <= 0) return [];
      left -= WEIGHED * each;
      const fits = (of: number) => isLegal(writes, [...believed, { id: INITIAL, of, startNs, endNs }], cuts);
      return candidates.named(startNs, endNs, fits, WEIGHED, true);
    },
  };
};
