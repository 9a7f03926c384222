/**
 * What is left over at the end: sessions, connections, hosts, endpoints, sockets and queue pairs that belong to nothing any
 * more. What there is was counted when the bench was opened and again when everything was healed and had settled; what is
 * judged is how the parts of the second count fit together. So nothing is a leak for being still there:
 *
 * - a session that waits to come back, since iscsid was killed and not started again, keeps its connection and its host;
 * - of a session that was logged out only what is left without it counts; that it stays is `stuck`, and told there;
 * - the kernel's TCP works on closed sockets for a while (orphans, FIN-WAIT, TIME-WAIT): those are nobody's;
 * - a target cannot know of a connection that ended while its path was cut, nor does it ask, where its NOP-Ins are off: until
 *   the initiator logs in over that path again, it keeps what it has of the old one.
 */
import { NODE_NAMES, type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import type { EventOf, History } from "../history/event.ts";
import { eventsOf, type Located, seconds } from "../history/view.ts";
import type { Finding } from "./finding.ts";
import { diedNs } from "./node-death.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { type SessionFacts, sessionFacts } from "./session-facts.ts";
import { touches } from "./starvation.ts";
import { linesOf } from "./words.ts";

type Inventory = Located<EventOf<"inventory">>;
type Thing = EventOf<"inventory">["thing"];

interface Leak {
  readonly node: NodeName;
  readonly thing: Thing;
  readonly names: readonly string[];
  /** What they are without. */
  readonly why: string;
}

const OF_INITIATOR: readonly Thing[] = ["session", "connection", "host", "endpoint", "socket", "queue-pair"];
const OF_TARGET: readonly Thing[] = ["target-session", "socket", "queue-pair"];
const WANTED: Readonly<Record<NodeName, readonly Thing[]>> = { initiator: OF_INITIATOR, target: OF_TARGET };

/** States of a socket that somebody holds open; in all others the kernel's TCP is about to be done with it. */
const HELD = /^(?:ESTABLISHED|CLOSE-WAIT)$/;

class Inventories {
  readonly #facts: SessionFacts;
  readonly #events: readonly Inventory[];

  constructor(facts: SessionFacts) {
    this.#facts = facts;
    this.#events = eventsOf(facts.history, "inventory");
  }

  at(when: "begin" | "end", node: NodeName, thing: Thing): Inventory | undefined {
    return this.#events.findLast(({ event }) => event.when === when && event.node === node && event.thing === thing);
  }

  names(when: "begin" | "end", node: NodeName, thing: Thing): readonly string[] {
    return this.at(when, node, thing)?.event.names ?? [];
  }

  /** Where something was not counted. */
  get missing(): readonly string[] {
    const isCounted = (node: NodeName, when: "begin" | "end") =>
      WANTED[node].every(thing => this.at(when, node, thing) !== undefined);
    return NODE_NAMES.flatMap(node =>
      (["begin", "end"] as const)
        .filter(when => !isCounted(node, when))
        .map(when => `on the ${node} at the ${when === "begin" ? "beginning" : "end"}`),
    );
  }

  pathOf(session: string): PathName | undefined {
    const sid = session.replace(/^session/, "");
    return this.#facts.sessions.find(({ event }) => event.sid === sid)?.event.path;
  }

  sessions(when: "begin" | "end", path: PathName | undefined): readonly string[] {
    return this.names(when, "initiator", "session").filter(name => this.pathOf(name) === path);
  }
}

/** Those that came later than the first count; where there are too few of them, all. */
const newest = (names: readonly string[], before: readonly string[], count: number): readonly string[] => {
  const added = names.filter(name => !before.includes(name));
  return added.length >= count ? added : names;
};

const ofSessions = (inventories: Inventories): Leak[] =>
  [...PATH_NAMES, undefined].flatMap((path): Leak[] => {
    const [before, after] = [inventories.sessions("begin", path), inventories.sessions("end", path)];
    const more = after.length - before.length;
    const why = path === undefined ? "which no path has" : `where path ${path} had ${before.length} at the beginning`;
    return more > 0 ? [{ node: "initiator", thing: "session", names: newest(after, before, more), why }] : [];
  });

const ofConnections = (inventories: Inventories): Leak[] => {
  const sessions = inventories.names("end", "initiator", "session");
  const connections = inventories.names("end", "initiator", "connection");
  const sidOf = (name: string) => /^connection(\d+):/.exec(name)?.[1] ?? "";
  const alone = connections.filter(name => !sessions.includes(`session${sidOf(name)}`));
  const leaks: Leak[] =
    alone.length === 0 ? [] : [{ node: "initiator", thing: "connection", names: alone, why: "whose session is gone" }];
  for (const [sid, own] of Map.groupBy(connections, sidOf))
    if (own.length > 1)
      leaks.push({ node: "initiator", thing: "connection", names: own, why: `all of session ${sid}` });
  return leaks;
};

const ofHosts = (inventories: Inventories): Leak[] => {
  const names = inventories.names("end", "initiator", "host").filter(name => !name.includes(" "));
  return names.length === 0 ? [] : [{ node: "initiator", thing: "host", names, why: "without a session" }];
};

const ofEndpoints = (inventories: Inventories): Leak[] => {
  const names = inventories.names("end", "initiator", "endpoint");
  const connections = inventories.names("end", "initiator", "connection").length;
  const more = names.length - connections;
  if (more <= 0) return [];
  const before = inventories.names("begin", "initiator", "endpoint");
  const why = `for ${connections} connections`;
  return [{ node: "initiator", thing: "endpoint", names: newest(names, before, more), why }];
};

/** How many connections of a path a node may have an end of. */
const allowed = (facts: SessionFacts, inventories: Inventories, node: NodeName, path: PathName): number => {
  const live = inventories.sessions("end", path).length;
  if (live > 0 || node === "initiator") return live;
  const wasCut = facts.faults.some(fault => touches(fault, path) && fault.injectBegin !== undefined);
  return wasCut ? inventories.sessions("begin", path).length : 0;
};

const ofEnds = (facts: SessionFacts, inventories: Inventories): Leak[] =>
  NODE_NAMES.flatMap(node =>
    (["socket", "queue-pair"] as const).flatMap(thing =>
      PATH_NAMES.flatMap((path): Leak[] => {
        const own = inventories.names("end", node, thing).filter(name => name.startsWith(`${path} `));
        const names = thing === "socket" ? own.filter(name => HELD.test(name.split(" ").at(-1) ?? "")) : own;
        const most = allowed(facts, inventories, node, path);
        if (names.length <= most) return [];
        return [{ node, thing, names, why: `where path ${path} may have ${most}` }];
      }),
    ),
  );

const ofTargetSessions = (facts: SessionFacts, inventories: Inventories): Leak[] => {
  const names = inventories.names("end", "target", "target-session");
  const most = PATH_NAMES.reduce((sum, path) => sum + allowed(facts, inventories, "target", path), 0);
  return names.length <= most
    ? []
    : [{ node: "target", thing: "target-session", names, why: `where there may be ${most}` }];
};

const words = ({ node, thing, names, why }: Leak): string =>
  `the ${node} had ${names.length === 1 ? "the" : `${names.length}`} ${thing}${names.length === 1 ? "" : "s"} ${names.slice(0, 8).join(", ")}, ${why}`;

const findingOf = (inventories: Inventories, leaks: readonly Leak[]): Finding => {
  const counted = leaks.map(({ node, thing }) => inventories.at("end", node, thing));
  const kinds = [...new Set(leaks.map(({ thing }) => `${thing}s`))].join(", ");
  const at = counted[0] === undefined ? "" : ` at ${seconds(counted[0].event.t)}`;
  return {
    oracle: "session",
    class: "leaked",
    title: `left over: ${kinds}`,
    explanation: `When everything was healed and had settled${at}, ${leaks.map(words).join("; ")}. Expected: what belongs to a connection ends with it.`,
    lines: linesOf([
      ...counted.map(event => event?.line),
      ...leaks.map(({ node, thing }) => inventories.at("begin", node, thing)?.line),
    ]),
  };
};

/** Speaks for the session oracle, of what a session leaves behind. */
export const leakOracle: Oracle = {
  name: "session",
  judge(history: History): Judgement {
    const facts = sessionFacts(history);
    const inventories = new Inventories(facts);
    const { missing } = inventories;
    if (missing.length > 0) {
      // Of a node that died there is nothing to count.
      if (Number.isFinite(diedNs(history))) return { findings: [] };
      return {
        findings: [],
        blind: `Nobody can say what was left over: sessions and sockets were not counted ${missing.join(", nor ")}.`,
      };
    }
    const leaks = [
      ...[...ofSessions(inventories), ...ofConnections(inventories), ...ofHosts(inventories)],
      ...[...ofEndpoints(inventories), ...ofEnds(facts, inventories), ...ofTargetSessions(facts, inventories)],
    ];
    return { findings: leaks.length === 0 ? [] : [findingOf(inventories, leaks)] };
  },
};
