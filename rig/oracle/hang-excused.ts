/**
 * Time that an operation may spend waiting beyond what the configuration allows for an answer: time in which nothing could
 * answer it.
 *
 * A map that queues keeps what finds no path until there is one. While no path can carry anything it waits by design, however
 * long that takes. But only while each path is down for a reason: something that touches it is broken, or was until so
 * recently that its session need not be back. What waits for a session that never comes back has hung. What goes to one path
 * alone has no such excuse, for the replacement timeout ends its waiting.
 *
 * An instrument that holds the kernel up may hold up every answer, once.
 */
import { PATH_NAMES, type PathName } from "../core/names.ts";
import type { EventOf, History } from "../history/event.ts";
import { eventsOf, faultsOf, heldUpNs } from "../history/view.ts";
import { brokenOnPurpose, common, type Span, unusable } from "./errors-excuses.ts";
import { DOWN_NS } from "./session-facts.ts";
import { touches } from "./starvation.ts";

/** When the path may be down for what the rig itself has done. */
const provoked = (history: History, path: PathName): readonly Span[] => {
  const faults = faultsOf(history).filter(fault => touches(fault, path));
  return [
    ...brokenOnPurpose(history),
    ...faults.map(({ injectBegin, healEnd }) => ({
      fromNs: injectBegin?.event.t ?? Number.POSITIVE_INFINITY,
      toNs: (healEnd?.event.t ?? Number.POSITIVE_INFINITY) + DOWN_NS,
    })),
  ];
};

/** The same time in spans that do not overlap. */
const apart = (spans: readonly Span[]): Span[] => {
  let lastNs = Number.NEGATIVE_INFINITY;
  return spans
    .toSorted((a, b) => a.fromNs - b.fromNs)
    .flatMap(({ fromNs, toNs }): Span[] => {
      const rest = { fromNs: Math.max(fromNs, lastNs), toNs };
      lastNs = Math.max(lastNs, toNs);
      return rest.fromNs < rest.toNs ? [rest] : [];
    });
};

export class Excused {
  /** When no path could carry anything. */
  readonly #nowhere: readonly Span[];
  /** The devices that lead over one path alone. */
  readonly #single: ReadonlySet<number>;
  readonly #heldUp: readonly { readonly fromNs: number; readonly ns: number }[];

  constructor(history: History) {
    const used = new Set(eventsOf(history, "session").map(({ event }) => event.path));
    const paths = PATH_NAMES.filter(path => used.has(path));
    const down = paths.map(path => common([unusable(history, path), provoked(history, path)]));
    this.#nowhere = apart(common(down));
    this.#single = new Set(
      eventsOf(history, "device").flatMap(({ event }) => (event.path === undefined ? [] : [event.id])),
    );
    this.#heldUp = eventsOf(history, "instrument").map(({ event }) => ({
      fromNs: event.t,
      ns: heldUpNs(history, event.t),
    }));
  }

  /** For how long, between these two moments, the operation had nowhere to go and was kept by design. */
  nowhereNs(device: number, limits: EventOf<"limits">, fromNs: number, toNs: number): number {
    if (limits.queues !== true || this.#single.has(device)) return 0;
    return this.#nowhere.reduce(
      (sum, span) => sum + Math.max(0, Math.min(span.toNs, toNs) - Math.max(span.fromNs, fromNs)),
      0,
    );
  }

  /** By how much instruments that were set by then may have held its answer up. */
  heldUpNs(ns: number): number {
    return this.#heldUp.findLast(({ fromNs }) => fromNs <= ns)?.ns ?? 0;
  }
}
