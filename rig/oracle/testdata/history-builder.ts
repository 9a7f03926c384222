/**
 * Writes small histories for tests the way one tells them: what was invoked when, and what came of it. Times are seconds.
 */
import type { Extent, History, HistoryEvent } from "../../history/event.ts";

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
  readonly content?: Extent[];
}

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

  /** The same content, read through both ends one after the other, from `at` on. */
  readBack(op: number, at: number, content: Extent[]): this {
    const sector = Math.min(...content.map(extent => extent.at));
    const sectors = content.reduce((sum, { n }) => sum + n, 0);
    return this.read(op, { at, ok: at + 0.1, sector, sectors, content }).read(op + 1, {
      at: at + 0.2,
      ok: at + 0.3,
      sector,
      sectors,
      content,
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

  limits(at: number, answerWithinMs: number): this {
    return this.add({ t: ns(at), kind: "limits", answerWithinMs, why: "replacement timeout 2 s, two paths" });
  }

  console(node: "target" | "initiator", at: number, ...lines: string[]): this {
    return this.add(...lines.map((line): HistoryEvent => ({ t: ns(at), kind: "console", node, line })));
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

  note(at: number): this {
    return this.add({ t: ns(at), kind: "note", text: "here" });
  }

  #operation(action: "read" | "write", op: number, tale: OperationTale): this {
    const {
      at,
      ok,
      fail,
      sector = 0,
      sectors = 1,
      via = "initiator",
      label,
      error = "Input/output error",
      content,
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
    });
    if (ok !== undefined) this.add({ t: ns(ok), kind: "ok", op, ...(content === undefined ? {} : { content }) });
    if (fail !== undefined) this.add({ t: ns(fail), kind: "fail", op, error });
    return this;
  }

  build(): History {
    return {
      header: {
        kind: "header",
        version: 1,
        run: "run-1",
        scenario: "writes/six",
        kernel: "6.1",
        seed: 1,
        startedAt: "2024-01-01T00:00:00.000Z",
        monotonicStartNs: "0",
      },
      events: this.#events.toSorted((a, b) => a.t - b.t),
    };
  }
}

/** A run of sectors that hold write `op` from its sector `i` on. */
export const written = (op: number, at = 0, n = 1, i = 0): Extent => ({ is: "write", at, n, op, i });

/** A run of sectors that hold nothing but zeros. */
export const zeros = (at = 0, n = 1): Extent => ({ is: "zero", at, n });
