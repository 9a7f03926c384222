/**
 * What excuses an I/O error: when each path could legally carry nothing, and when something other than a path was broken on
 * purpose.
 *
 * A path carries nothing from the moment at which its session has been lost for as long as its commands wait for it (the
 * replacement timeout), or at which its device is offline, until the session is logged in and dm-multipath uses the path
 * again. How it came to that is the session oracle's to judge, and no excuse is refused for it.
 */
import type { PathName } from "../core/names.ts";
import type { EventOf, History } from "../history/event.ts";
import { eventsOf, faultsOf } from "../history/view.ts";

/** In nanoseconds; Infinity where it never ended. */
export interface Span {
  readonly fromNs: number;
  readonly toNs: number;
}

/** The watch sees a loss, and the kernel's timers go off, this much later or earlier than by the book. */
const SLACK_NS = 1e9;

/** An error comes back at once, and the watch tells this much later at most why: it looks every 50 ms, from a guest. */
export const SEEN_NS = 0.5e9;

/** A fault on a path or on iscsid is what multipath and the recovery timeout are there for; any other may cause errors. */
const isHidden = (on: string): boolean => /^path [a-z]$/.test(on) || on === "iscsid";

/**
 * When something was broken that nothing hides: the target, its disk, a node. Commands that it struck may come back this much
 * after it was mended: as long as the configuration lets any wait.
 */
export const brokenOnPurpose = (history: History): readonly Span[] => {
  const waits = eventsOf(history, "limits").map(({ event }) => event.answerWithinMs * 1e6);
  const after = waits.reduce((a, b) => Math.max(a, b), 0);
  const faults = faultsOf(history).flatMap(({ on, injectBegin, healEnd }) =>
    injectBegin === undefined || isHidden(on)
      ? []
      : [{ fromNs: injectBegin.event.t, toNs: (healEnd?.event.t ?? Number.POSITIVE_INFINITY) + after }],
  );
  const cuts = eventsOf(history, "power-cut").map(({ event }) => event);
  const dark = cuts
    .filter(({ edge }) => edge === "begin")
    .map(({ t, node }) => {
      const end = cuts.find(cut => cut.node === node && cut.edge === "end" && cut.t >= t);
      return { fromNs: t, toNs: (end?.t ?? Number.POSITIVE_INFINITY) + after };
    });
  return [...faults, ...dark];
};

const OFFLINE: readonly (string | undefined)[] = ["offline", "transport-offline"];

type SessionState = EventOf<"session">;

/** From when on a session that is down may have its commands failed; Infinity as long as it is up. */
const failsFrom = (before: number, was: SessionState | undefined, now: SessionState, replacementNs: number): number => {
  if (now.state === "LOGGED_IN")
    return OFFLINE.includes(now.device) ? Math.min(before, now.t) : Number.POSITIVE_INFINITY;
  // Nobody waits for a session that was logged out, nor for a device that is offline.
  if (now.state === "gone" || OFFLINE.includes(now.device)) return Math.min(before, now.t);
  const lost = was === undefined || was.state === "LOGGED_IN";
  return lost ? Math.min(before, Math.max(now.t, now.t + replacementNs - SLACK_NS)) : before;
};

/** When the path could legally carry nothing. */
export const unusable = (history: History, path: PathName): readonly Span[] => {
  const limits = eventsOf(history, "limits").map(({ event }) => event);
  const replacementNs = (ns: number): number =>
    (limits.findLast(({ t, replacementMs }) => t <= ns && replacementMs !== undefined)?.replacementMs ?? 0) * 1e6;
  const uses = eventsOf(history, "multipath")
    .map(({ event }) => event)
    .filter(event => event.path === path);
  /** When dm-multipath used the path again, asked at the moment when its session was back. */
  const usedAgain = (ns: number): number => {
    if (uses.findLast(({ t }) => t <= ns)?.state !== "failed") return ns;
    return uses.find(({ t, state }) => t > ns && state === "active")?.t ?? Number.POSITIVE_INFINITY;
  };
  const spans: Span[] = [];
  const states = new Map<string, { was: SessionState; fromNs: number }>();
  for (const { event } of eventsOf(history, "session")) {
    if (event.path !== path) continue;
    const known = states.get(event.sid);
    const before = known?.fromNs ?? Number.POSITIVE_INFINITY;
    const fromNs = failsFrom(before, known?.was, event, replacementNs(event.t));
    if (fromNs === Number.POSITIVE_INFINITY && before < event.t)
      spans.push({ fromNs: before, toNs: usedAgain(event.t) });
    states.set(event.sid, { was: event, fromNs });
  }
  const open = [...states.values()].map(({ fromNs }) => fromNs).filter(Number.isFinite);
  // A session that is gone leaves the path to the one that takes its place.
  const anew = (ns: number): number =>
    eventsOf(history, "session").find(({ event }) => event.path === path && event.t > ns && event.state === "LOGGED_IN")
      ?.event.t ?? Number.POSITIVE_INFINITY;
  return [...spans, ...open.map(fromNs => ({ fromNs, toNs: usedAgain(anew(fromNs)) }))];
};

export const overlaps = (spans: readonly Span[], fromNs: number, toNs: number): boolean =>
  spans.some(span => span.fromNs <= toNs && span.toNs >= fromNs);

/** The spans in which all of these hold. */
export const common = (lists: readonly (readonly Span[])[]): readonly Span[] => {
  const [first = [], ...rest] = lists;
  return rest.reduce<readonly Span[]>(
    (all, list) =>
      all.flatMap(a =>
        list
          .map(b => ({ fromNs: Math.max(a.fromNs, b.fromNs), toNs: Math.min(a.toNs, b.toNs) }))
          .filter(({ fromNs, toNs }) => fromNs <= toNs),
      ),
    first,
  );
};
