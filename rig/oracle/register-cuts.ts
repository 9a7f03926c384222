/**
 * A register whose disk has a volatile cache, through power cuts. A cut at one moment between its two edges ends a *phase*:
 * what the sector holds afterwards is one value R that it held in the phase before, not older than any write that was
 * durable by then; that stays until it is written again. Within a phase it is an ordinary register. An operation whose
 * interval spans a cut may take effect before it, after it, or both; its acknowledgement proves nothing about either.
 * What was executed again within a phase has been made writes of its own (register-executions.ts).
 *
 * So a value may have several *holders* (register-holdings.ts). The holders of a value follow one another, and so do its
 * reads: of two reads of a value, that which was answered first may always be given to the earlier holder. What is left to
 * choose is where in the row of a value's reads, ordered by their answers, the next holder begins. Only an operation that
 * spans a cut leaves any choice, so there are few, and each is tried.
 *
 * With the holders known, the question is the ordinary one in every phase (register.ts), and three more: that what a cut
 * left comes first in its phase; that nothing of a phase must come before something of an earlier one; and that no durable
 * write D must come after R. If one must, then at once (R.minEnd < D.maxStart) or through one other zone X: of any longer
 * chain the first links can be left out, or two zones conflict.
 */
import { type RegisterRead, UNWRITTEN, type Zone, Zones } from "./register.ts";
import { type Course, coursesThroughCuts } from "./register-executions.ts";
import {
  type Cut,
  type CutWrite,
  type Held,
  type Holding,
  holdingsOf,
  isDurable,
  phaseOfHolder,
} from "./register-holdings.ts";

/** Steps that all choices of all courses may take before the question is left open, which counts as legal. */
const STEPS = 4_000_000;

interface Placed {
  readonly zone: Held;
  readonly durable: boolean;
}

/** One choice for every value, by phase. */
interface Timeline {
  /** What was written in each phase. */
  readonly written: Placed[][];
  /** What each cut left, as far as anybody saw it. */
  readonly left: (Held | undefined)[];
  /** Where that had stood in the phase before. */
  readonly sources: (Held | undefined)[];
}

const timelineOf = (holdings: readonly Holding[], cuts: readonly Cut[]): Timeline | undefined => {
  const written: Placed[][] = Array.from({ length: cuts.length + 1 }, () => []);
  const left: Timeline["left"] = cuts.map(() => undefined);
  const sources: Timeline["sources"] = cuts.map(() => undefined);
  for (const { write, held } of holdings) {
    for (const [index, zone] of held.entries()) {
      if (zone.holder % 2 === 0) {
        const phase = zone.holder / 2;
        const cut = cuts[phase];
        written[phase]?.push({ zone, durable: cut !== undefined && isDurable(write, cut) });
        continue;
      }
      const cut = (zone.holder - 1) / 2;
      if (left[cut] !== undefined) return undefined;
      left[cut] = zone;
      // The last holder of the phase before: its write, if it wrote then, came after what the cut before that left.
      const source = held[index - 1];
      sources[cut] = source !== undefined && phaseOfHolder(source.holder) === cut ? source : undefined;
    }
  }
  return { written, left, sources };
};

/** Whether some durable write of the phase must come after what the cut at its end left. */
const lostDurable = (source: Held, written: readonly Placed[]): boolean => {
  let latest = Number.NEGATIVE_INFINITY;
  for (const { zone, durable } of written) if (durable && zone !== source) latest = Math.max(latest, zone.maxStart);
  if (latest === Number.NEGATIVE_INFINITY) return false;
  // What an earlier cut left was there before anything was written.
  if (source.holder % 2 === 1 || source.minEnd < latest) return true;
  return written.some(({ zone }) => source.minEnd < zone.maxStart && zone.minEnd < latest);
};

/** Those of a value's holders that a cut left. */
const leftIn = ({ held }: Holding): number[] => held.map(({ holder }) => holder).filter(holder => holder % 2 === 1);

const scratch = new Zones();

const isOrdered = (written: readonly Placed[]): boolean => {
  scratch.clear();
  for (const { zone } of written) scratch.add(zone.maxStart, zone.minEnd, true);
  return scratch.consistent();
};

const isPossible = ({ written, left, sources }: Timeline, cuts: readonly Cut[]): boolean => {
  let before = Number.NEGATIVE_INFINITY;
  for (const [phase, placed] of written.entries()) {
    const cut = cuts[phase - 1];
    const first: Zone | undefined =
      cut === undefined ? undefined : (left[phase - 1] ?? { minEnd: cut.endNs, maxStart: cut.beginNs });
    if (first !== undefined && first.minEnd < before) return false;
    before = Math.max(before, first?.maxStart ?? before);
    if (placed.some(({ zone }) => zone.minEnd < before)) return false;
    if (!isOrdered(placed)) return false;
    const source = sources[phase];
    if (source !== undefined && lostDurable(source, placed)) return false;
    for (const { zone } of placed) before = Math.max(before, zone.maxStart);
  }
  return true;
};

const isPossibleCourse = ({ writes, reads }: Course, cuts: readonly Cut[], most: number): boolean => {
  const byValue = Map.groupBy(
    reads.toSorted((a, b) => a.endNs - b.endNs),
    ({ of }) => of,
  );
  const fixed: Holding[] = [];
  const open: Holding[][] = [];
  for (const write of [{ ...UNWRITTEN, fua: false }, ...writes]) {
    const ways = holdingsOf(write, byValue.get(write.id) ?? [], cuts);
    if (ways === undefined) return true;
    const [only] = ways;
    if (only === undefined) return false;
    if (ways.length === 1) fixed.push(only);
    else open.push(ways);
  }
  // A cut left one value. Whoever is asked for a second one need not be tried with all that the others might hold.
  const taken = new Set<number>();
  for (const holding of fixed)
    for (const holder of leftIn(holding)) {
      if (taken.has(holder)) return false;
      taken.add(holder);
    }
  let steps = 0;
  const tried = (chosen: readonly Holding[]): boolean => {
    const ways = open[chosen.length];
    if (ways !== undefined)
      return ways.some(way => {
        const left = leftIn(way);
        if (left.some(holder => taken.has(holder))) return false;
        for (const holder of left) taken.add(holder);
        const is = tried([...chosen, way]);
        for (const holder of left) taken.delete(holder);
        return is;
      });
    steps += writes.length + 1;
    if (steps > most) return true;
    const timeline = timelineOf([...fixed, ...chosen], cuts);
    return timeline !== undefined && isPossible(timeline, cuts);
  };
  return tried([]);
};

/**
 * Whether the reads and writes of a register are legal through power cuts.
 * @param reads each of a write in `writes` or of INITIAL, and none that ended before its write began.
 * @param cuts in their order, none overlapping another.
 */
export const isLegal = (writes: readonly CutWrite[], reads: readonly RegisterRead[], cuts: readonly Cut[]): boolean => {
  const courses = coursesThroughCuts(writes, reads, cuts);
  return courses.some(course => isPossibleCourse(course, cuts, STEPS / courses.length));
};
