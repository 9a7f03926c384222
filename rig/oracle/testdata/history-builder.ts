/**
 * Writes small histories for tests the way one tells them: what was invoked when, and what came of it. Times are seconds.
 */
import { historyOf } from "../../history/collect.ts";
import { type EventOf, HISTORY_VERSION, type History, type HistoryEvent } from "../../history/event.ts";
import type { Extent } from "../../history/extent.ts";

export interface OperationTale {
  /** Invoked at, in seconds. */
  readonly at: number;
  /** Acknowledged at. */
  readonly ok?: number;
  /** Failed at. */
  readonly fail?: number;
  readonly sector?: number;
  readonly sectors?: number;
  readonly via?: "initiator" | "backing";
  readonly label?: string;
  readonly error?: string;
  readonly device?: number;
  readonly content?: Extent[];
  readonly fua?: boolean;
}

type Thing = EventOf<"inventory">["thing"];

const ns = (s: number): number => Math.round(s * 1e9);

export class HistoryBuilder {
  readonly #events: HistoryEvent[] = [];

  add(...events: HistoryEvent[]): this {
    this.#events.push(...events);
    return this;
  }

  write(op: number, tale: OperationTale): this {
    return this.#operation("write", op, tale);
  }

  read(op: number, tale: OperationTale): this {
    return this.#operation("read", op, tale);
  }

  flush(op: number, tale: OperationTale): this {
    return this.#operation("flush", op, { sectors: 0, ...tale });
  }

  zeroes(op: number, tale: OperationTale): this {
    return this.#operation("zeroes", op, tale);
  }

  discard(op: number, tale: OperationTale): this {
    return this.#operation("discard", op, tale);
  }

  /** The same content, read through both ends one after the other, from `at` on. */
  readBack(op: number, at: number, content: Extent[], device = 0): this {
    const sector = Math.min(...content.map(extent => extent.at));
    const sectors = content.reduce((sum, { n }) => sum + n, 0);
    return this.read(op, { at, ok: at + 0.1, sector, sectors, content, device }).read(op + 1, {
      at: at + 0.2,
      ok: at + 0.3,
      sector,
      sectors,
      content,
      device,
      via: "backing",
    });
  }

  /** A fault whose injection and healing take 0.1 s each, with evidence that it bit. */
  fault(fault: string, inject: number, heal?: number): this {
    const edge = (t: number, action: "inject" | "heal", end: "begin" | "end"): HistoryEvent => ({
      t: ns(t),
      kind: "fault",
      fault,
      action,
      edge: end,
      on: "path a",
    });
    this.add(edge(inject, "inject", "begin"), edge(inject + 0.1, "inject", "end"));
    if (heal === undefined) return this;
    this.add(edge(heal, "heal", "begin"), edge(heal + 0.1, "heal", "end"));
    return this.evidence(fault, heal + 0.1, { bit: true, gone: true });
  }

  evidence(fault: string, at: number, { bit, gone }: { bit: boolean; gone: boolean }): this {
    return this.add({
      t: ns(at),
      kind: "evidence",
      fault,
      bit,
      gone,
      text: "12 packets dropped",
      counters: { packets: 12 },
    });
  }

  phase(name: string, begin: number, end: number): this {
    return this.add(
      { t: ns(begin), kind: "phase", name, edge: "begin" },
      { t: ns(end), kind: "phase", name, edge: "end" },
    );
  }

  limits(at: number, answerWithinMs: number, more: Partial<EventOf<"limits">> = {}): this {
    return this.add({ t: ns(at), kind: "limits", answerWithinMs, why: "replacement timeout 2 s, two paths", ...more });
  }

  /** A path's state in dm-multipath. */
  multipath(at: number, path: "a" | "b", state: "active" | "failed"): this {
    return this.add({ t: ns(at), kind: "multipath", path, state });
  }

  console(node: "target" | "initiator", at: number, ...lines: string[]): this {
    for (const line of lines) this.add({ t: ns(at), kind: "console", node, line });
    return this;
  }

  /** A session's state in the kernel. Session 1 is that of path a, session 2 that of path b. */
  session(at: number, path: "a" | "b", state: string, device = state === "LOGGED_IN" ? "running" : "blocked"): this {
    return this.add({ t: ns(at), kind: "session", path, sid: path === "a" ? "1" : "2", state, device });
  }

  /** Both sessions logged in, as iscsid, which runs, has just left them. */
  loggedIn(at: number): this {
    return this.session(at, "a", "LOGGED_IN").session(at, "b", "LOGGED_IN").iscsid(at, 2);
  }

