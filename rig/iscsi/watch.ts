/**
 * What the guests' agents report, as state that a timeline can wait for and as events of the history. The state changes
 * only when a line comes in, and every wait is woken by that line: nobody asks twice.
 */
import { EventEmitter } from "node:events";
import { deadline, monotonicNs, orAbort } from "../core/clock.ts";
import { type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import type { HistorySink } from "../history/event.ts";
import type { Node } from "../lab/node.ts";
import { pathOfAddress } from "../lab/qemu-argv.ts";
import { MultipathStates, multipathName, type PathState } from "./multipath.ts";
import { followQueuePair, type QueuePairState } from "./queue-pair.ts";
import { pathOfRdmaDevice } from "./transport.ts";

export interface SocketState {
  readonly node: NodeName;
  readonly path: PathName;
  /** The near end, address and port. */
  readonly local: string;
  readonly state: string;
  readonly sendQueueBytes: number;
  readonly receiveQueueBytes: number;
  /** Closed by its owner: only the kernel's TCP still works on it. */
  readonly orphan: boolean;
}

export interface SessionState {
  readonly path: PathName;
  readonly sid: string;
  /** LOGGED_IN, FAILED, FREE. */
  readonly state: string;
  /** The SCSI device's own state: running, blocked, transport-offline ... */
  readonly device: string;
  /** How often it was seen to be logged in after it was not. */
  readonly logins: number;
}

export interface WatchState {
  readonly sessions: ReadonlyMap<string, SessionState>;
  readonly sockets: ReadonlyMap<string, SocketState>;
  readonly queuePairs: ReadonlyMap<string, QueuePairState>;
  /** By path; where several LUNs are mapped, failed if it is for one of them. */
  readonly multipath: ReadonlyMap<PathName, PathState>;
  /** Processes called iscsid on the initiator. */
  readonly iscsid: number;
}

const INTERVAL_MS = 50;

/** A number that a guest printed; what is none counts as 0, so that no history holds what its readers refuse. */
const countOf = (text: string): number => (/^\d{1,15}$/.test(text) ? Number(text) : 0);

export class Watch implements AsyncDisposable {
  readonly #sessions = new Map<string, SessionState>();
  readonly #sockets = new Map<string, SocketState>();
  readonly #queuePairs = new Map<string, QueuePairState>();
  readonly #multipath: MultipathStates;
  readonly #maps: readonly string[];
  readonly #sink: HistorySink;
  readonly #changes = new EventEmitter();
  readonly #nodes: Node[] = [];
  #iscsid = 0;
  #loginsBefore: ReadonlyMap<string, number> = new Map();

  /** `devices` tells which path a disk (`major:minor`) belongs to, `maps` which device-mapper devices join them. */
  constructor(sink: HistorySink, devices: ReadonlyMap<string, PathName>, maps = [multipathName(0)]) {
    this.#sink = sink;
    this.#maps = maps;
    this.#multipath = new MultipathStates(maps, devices);
    this.#changes.setMaxListeners(0);
  }

  /** Starts watching on the nodes; resolves when each has looked once. */
  async start(nodes: readonly Node[], signal?: AbortSignal): Promise<void> {
    await Promise.all(
      nodes.map(async node => {
        this.#nodes.push(node);
        await node.agent.watch(INTERVAL_MS, this.#maps, line => this.take(node.name, line), signal);
      }),
    );
  }

  get state(): WatchState {
    return {
      sessions: this.#sessions,
      sockets: this.#sockets,
      queuePairs: this.#queuePairs,
      multipath: this.#multipath.byPath,
      iscsid: this.#iscsid,
    };
  }

  /**
   * To be called before iscsid is started again: it takes over every session that it finds by dropping it and logging in
   * anew, one after another (open-iscsi 2.1.8, iscsi_sync_session), so a session that is logged in now is not through yet.
   */
  iscsidStarts(): void {
    this.#loginsBefore = new Map([...this.#sessions.values()].map(({ sid, logins }) => [sid, logins]));
  }

  /** Whether every path has its session, logged in, and taken over by iscsid if that was started again. */
  get recovered(): boolean {
    return this.recoveredBut(new Set());
  }

  /** The same, whatever became of the sessions of some paths. */
  recoveredBut(except: ReadonlySet<PathName>): boolean {
    const sessions = [...this.#sessions.values()];
    return PATH_NAMES.filter(path => !except.has(path)).every(path => {
      const own = sessions.filter(session => session.path === path);
      const isBack = ({ sid, state, logins }: SessionState) =>
        state === "LOGGED_IN" && logins > (this.#loginsBefore.get(sid) ?? 0);
      // A session that is gone has not come back.
      return own.length > 0 && own.every(isBack);
    });
  }

  /** Resolves once `holds` says yes, now or right after any line, however soon another one takes it back. */
  async until(
    holds: (state: WatchState) => boolean,
    expected: string,
    withinMs: number,
    signal?: AbortSignal,
  ): Promise<void> {
    if (holds(this.state)) return;
    using limit = deadline(withinMs, expected, signal);
    const held = Promise.withResolvers<undefined>();
    const look = () => {
      if (holds(this.state)) held.resolve(undefined);
    };
    this.#changes.on("change", look);
    try {
      await orAbort(held.promise, limit);
    } finally {
      this.#changes.off("change", look);
    }
  }

  /** Takes one line of a guest's watch. Lines that say nothing known are ignored: what a guest prints is not trusted. */
  take(node: NodeName, line: string): void {
    const at = monotonicNs();
    const [kind, ...rest] = line.trim().split(" ");
    if (kind === "session") this.#session(rest, at);
    else if (kind === "socket") this.#socket(node, rest, at);
    else if (kind === "qp") this.#queuePair(node, rest, at);
    else if (kind === "dm") {
      const [map = "", ...status] = rest;
      for (const change of this.#multipath.take(map, status.join(" ")))
        this.#sink.record({ kind: "multipath", ...change }, at);
    } else if (kind === "daemon" && node === "initiator") this.#daemon(rest, at);
    else if (kind === "syslog") {
      const [program = "", ...words] = rest;
      this.#sink.record({ kind: "syslog", node, program, line: words.join(" ") }, at);
    } else if (kind === "late") this.#sink.record({ kind: "late", node, ms: countOf(rest[0] ?? "") }, at);
    this.#changes.emit("change");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A guest that cannot answer any more, or whose lab is being taken down, watches no longer anyway.
    await Promise.allSettled(this.#nodes.map(node => node.agent.unwatch()));
  }

  #session([sid = "", address = "", state = "", device = "-"]: readonly string[], at: bigint): void {
    const path = pathOfAddress(address);
    if (path === undefined) return;
    if (state === "GONE") this.#sessions.delete(sid);
    else {
      const known = this.#sessions.get(sid);
      const again = state === "LOGGED_IN" && known?.state !== "LOGGED_IN" ? 1 : 0;
      this.#sessions.set(sid, { path, sid, state, device, logins: (known?.logins ?? 0) + again });
    }
    this.#sink.record({ kind: "session", path, sid, state: state === "GONE" ? "gone" : state, device }, at);
  }

  #daemon([name = "", count = ""]: readonly string[], at: bigint): void {
    if (name !== "iscsid" || !/^\d{1,15}$/.test(count)) return;
    this.#iscsid = Number(count);
    this.#sink.record({ kind: "daemon", node: "initiator", name, count: this.#iscsid }, at);
  }

  #socket(
    node: NodeName,
    [local = "", remote = "", state = "", sendQueue = "0", receiveQueue = "0", orphan = "0"]: readonly string[],
    at: bigint,
  ): void {
    const path = pathOfAddress(local);
    if (path === undefined) return;
    const key = `${node} ${local} ${remote}`;
    const known = this.#sockets.get(key);
    const socket: SocketState = {
      node,
      path,
      local,
      state,
      sendQueueBytes: countOf(sendQueue),
      receiveQueueBytes: countOf(receiveQueue),
      orphan: orphan === "1",
    };
    if (state === "GONE") this.#sockets.delete(key);
    else this.#sockets.set(key, socket);
    // Receive queues come and go with every command; the history is told of what lasts.
    if (
      known !== undefined &&
      known.state === state &&
      known.orphan === socket.orphan &&
      known.sendQueueBytes === socket.sendQueueBytes
    )
      return;
    this.#sink.record(
      {
        kind: "socket",
        node,
        path,
        local,
        state: state === "GONE" ? "gone" : state,
        sendQueueBytes: socket.sendQueueBytes,
        orphan: socket.orphan,
      },
      at,
    );
  }

  #queuePair(
    node: NodeName,
    [device = "", number = "", peer = "", state = "", sent = "", received = ""]: readonly string[],
    at: bigint,
  ): void {
    const path = pathOfRdmaDevice(device);
    if (path === undefined) return;
    const key = `${node} ${device} ${number}`;
    const known = this.#queuePairs.get(key);
    const ends = { node, path, number: countOf(number) };
    // "GONE" stands where a peer's number would.
    if (peer === "GONE") {
      this.#queuePairs.delete(key);
      this.#sink.record({ kind: "queue-pair", ...ends, peer: known?.peer ?? 0, state: "gone" }, at);
      return;
    }
    const next = { ...ends, peer: countOf(peer), state, sent: countOf(sent), received: countOf(received) };
    this.#queuePairs.set(key, followQueuePair(known, next));
    // Packets are counted with every command; the history is told of what lasts.
    if (known?.state === state && known.peer === next.peer) return;
    this.#sink.record({ kind: "queue-pair", ...ends, peer: next.peer, state }, at);
  }
}
