/**
 * Counts what there is of sessions, connections, hosts, endpoints and sockets, when the bench has been opened and when all is
 * over. The guests' agents are asked, and not ssh: a cell that needs no ssh need not pay for its handshake.
 *
 * At the end something may just be on its way out: a target closes a connection when its threads get round to it. So where
 * the parts do not fit together they are counted again for some seconds; the last count stands.
 */
import { monotonicMs, sleep } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import { NODE_NAMES, type NodeName } from "../../core/names.ts";
import { cleanLine } from "../../core/untrusted.ts";
import type { EventOf, HistorySink } from "../../history/event.ts";
import { TARGET_IQN } from "../../iscsi/target.ts";
import type { Watch, WatchState } from "../../iscsi/watch.ts";
import type { Lab } from "../../lab/lab.ts";

type Thing = EventOf<"inventory">["thing"];
type Names = Readonly<Record<NodeName, Partial<Record<Thing, readonly string[]>>>>;

/** What is counted; its parts are of a running lab, or a test's. */
export interface Counted {
  readonly lab: {
    readonly nodes: Readonly<
      Record<NodeName, { readonly agent: Pick<Lab["nodes"]["target"]["agent"], "list" | "call"> }>
    >;
  };
  readonly watch: Pick<Watch, "state">;
  readonly sink: HistorySink;
  /** Stretches the time that is given to what is on its way out. */
  readonly scale: number;
  readonly signal: AbortSignal;
}

const CLASSES = ["session", "connection", "host", "endpoint"] as const;
const CLASS = "/sys/class/iscsi_";
const PATTERNS = [...CLASSES.map(name => `${CLASS}${name}/*`), `${CLASS}host/*/device/session*`];

/** How many sessions a target has, those that no ACL lists among them (iscsi_target_stat.c). */
const SESSIONS = `/sys/kernel/config/target/iscsi/${TARGET_IQN}/fabric_statistics/iscsi_instance/sessions`;

const SETTLE_MS = 5000;
const AGAIN_MS = 200;
/** No lab has more of anything. */
const MAX_NAMES = 500;

/** What the initiator's classes hold, from the paths that were found. A host's name is followed by its session's. */
export const initiatorNames = (paths: readonly string[]): Partial<Record<Thing, readonly string[]>> => {
  const under = (name: string) =>
    paths.flatMap(path => (path.startsWith(`${CLASS}${name}/`) ? [path.slice(`${CLASS}${name}/`.length)] : []));
  const owners = new Map(
    under("host").flatMap(rest => {
      const [host = "", , session] = rest.split("/");
      return session === undefined ? [] : [[host, session] as const];
    }),
  );
  const hosts = under("host").filter(rest => !rest.includes("/"));
  return {
    session: under("session"),
    connection: under("connection"),
    host: hosts.map(host => [host, owners.get(host)].filter(Boolean).join(" ")),
    endpoint: under("endpoint"),
  };
};

/** What the watch has seen of a node's sockets and queue pairs; sockets that nobody owns any more are TCP's business. */
const watched = ({ sockets, queuePairs }: WatchState, node: NodeName): Partial<Record<Thing, readonly string[]>> => ({
  socket: [...sockets].flatMap(([key, { path, state, orphan, node: on }]) => {
    const [, local = "", remote = ""] = key.split(" ");
    return on === node && !orphan ? [`${path} ${local}-${remote} ${state}`] : [];
  }),
  "queue-pair": [...queuePairs.values()].flatMap(({ node: on, path, number, state }) =>
    on === node ? [`${path} ${number} ${state}`] : [],
  ),
});

const targetSessions = async ({ agent }: Counted["lab"]["nodes"]["target"], signal: AbortSignal): Promise<string[]> => {
  const text = Buffer.from(await agent.call("take", [SESSIONS], { signal }), "base64")
    .toString()
    .trim();
  const count = /^\d{1,3}$/.test(text) ? Number(text) : undefined;
  if (count === undefined) throw new Error(`the target's number of sessions is "${cleanLine(text, 40)}"`);
  return Array.from({ length: count }, (_, index) => `${index + 1} of ${count}`);
};

const look = async ({ lab, watch, signal }: Counted): Promise<Names> => {
  const [paths, sessions] = await Promise.all([
    lab.nodes.initiator.agent.list(PATTERNS, { signal }),
    targetSessions(lab.nodes.target, signal),
  ]);
  return {
    initiator: { ...initiatorNames(paths), ...watched(watch.state, "initiator") },
    target: { "target-session": sessions, ...watched(watch.state, "target") },
  };
};

/** Whether the parts do not fit together, or are more than there were: something is on its way out, or was left over. */
export const isOdd = (now: Names, before: Names | undefined): boolean => {
  const { session = [], connection = [], host = [] } = now.initiator;
  if (host.some(name => !name.includes(" "))) return true;
  if (connection.some(name => !session.includes(`session${/\d+/.exec(name)?.[0] ?? ""}`))) return true;
  if ((now.target["target-session"]?.length ?? 0) > session.length) return true;
  const held = (names: readonly string[] = []) =>
    names.filter(name => !/ (?:TIME-WAIT|FIN-WAIT-\d|LAST-ACK|CLOSING)$/.test(name));
  return NODE_NAMES.some(node =>
    Object.entries(now[node]).some(([thing, names]) => {
      const more = held(names).length - held(before?.[node][thing as Thing]).length;
      return before !== undefined && more > 0;
    }),
  );
};

const record = (sink: HistorySink, when: "begin" | "end", found: Names): void => {
  for (const node of NODE_NAMES)
    for (const [thing, names] of Object.entries(found[node])) {
      const event = { kind: "inventory", node, when, thing: thing as Thing, names: names.slice(0, MAX_NAMES) } as const;
      sink.record(event);
    }
};

export class Inventory {
  readonly #counted: Counted;
  #before: Names | undefined;

  constructor(counted: Counted) {
    this.#counted = counted;
  }

  /** Counts what there is before anything is broken. */
  async begin(): Promise<void> {
    await this.#attempt(async () => {
      this.#before = await look(this.#counted);
      record(this.#counted.sink, "begin", this.#before);
    });
  }

  /** Counts what there is when all is over, as often as it takes, but not for ever. */
  async end(): Promise<void> {
    await this.#attempt(async () => {
      const { scale, signal, sink } = this.#counted;
      const until = monotonicMs() + SETTLE_MS * scale;
      let found = await look(this.#counted);
      while (isOdd(found, this.#before) && monotonicMs() < until) {
        await sleep(AGAIN_MS, signal);
        found = await look(this.#counted);
      }
      record(sink, "end", found);
    });
  }

  /** That it cannot be counted makes the session oracle blind, and must not hide why. */
  async #attempt(count: () => Promise<void>): Promise<void> {
    try {
      await count();
    } catch (error) {
      const text = `Sessions, connections and sockets could not be counted: ${cleanLine(messageOf(error), 400)}`;
      this.#counted.sink.record({ kind: "note", text });
    }
  }
}
