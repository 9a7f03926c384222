/**
 * What a history tells of sessions, made ready to be judged: each session's life in the kernel, what iscsid believed of it
 * meanwhile, and which of its losses the rig itself brought about.
 *
 * iscsid's belief is read from its log. Whatever it says of a connection but that it is operational means that it knows
 * of trouble. A killed iscsid believes nothing, and one that was started again nothing of a session until it speaks of it.
 */
import type { PathName } from "../core/names.ts";
import type { EventOf, History } from "../history/event.ts";
import { endNs, eventsOf, type FaultSpan, faultsOf, type Located, phaseOf } from "../history/view.ts";
import { diedNs } from "./node-death.ts";
import { touches } from "./starvation.ts";

export type SessionEvent = Located<EventOf<"session">>;

/** A span in which the kernel has the session down. */
export interface Loss {
  readonly path: PathName;
  readonly sid: string;
  /** The event that told of it, and the one before. */
  readonly at: SessionEvent;
  /** When the session was logged in again; else when it was last looked at. */
  readonly untilNs: number;
  readonly recovered: boolean;
  /** The first event in it by which the device was offline. */
  readonly offline: SessionEvent | undefined;
}

/** A span in which iscsid took the connection for operational. */
export interface Belief {
  readonly fromNs: number;
  readonly toNs: number;
  /** Where it said so; undefined for what was so before the watch began. */
  readonly line: number | undefined;
}

export interface SessionFacts {
  readonly history: History;
  readonly faults: readonly FaultSpan[];
  readonly sessions: readonly SessionEvent[];
  readonly losses: readonly Loss[];
  readonly logouts: readonly Located<EventOf<"logout">>[];
  /** Until when sessions were watched: until a node died or the watch ended. */
  readonly untilNs: number;
}

/** A path that has been in order for so long has its session back: beyond this nobody need wait for one. */
export const DOWN_NS = 30e9;

const watchedUntil = (history: History): number =>
  Math.min(endNs(history), phaseOf(history, "collect")?.beginNs ?? Number.POSITIVE_INFINITY, diedNs(history));

const OFFLINE: readonly (string | undefined)[] = ["offline", "transport-offline"];

/** Whether the session's device answered nobody any more. */
export const isOffline = ({ event }: SessionEvent): boolean => OFFLINE.includes(event.device);

const lossesOf = (events: readonly SessionEvent[], untilNs: number): Loss[] => {
  const losses: Loss[] = [];
  for (const own of Map.groupBy(events, ({ event }) => event.sid).values()) {
    own.forEach((at, index) => {
      const before = own[index - 1]?.event.state;
      if (before !== "LOGGED_IN" || at.event.state === "LOGGED_IN") return;
      const rest = own.slice(index);
      const end = rest.find(({ event }) => event.state === "LOGGED_IN");
      const within = end === undefined ? rest : rest.slice(0, rest.indexOf(end));
      losses.push({
        path: at.event.path,
        sid: at.event.sid,
        at,
        untilNs: end?.event.t ?? untilNs,
        recovered: end !== undefined,
        offline: within.find(isOffline),
      });
    });
  }
  return losses.sort((a, b) => a.at.event.t - b.at.event.t);
};

/** The facts, up to the moment when somebody last looked. */
export const sessionFacts = (history: History): SessionFacts => {
  const untilNs = watchedUntil(history);
  const inOrder = <E extends Located>(events: E[]): E[] =>
    events.filter(({ event }) => event.t <= untilNs).sort((a, b) => a.event.t - b.event.t || a.line - b.line);
  const sessions = inOrder(eventsOf(history, "session"));
  return {
    history,
    faults: faultsOf(history),
    sessions,
    losses: lossesOf(sessions, untilNs),
    logouts: inOrder(eventsOf(history, "logout")),
    untilNs,
  };
};

const CONNECTION = /\bconnection ?(\d+):\d+/i;
const OPERATIONAL = /\bis operational\b/;