  /** How many processes of iscsid run. */
  iscsid(at: number, count: number): this {
    return this.add({ t: ns(at), kind: "daemon", node: "initiator", name: "iscsid", count });
  }

  /** What iscsid says. */
  says(at: number, line: string): this {
    return this.add({ t: ns(at), kind: "syslog", node: "initiator", program: "iscsid", line });
  }

  /** A logout over path a that may take ten seconds. Without an exit status iscsiadm was killed. */
  logout(begin: number, end: number, exitCode?: number, text = ""): this {
    const edge = { kind: "logout", path: "a", sid: "1" } as const;
    const result = exitCode === undefined ? { text } : { exitCode, text };
    return this.add(
      { t: ns(begin), ...edge, edge: "begin", withinMs: 10_000 },
      { t: ns(end), ...edge, edge: "end", ...result },
    );
  }

  /** A task that was found blocked on the initiator, as `ps` and /proc/PID/stack tell it. */
  blocked(at: number, pid: number, comm: string, ...frames: string[]): this {
    return this.add({ t: ns(at), kind: "blocked-task", node: "initiator", pid, comm, frames });
  }

  /** What stopped the cell. */
  stopped(at: number, message: string, more: Partial<EventOf<"stopped">> = {}): this {
    return this.add({ t: ns(at), kind: "stopped", code: "RIG_LAB_SSH", blame: "harness", message, ...more });
  }

  /** What there is of a kind. */
  inventory(at: number, when: "begin" | "end", node: "target" | "initiator", thing: Thing, ...names: string[]): this {
    return this.add({ t: ns(at), kind: "inventory", node, when, thing, names });
  }

  /** Everything as it is with both paths logged in over TCP; `more` replaces what there is of some kinds. */
  counted(
    at: number,
    when: "begin" | "end",
    more: Partial<Record<`${"target" | "initiator"} ${Thing}`, string[]>> = {},
  ): this {
    const [a, b] = ["10.1.0.3:40000-10.1.0.2:3260", "10.2.0.3:40001-10.2.0.2:3260"];
    const usual: typeof more = {
      "initiator session": ["session1", "session2"],
      "initiator connection": ["connection1:0", "connection2:0"],
      "initiator host": ["host2 session1", "host3 session2"],
      "initiator endpoint": [],
      "initiator socket": [`a ${a} ESTABLISHED`, `b ${b} ESTABLISHED`],
      "initiator queue-pair": [],
      "target socket": [`a ${a} ESTABLISHED`, `b ${b} ESTABLISHED`],
      "target queue-pair": [],
      "target target-session": ["1 of 2", "2 of 2"],
    };
    for (const [key, names] of Object.entries({ ...usual, ...more })) {
      const [node, thing] = key.split(" ") as ["target" | "initiator", Thing];
      this.inventory(at, when, node, thing, ...names);
    }
    return this;
  }

  note(at: number): this {
    return this.add({ t: ns(at), kind: "note", text: "here" });
  }

  #operation(action: "read" | "write" | "flush" | "zeroes" | "discard", op: number, tale: OperationTale): this {
    const {
      at,
      ok,
      fail,
      sector = 0,
      sectors = 1,
      via = "initiator",
      label,
      error = "Input/output error",
      device,
      content,
      fua,
    } = tale;
    this.add({
      t: ns(at),
      kind: "invoke",
      op,
      action,
      via,
      sector,
      sectors,
      ...(label === undefined ? {} : { label }),
      ...(device === undefined ? {} : { device }),
      ...(fua === undefined ? {} : { fua }),
    });
    if (ok !== undefined) this.add({ t: ns(ok), kind: "ok", op, ...(content === undefined ? {} : { content }) });
    if (fail !== undefined) this.add({ t: ns(fail), kind: "fail", op, error });
    return this;
  }

  build(): History {
    const header = {
      kind: "header",
      version: HISTORY_VERSION,
      run: "run-1",
      scenario: "writes/six",
      kernel: "6.1",
      seed: 1,
      startedAt: "2024-01-01T00:00:00.000Z",
      monotonicStartNs: "0",
    } as const;
    return historyOf(
      header,
      this.#events.toSorted((a, b) => a.t - b.t),
    );
  }
}

/** A run of sectors that hold write `op` from its sector `i` on. */
export const written = (op: number, at = 0, n = 1, i = 0): Extent => ({ is: "write", at, n, op, i });

/** A run of sectors that hold nothing but zeros. */
export const zeros = (at = 0, n = 1): Extent => ({ is: "zero", at, n });
