/**
 * A write may be executed more than once. Where a path dies between a command's execution and its response, the initiator
 * cannot know and sends it again, and as long as the write has no answer that is right: it is under way all the time, and
 * what is written beside it has no order with it. After its answer, good or bad, it is never executed again.
 *
 * A read that began before the write was answered may have seen an execution of its own, and to believe so never harms:
 * an execution right before the read changes nothing that was there. So it is one of the moments that the lives of both
 * share. A read that began later saw the last execution of all. So the question stays that of register.ts, with one
 * cluster for the late reads of a write and one for each of its early reads, and stays exact.
 */

import { INITIAL, type RegisterRead, type RegisterWrite, UNWRITTEN, type Zone, Zones } from "./register.ts";
import type { Cut, CutWrite } from "./register-holdings.ts";

/** Whether the read may have seen an execution of the write that nobody else saw. Equal moments leave it open. */
export const isEarly = (write: RegisterWrite, read: { readonly startNs: number }): boolean =>
  read.startNs <= write.endNs;

/** Where the execution that an early read saw may stand together with it. */
export const executionOf = (
  write: RegisterWrite,
  read: { readonly startNs: number; readonly endNs: number },
): Zone => ({
  minEnd: Math.min(write.endNs, read.endNs),
  maxStart: Math.max(write.startNs, read.startNs),
});

/** Of how many reads of either kind both are tried; of any others neither. */
const UNDECIDED = 4;

/** Writes and reads in which every execution that one read alone saw is a write of its own. */
export interface Course {
  readonly writes: readonly CutWrite[];
  readonly reads: readonly RegisterRead[];
}

/**
 * The courses of events through power cuts. An early read that spans a cut and the answer of its write may have been taken
 * after that, when nothing can be executed any more; so it is tried as an early one and as a late one. Where there are many
 * such reads some are left out, which never makes a legal history illegal.
 */
export const coursesThroughCuts = (
  writes: readonly CutWrite[],
  reads: readonly RegisterRead[],
  cuts: readonly Cut[],
): Course[] => {
  const byId = new Map(writes.map(write => [write.id, write]));
  const executions: CutWrite[] = [];
  const sure: RegisterRead[] = [];
  const unsure: [early: RegisterRead, late: RegisterRead][] = [];
  for (const read of reads) {
    const write = byId.get(read.of);
    if (write === undefined || !isEarly(write, read)) {
      sure.push(read);
      continue;
    }
    const { minEnd: endNs, maxStart: startNs } = executionOf(write, read);
    const id = INITIAL - executions.length - 1;
    executions.push({ ...write, id, startNs, endNs, answeredNs: write.endNs });
    const early = { id: read.id, of: id, startNs, endNs };
    const spans = cuts.some(cut => read.startNs <= cut.endNs && read.endNs >= cut.beginNs);
    if (spans && read.endNs >= write.endNs) unsure.push([early, { ...read, startNs: write.endNs }]);
    else sure.push(early);
  }
  const choices = unsure
    .slice(0, UNDECIDED)
    .reduce<RegisterRead[][]>((all, either) => either.flatMap(read => all.map(some => [...some, read])), [sure]);
  return choices.map(chosen => {
    const seen = new Set(chosen.map(({ of }) => of));
    return { writes: [...writes, ...executions.filter(({ id }) => seen.has(id))], reads: chosen };
  });
};

/**
 * Whether the reads and writes are linearizable, in O(n log n).
 * @param reads each of a write in `writes` or of INITIAL.
 */
export const isLinearizable = (writes: readonly RegisterWrite[], reads: readonly RegisterRead[]): boolean => {
  const zones = new Zones();
  const places = new Map([UNWRITTEN, ...writes].map((write, index) => [write.id, { index, write }]));
  for (const { write } of places.values()) zones.add(write.startNs, write.endNs, write.required);
  for (const read of reads) {
    const place = places.get(read.of);
    if (place === undefined || read.endNs < place.write.startNs) return false;
    if (isEarly(place.write, read)) {
      const { minEnd, maxStart } = executionOf(place.write, read);
      zones.add(maxStart, minEnd, true);
    } else zones.see(place.index, read.startNs, read.endNs);
  }
  return zones.consistent();
};
