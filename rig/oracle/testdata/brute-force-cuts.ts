/**
 * A sector behind a volatile cache, taken literally: every order of effects and cuts is tried, writes that span a cut are
 * tried in every set of phases, and at a cut every value that the cache or the disk may hold by then. A write may be
 * executed any number of times in its life: right before a read, or a cut that leaves it. Written without a thought for the oracle's zones and holders: the two must agree.
 */

export interface CutStep {
  readonly is: "write" | "read" | "cut";
  /** The value written or read; 0 is what was there first. */
  readonly value: number;
  readonly start: number;
  /** Infinity where never answered. */
  readonly end: number;
  /** A write that may have had no effect. */
  readonly optional: boolean;
  /** The phase in which it takes effect, where that is settled: as many cuts come before it. */
  readonly phase?: number;
  /** For a write: whether it is certainly on stable storage when cut number `phase` comes. */
  readonly durable?: boolean;
}

interface Sector {
  readonly phase: number;
  /** What a cut may leave: the newest durable value and all later ones; the last is what a read finds. */
  readonly values: readonly number[];
}

/** What has happened so far, and what may happen at any time. */
interface Story {
  readonly all: readonly CutStep[];
  /** The last beginning of anything that has had its effect. */
  readonly latest: number;
}

const orderExists = (steps: readonly CutStep[], sector: Sector, { all, latest }: Story): boolean => {
  if (steps.length === 0) return true;
  /** Writes that may be executed once more right now. */
  const again = () =>
    all.filter(
      ({ is, phase, start, end }) =>
        is === "write" && phase === sector.phase && end >= latest && steps.every(other => other.end >= start),
    );
  return steps.some((step, index) => {
    const rest = steps.filter((_, other) => other !== index);
    if (rest.some(other => other.end < step.start)) return false;
    if (step.phase !== undefined && step.phase !== sector.phase) return false;
    const { values } = sector;
    const story = { all, latest: Math.max(latest, step.start) };
    const later = ({ start }: CutStep): Story => ({ all, latest: Math.max(story.latest, start) });
    const held = ({ value, durable }: CutStep): Sector => ({
      ...sector,
      values: durable === true ? [value] : [...values, value],
    });
    switch (step.is) {
      case "read":
        if (step.value === values.at(-1)) return orderExists(rest, sector, story);
        return again().some(write => write.value === step.value && orderExists(rest, held(write), later(write)));
      case "write":
        return orderExists(rest, held(step), story);
      case "cut": {
        const phase = sector.phase + 1;
        const left = [...new Set(values)].some(value => orderExists(rest, { phase, values: [value] }, story));
        return left || again().some(write => orderExists(rest, { phase, values: [write.value] }, later(write)));
      }
    }
  });
};

/** Every set of the optional steps, with the others. */
const choices = (steps: readonly CutStep[]): CutStep[][] => {
  const optional = steps.filter(step => step.optional);
  const rest = steps.filter(step => !step.optional);
  return Array.from({ length: 2 ** optional.length }, (_, set) => [
    ...rest,
    ...optional.filter((_step, index) => (set & (1 << index)) !== 0),
  ]);
};

export interface CutStory {
  readonly writes: readonly { value: number; start: number; end: number; ok: boolean; fua: boolean }[];
  readonly reads: readonly { value: number; start: number; end: number }[];
  /** Flushes that were completed. */
  readonly flushes: readonly { start: number; end: number }[];
  readonly cuts: readonly { begin: number; end: number }[];
}

/** Whether some course of events explains every read. */
export const survivable = ({ writes, reads, flushes, cuts }: CutStory): boolean => {
  const steps = writes.flatMap((write): CutStep[] => {
    const { value, start, end, ok, fua } = write;
    const phases = Array.from({ length: cuts.length + 1 }, (_, phase) => phase).filter(phase => {
      const before = cuts[phase - 1];
      const after = cuts[phase];
      return !(before !== undefined && end < before.begin) && !(after !== undefined && after.end < start);
    });
    const spans = phases.length > 1;
    return phases.map(phase => {
      const cut = cuts[phase];
      const flushed = cut !== undefined && flushes.some(flush => end < flush.start && flush.end < cut.begin);
      const durable = ok && (flushed || (fua && cut !== undefined && end < cut.begin));
      return { is: "write", value, start, end, optional: spans || !ok, phase, durable };
    });
  });
  const all: CutStep[] = [
    ...steps,
    ...reads.map((read): CutStep => ({ is: "read", ...read, optional: false })),
    ...cuts.map((cut): CutStep => ({ is: "cut", value: 0, start: cut.begin, end: cut.end, optional: false })),
  ];
  const latest = Number.NEGATIVE_INFINITY;
  return choices(all).some(chosen => orderExists(chosen, { phase: 0, values: [0] }, { all: chosen, latest }));
};
