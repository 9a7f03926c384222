/**
 * Who held a value when. Where a volatile cache lost its power, a value may stand in a sector several times: its write
 * put it there in one phase, a cut left it there, and its write, which was under way all the time, put it there again.
 * Each is a *holder*; they are numbered in the order in which they may follow one another, 2p for the write in phase p and
 * 2p + 1 for what cut p left. This lists every way to give a value's reads to holders (register-cuts.ts says why the
 * reads may be taken in the order of their answers).
 */
import type { RegisterRead, RegisterWrite, Zone } from "./register.ts";

/** A power cut, as it concerns one disk. It happened at one moment between its edges. */
export interface Cut {
  readonly beginNs: number;
  readonly endNs: number;
  /** When the last flush was invoked that was completed before the cut: what was acknowledged before that, was flushed. */
  readonly flushedNs: number;
}

export interface CutWrite extends RegisterWrite {
  readonly fua: boolean;
  /** When it was answered, where that was after `endNs`: the write is one execution of several. */
  readonly answeredNs?: number;
}

export interface Held extends Zone {
  readonly holder: number;
}

/** One way to explain all reads of a value. */
export interface Holding {
  readonly write: CutWrite;
  /** In the order of the holders. */
  readonly held: readonly Held[];
}

/** Ways to explain one value's reads that are told apart at most. */
const WAYS = 512;

/** Whether the write was certainly on stable storage when the power went. */
export const isDurable = ({ required, fua, endNs, answeredNs = endNs }: CutWrite, cut: Cut): boolean =>
  required && (answeredNs < cut.flushedNs || (fua && answeredNs < cut.beginNs));

/** The first and the last phase in which an operation may take effect. Equal moments leave both open. */
const phasesOf = (startNs: number, endNs: number, cuts: readonly Cut[]): { first: number; last: number } => {
  let first = 0;
  while (first < cuts.length && startNs > (cuts[first] as Cut).endNs) first++;
  let last = cuts.length;
  while (last > 0 && endNs < (cuts[last - 1] as Cut).beginNs) last--;
  return { first, last };
};

export const phaseOfHolder = (holder: number): number => (holder + 1) >> 1;

/** The holders that lie on the way from one to another, both of which may be the last; undefined where there is no way. */
const waysTo = (from: number, to: number, first: number, last: number): number[][] => {
  if (to % 2 === 0) return to / 2 >= first && to / 2 <= last ? [[to]] : [];
  // A cut leaves what stood there in the phase before: what the cut before that left, or what was written in that phase.
  const ways: number[][] = [];
  const before = (to - 1) / 2;
  for (let phase = before; phase >= 0; phase--) {
    const chain = Array.from({ length: before - phase + 1 }, (_, index) => 2 * (phase + index) + 1);
    if (from >= 0 && phaseOfHolder(from) === phase) ways.push(chain);
    if (2 * phase > from && phase >= first && phase <= last) ways.push([2 * phase, ...chain]);
    if (from >= 0 && phaseOfHolder(from) >= phase) break;
  }
  return ways;
};

/**
 * The ways to explain the reads of one value: none where there is none, undefined where there are too many.
 * @param reads of this value, in the order of their answers.
 */
export const holdingsOf = (
  write: CutWrite,
  reads: readonly RegisterRead[],
  cuts: readonly Cut[],
): Holding[] | undefined => {
  const { first, last } = phasesOf(write.startNs, write.endNs, cuts);
  const fresh = (holder: number): Held => {
    const cut = cuts[(holder - 1) / 2];
    return holder % 2 === 0 || cut === undefined
      ? { holder, minEnd: write.endNs, maxStart: write.startNs }
      : { holder, minEnd: cut.endNs, maxStart: cut.beginNs };
  };
  if (reads.length === 0) return [{ write, held: write.required && first === last ? [fresh(2 * first)] : [] }];

  let ways: Held[][] = [[]];
  for (const read of reads) {
    const phases = phasesOf(read.startNs, read.endNs, cuts);
    const next: Held[][] = [];
    for (const way of ways) {
      const current = way.at(-1);
      const from = current?.holder ?? -1;
      for (let holder = Math.max(0, from); holder <= 2 * cuts.length; holder++) {
        const phase = phaseOfHolder(holder);
        if (phase < phases.first || phase > phases.last) continue;
        const extensions = holder === from ? [[]] : waysTo(from, holder, first, last);
        for (const extension of extensions) {
          const held = [...way, ...extension.map(fresh)];
          const end = held.pop() as Held;
          held.push({
            holder: end.holder,
            minEnd: Math.min(end.minEnd, read.endNs),
            maxStart: Math.max(end.maxStart, read.startNs),
          });
          next.push(held);
        }
      }
    }
    if (next.length > WAYS) return undefined;
    ways = next;
  }
  return ways.map(held => ({ write, held }));
};