/** When iscsid took this session's connection for operational. Nothing where the history does not say whether it runs. */
export const beliefsOf = ({ history, sessions, untilNs }: SessionFacts, sid: string): Belief[] => {
  const daemons = eventsOf(history, "daemon").filter(({ event }) => event.name === "iscsid");
  const logs = eventsOf(history, "syslog").filter(({ event }) => event.program === "iscsid");
  const [first] = daemons;
  if (first === undefined || first.event.count === 0) return [];
  const beliefs: Belief[] = [];
  // The sessions that the watch finds are iscsid's own: it has just logged them in. Where it is never heard, its log was
  // not read, and its silence says nothing.
  const known = sessions.find(({ event }) => event.sid === sid)?.event;
  let since: { fromNs: number; line: number | undefined } | undefined =
    logs.length > 0 && known?.state === "LOGGED_IN" && known.t <= first.event.t
      ? { fromNs: known.t, line: undefined }
      : undefined;
  let away = false;
  const end = (toNs: number) => {
    if (since !== undefined && toNs > since.fromNs) beliefs.push({ ...since, toNs });
    since = undefined;
  };
  for (const { event, line } of [...daemons, ...logs].sort((a, b) => a.event.t - b.event.t || a.line - b.line)) {
    if (event.t > untilNs) break;
    if (event.kind === "daemon") {
      away = event.count === 0;
      if (away) end(event.t);
      // What is read of a daemon that is gone, the next one does not believe.
    } else if (!away && CONNECTION.exec(event.line)?.[1] === sid) {
      if (!OPERATIONAL.test(event.line)) end(event.t);
      else since ??= { fromNs: event.t, line };
    }
  }
  end(untilNs);
  return beliefs;
};

/** Whether the timeline had asked for a logout over the path by then. */
export const wasLoggedOut = ({ logouts }: SessionFacts, path: PathName, ns: number): boolean =>
  logouts.some(({ event }) => event.path === path && event.edge === "begin" && event.t <= ns);

/** Whether iscsid had been started again by then: a new one drops every session that it finds, and logs in anew. */
const wasReplaced = ({ history }: SessionFacts, ns: number): boolean => {
  const counts = eventsOf(history, "daemon").flatMap(({ event }) =>
    event.name === "iscsid" && event.t <= ns ? [event.count] : [],
  );
  const away = counts.indexOf(0);
  return away >= 0 && counts.slice(away).some(count => count > 0);
};

const isNewer = ({ sessions }: SessionFacts, path: PathName, healedNs: number, ns: number): boolean => {
  const states = new Map<string, string>();
  return sessions.some(({ event }) => {
    const before = states.get(event.sid);
    states.set(event.sid, event.state);
    const begins = event.state === "LOGGED_IN" && before !== "LOGGED_IN";
    return begins && event.path === path && event.t > healedNs && event.t < ns;
  });
};

/**
 * Whether a loss is one that nothing the rig did explains: no fault on its path was in force, and the connection that was lost
 * is one that was made after the last of them had been healed.
 */
export const isUnprovoked = (facts: SessionFacts, { path, at }: Loss): boolean => {
  const ns = at.event.t;
  if (wasLoggedOut(facts, path, ns) || wasReplaced(facts, ns)) return false;
  return facts.faults
    .filter(fault => touches(fault, path) && (fault.injectBegin?.event.t ?? Number.POSITIVE_INFINITY) <= ns)
    .every(({ on, healBegin, healEnd }) => {
      // Sessions do well without iscsid; it is its new start that drops them.
      if (on === "iscsid") return (healBegin?.event.t ?? Number.POSITIVE_INFINITY) > ns;
      const healedNs = healEnd?.event.t ?? Number.POSITIVE_INFINITY;
      return healedNs < ns && isNewer(facts, path, healedNs, ns);
    });
};

/** Since when nothing has been broken on the path and iscsid has been running, at that moment; Infinity where that is not so. */
export const inOrderSince = ({ history, faults }: SessionFacts, path: PathName, ns: number): number => {
  const healed = faults
    .filter(fault => touches(fault, path) && (fault.injectBegin?.event.t ?? Number.POSITIVE_INFINITY) <= ns)
    .map(({ healEnd }) => healEnd?.event.t ?? Number.POSITIVE_INFINITY);
  const daemons = eventsOf(history, "daemon").filter(({ event }) => event.name === "iscsid" && event.t <= ns);
  if (daemons.at(-1)?.event.count === 0) return Number.POSITIVE_INFINITY;
  const started = daemons.filter((_, index) => daemons[index - 1]?.event.count === 0).map(({ event }) => event.t);
  const since = Math.max(0, ...healed, ...started);
  return since > ns ? Number.POSITIVE_INFINITY : since;
};
