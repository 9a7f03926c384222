/**
 * Puts violations together as they come, segment after segment: adjacent ones in which one read found the same wrong thing
 * in place of the same right ones are one run. A broken disk may have a million runs, so only the most telling of each
 * class are kept; all are counted.
 */
import { foundKey, rankOf } from "./integrity-titles.ts";
import type { IntegrityClass, Violation } from "./violation.ts";

/** At most this many bad extents are listed in one finding. */
export const MAX_EXTENTS = 200;
/** So many more are kept before the least telling are let go. */
const SLACK = 800;

interface Run {
  violation: Violation;
  /** Counts the runs of a class, so that the order is the same every time. */
  readonly number: number;
}

/** What is known of one class. */
class ClassRuns {
  #kept: Run[] = [];
  runs = 0;
  sectors = 0;
  readonly reads = new Set<number>();

  start(violation: Violation): Run {
    const run = { violation, number: this.runs++ };
    this.reads.add(violation.read);
    this.#kept.push(run);
    if (this.#kept.length > MAX_EXTENTS + SLACK) this.#kept = this.#best();
    return run;
  }

  /** The most damning runs first, of those the ones that were seen first. */
  best(): Violation[] {
    return this.#best().map(({ violation }) => violation);
  }

  #best(): Run[] {
    return this.#kept
      .sort(
        (a, b) =>
          rankOf(a.violation.proof) - rankOf(b.violation.proof) ||
          a.violation.startNs - b.violation.startNs ||
          a.number - b.number,
      )
      .slice(0, MAX_EXTENTS);
  }
}

/** All violations of a history. Those of a disk are added in the order of their addresses. */
export class ViolationRuns {
  readonly #classes = new Map<IntegrityClass, ClassRuns>();
  /** The runs that end where the next segment may begin, by what they have in common. */
  #open = new Map<string, Run>();

  /** Adds what is wrong with one segment. */
  add(violations: readonly Violation[]): void {
    const next = new Map<string, Run>();
    for (const violation of violations) {
      const key = `${violation.read} ${foundKey(violation.proof)}`;
      const known = this.#open.get(key);
      const before = known?.violation;
      const own = this.#of(violation.class);
      own.sectors += violation.sectors;
      if (
        known !== undefined &&
        before?.disk === violation.disk &&
        before.sector + before.sectors === violation.sector &&
        before.expected().join() === violation.expected().join()
      ) {
        known.violation = { ...before, sectors: before.sectors + violation.sectors };
        next.set(key, known);
      } else {
        next.set(key, own.start(violation));
      }
    }
    this.#open = next;
  }

  /** What was found of a class, undefined for nothing. */
  of(name: IntegrityClass): ClassRuns | undefined {
    return this.#classes.get(name);
  }

  #of(name: IntegrityClass): ClassRuns {
    const known = this.#classes.get(name) ?? new ClassRuns();
    this.#classes.set(name, known);
    return known;
  }
}
