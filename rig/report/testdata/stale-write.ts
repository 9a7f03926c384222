/**
 * A made-up but realistic history of recovery/stale-write, with the times that were measured on real kernels: path a is
 * cut, its writes are repeated on path b and overwritten, and after the heal the dead session's socket delivers the old
 * data (5.10) or does not exist any more (6.1). For tests of the report; no kernel was harmed.
 */
import { historyOf } from "../../history/collect.ts";
import { type Header, HISTORY_VERSION, type History, type HistoryEvent, type Unstamped } from "../../history/event.ts";
import type { Extent } from "../../history/extent.ts";
import type { BadCommand, BadExtent, Finding } from "../../oracle/finding.ts";

const SLOTS = 32;
const SLOT_SECTORS = 8;

export interface StaleWriteOptions {
  readonly kernel: string;
  readonly seed: number;
  /** Whether the kernel orphans the socket and lets it deliver the old data. */
  readonly broken: boolean;
  /** How many slots the old data reaches, from the first. */
  readonly staleSlots?: number;
  /** This slot's first sector comes back with bytes that nobody wrote, from the backing device. */
  readonly foreignSlot?: number;
  /** More lines of the initiator's console, while the path is down. */
  readonly consoleLines?: readonly string[];
  /** Whether the cell also has the rarer events: a power cut, tasks that hang, a socket left over, and what stopped it. */
  readonly troubled?: boolean;
  /** This many reads more, for tests of the caps. */
  readonly extraReads?: number;
}

export interface StaleWrite {
  readonly header: Header;
  /** As they were observed, operations included. */
  readonly events: readonly HistoryEvent[];
  /** The same with operations in a table; every event has a line of its own, from line 2 on. */
  readonly history: History;
  /** Their lines are those of `history`. */
  readonly findings: readonly Finding[];
}

const FOREIGN_HEAD =
  "7f454c4602010100000000000000000003003e000100000050a4000000000000400000000000000028530200000000000000000040003800";

/** Collects events under a clock in seconds and sorts them as a writer would have met them. */
const recorder = () => {
  const taken: { at: number; order: number; event: Unstamped }[] = [];
  return {
    put: (seconds: number, event: Unstamped) => void taken.push({ at: seconds, order: taken.length, event }),
    events: (): HistoryEvent[] =>
      taken
        .sort((a, b) => a.at - b.at || a.order - b.order)
        .map(({ at, event }) => ({ t: Math.round(at * 1e9), ...event })),
  };
};

/** The rarer events, from when the path is healed to the end. */
const trouble = (put: (seconds: number, event: Unstamped) => void, from: number, end: number): void => {
  const node = "initiator";
  put(1.4, { kind: "inventory", node, when: "begin", thing: "socket", names: ["10.10.1.2:51842", "10.10.2.2:41190"] });
  put(1.4, { kind: "inventory", node, when: "begin", thing: "session", names: ["1", "2"] });
  put(from, { kind: "power-cut", node: "target", edge: "begin" });
  put(from + 0.25, { kind: "power-cut", node: "target", edge: "end" });
  const frames = ["io_schedule", "blk_mq_get_tag", "__blk_mq_alloc_requests", "blk_mq_submit_bio", "submit_bio_wait"];
  put(from + 0.8, { kind: "blocked-task", node, pid: 211, comm: "multipathd", frames });
  put(from + 0.8, { kind: "blocked-task", node, pid: 230, comm: "kworker/u4:2", frames: frames.slice(1) });
  put(end - 0.02, {
    kind: "stopped",
    code: "RIG_DEADLINE",
    blame: "scenario",
    message: "Expected every write to be answered within 8 s; 2 were not.",
    unanswered: true,
  });
  const sockets = ["10.10.1.2:51842", "10.10.1.2:51990", "10.10.2.2:41190"];
  put(end, { kind: "inventory", node, when: "end", thing: "socket", names: sockets });
  put(end, { kind: "inventory", node, when: "end", thing: "session", names: ["2", "3"] });
};

export const staleWrite = (o: StaleWriteOptions): StaleWrite => {
  const { put, events } = recorder();
  const staleSlots = o.broken ? (o.staleSlots ?? SLOTS) : 0;
  const jitter = ((o.seed * 7919) % 2000) / 1000;
  const cut = 2.62 + jitter;
  const sent = cut + 0.05;
  const failed = sent + 2.01;
  const repeated = sent + 2.07;
  const newer = repeated + 0.01;
  const heal = repeated + 0.12;
  const drained = sent + 3.02;
  const readBack = Math.max(drained, heal) + 1.3;
  const end = readBack + 0.45;

  const phase = (name: string, from: number, to: number) => {
    put(from, { kind: "phase", name, edge: "begin" });
    put(to, { kind: "phase", name, edge: "end" });
  };
  const step = (text: string, from: number, to: number) => {
    put(from, { kind: "step", text, edge: "begin" });
    put(to, { kind: "step", text, edge: "end" });
  };
  const fault = (name: string, on: string, action: "inject" | "heal", from: number, detail: string) => {
    put(from, { kind: "fault", fault: name, action, edge: "begin", on });
    put(from + 0.02, { kind: "fault", fault: name, action, edge: "end", on, detail });
  };
  const log = (at: number, node: "initiator" | "target", line: string) => put(at, { kind: "console", node, line });

  phase("lab", 0, 1.42);
  phase("login", 1.42, 2.11);
  phase("baseline", 2.11, 2.52);
  phase("timeline", 2.52, readBack - 0.62);
  phase("settle", readBack - 0.62, readBack);
  phase("read back", readBack, readBack + 0.32);
  phase("collect", readBack + 0.32, end);
  put(2.09, { kind: "device", id: 0, name: "dm-0", lun: 0, sectors: 16_384, cache: "none" });
  put(2.1, {
    kind: "limits",
    answerWithinMs: 8000,
    why: "NOP timeout 1 + 1 s, recovery 0 s, times 4 for this machine",
  });

  for (const node of ["target", "initiator"] as const) {
    put(0.01, { kind: "node", node, state: "booting" });
    put(1.31, { kind: "node", node, state: "up" });
    const release = node === "target" ? "6.1.0-49-amd64" : o.broken ? "5.10.0-46-amd64" : "6.1.0-49-amd64";
    log(0.21, node, `[    0.000000] Linux version ${release} (debian-kernel@lists.debian.org)`);
    for (let i = 0; i < 24; i += 1) {
      log(0.22 + i * 0.04, node, `[    0.${String(i * 40).padStart(3, "0")}117] virtio: device ${i} of ${node} ready`);
    }
  }
  log(1.48, "target", "[    1.212033] iSCSI/iqn.2003-01.org.rig:t: registered portal 10.10.1.1:3260");
  log(1.61, "initiator", "[    1.390114] scsi host2: iSCSI Initiator over TCP/IP");
  log(1.63, "initiator", "[    1.402345] sd 2:0:0:0: [sda] Attached SCSI disk");
  log(1.93, "initiator", "[    1.702345] sd 3:0:0:0: [sdb] Attached SCSI disk");
  for (const path of ["a", "b"] as const) {
    const at = path === "a" ? 1.62 : 1.92;
    const local = path === "a" ? "10.10.1.2:51842" : "10.10.2.2:41190";
    put(at, { kind: "socket", node: "initiator", path, local, state: "ESTAB", sendQueueBytes: 0, orphan: false });
    put(at + 0.02, {
      kind: "session",
      path,
      sid: path === "a" ? "1" : "2",
      state: "LOGGED_IN",
      device: path === "a" ? "sda" : "sdb",
    });
    put(2.06, { kind: "multipath", path, state: "active" });
  }

  let next = 1;
  const writeAll = (label: string, from: number, answered: number): number[] =>
    Array.from({ length: SLOTS }, (_, slot) => {
      const op = next++;
      put(from + slot * 0.00004, {
        kind: "invoke",
        op,
        action: "write",
        via: "initiator",
        sector: slot * SLOT_SECTORS,
        sectors: SLOT_SECTORS,
        label,
      });
      put(answered + slot * 0.0002, { kind: "ok", op });
      return op;
    });
  /** What the target's tracepoints saw of a generation: every write, as it was executed. The third is the dead socket's. */
  const executed = (path: "a" | "b", from: number, generation: number): BadCommand[] =>
    Array.from({ length: generation === 3 ? staleSlots : SLOTS }, (_, slot) => {
      const at = from + slot * 0.0002;
      const sent = { session: `${path}#1`, path, tag: generation * 256 + slot, cmdSN: 40 + generation * SLOTS + slot };
      const place = { sector: slot * SLOT_SECTORS, sectors: SLOT_SECTORS };
      const executedNs = Math.round(at * 1e9);
      const more = { receivedNs: executedNs - 40_000, doneNs: executedNs + 300_000, status: 0 };
      put(at, { kind: "command", action: "write", lun: 0, ...place, ...sent, ...more });
      return { ...sent, ...place, executedNs };
    });

  writeAll("generation 0", 2.16, 2.21);
  fault("iscsid-kill#1", "initiator", "inject", cut - 0.08, "SIGKILL to both processes of iscsid");
  fault("path-drop:a#1", "path a", "inject", cut - 0.02, "iptables FORWARD physdev DROP, both directions");
  step("kill iscsid, so that the kernel alone handles the failure", cut - 0.08, cut - 0.06);
  step("drop path a", cut - 0.02, cut);
  step("write generation 1 to every slot: it cannot leave", sent, repeated);
  const older = writeAll("generation 1", sent, repeated);
  executed("a", 2.2, 0);
  executed("b", repeated - 0.008, 1);
  put(sent + 0.01, {
    kind: "socket",
    node: "initiator",
    path: "a",
    local: "10.10.1.2:51842",
    state: "ESTAB",
    sendQueueBytes: 132_624,
    orphan: false,
  });

  const up = (seconds: number) => seconds - 0.2;
  const stamp = (seconds: number) => `[${up(seconds).toFixed(6).padStart(12)}]`;
  const pingTimeout = `${stamp(failed - 0.01)}  connection1:0: ping timeout of 1 secs expired, recv timeout 1, last rx 4294893311, last ping 4294893568, now 4294893824`;
  log(failed - 0.01, "initiator", pingTimeout);
  log(failed, "initiator", `${stamp(failed)}  connection1:0: detected conn error (1022)`);
  put(failed + 0.004, { kind: "session", path: "a", sid: "1", state: "FAILED", device: "sda" });
  if (o.broken) {
    const local = "10.10.1.2:51842";
    put(failed + 0.01, {
      kind: "socket",
      node: "initiator",
      path: "a",
      local,
      state: "FIN-WAIT-1",
      sendQueueBytes: 132_625,
      orphan: true,
    });
    put(drained, {
      kind: "socket",
      node: "initiator",
      path: "a",
      local,
      state: "FIN-WAIT-2",
      sendQueueBytes: 0,
      orphan: true,
    });
    put(drained + 0.24, {
      kind: "socket",
      node: "initiator",
      path: "a",
      local,
      state: "gone",
      sendQueueBytes: 0,
      orphan: false,
    });
  } else {
    put(failed + 0.01, {
      kind: "socket",
      node: "initiator",
      path: "a",
      local: "10.10.1.2:51842",
      state: "gone",
      sendQueueBytes: 0,
      orphan: false,
    });
  }
  log(failed + 0.02, "initiator", `${stamp(failed + 0.02)}  session1: session recovery timed out after 0 secs`);
  log(failed + 0.03, "initiator", `${stamp(failed + 0.03)} sd 2:0:0:0: rejecting I/O to offline device`);
  log(failed + 0.03, "initiator", `${stamp(failed + 0.03)} device-mapper: multipath: 254:0: Failing path 8:0.`);
  put(failed + 0.035, { kind: "multipath", path: "a", state: "failed" });
  (o.consoleLines ?? []).forEach((line, i) => log(failed + 0.04 + i * 1e-5, "initiator", line));
  step("write generation 2 to every slot: acknowledged over path b", newer, newer + 0.02);
  const newest = writeAll("generation 2", newer, newer + 0.01);
  executed("b", newer + 0.002, 2);
  const late = executed("a", drained - 0.03, 3).slice(0, staleSlots);
  step("heal path a", heal, heal + 0.02);
  fault("path-drop:a#1", "path a", "heal", heal, "rules removed");
  fault("iscsid-kill#1", "initiator", "heal", readBack - 0.5, "iscsid started");
  step("wait until path a is quiet", heal + 0.03, readBack - 0.65);
  const counters = { packetsDropped: 11 + o.seed, bytesDropped: 141_320 + o.seed * 66 };
  put(readBack - 0.4, {
    kind: "evidence",
    fault: "path-drop:a#1",
    bit: true,
    gone: true,
    text: `${counters.packetsDropped} packets dropped on path a; the rules are gone`,
    counters,
  });
  put(readBack - 0.39, {
    kind: "evidence",
    fault: "iscsid-kill#1",
    bit: true,
    gone: true,
    text: "2 processes killed; running again",
    counters: { processesKilled: 2 },
  });

  put(readBack + 0.33, {
    kind: "witness",
    by: "tracepoints",
    whole: true,
    skewNs: 180_000,
    text: "every command of both paths, in the order in which the target executed them",
  });

  const reads: { via: "initiator" | "backing"; slot: number; op: number }[] = [];
  (["initiator", "backing"] as const).forEach((via, pass) => {
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const op = next++;
      const at = readBack + 0.02 + pass * 0.15 + slot * 0.003;
      const sector = slot * SLOT_SECTORS;
      put(at, { kind: "invoke", op, action: "read", via, sector, sectors: SLOT_SECTORS, label: "final" });
      const writer = (slot < staleSlots ? older : newest)[slot] ?? 0;
      const content: Extent[] =
        slot === o.foreignSlot && via === "backing"
          ? [
              { is: "foreign", at: sector, n: 1, head: FOREIGN_HEAD },
              { is: "write", at: sector + 1, n: SLOT_SECTORS - 1, op: writer, i: 1 },
            ]
          : [{ is: "write", at: sector, n: SLOT_SECTORS, op: writer, i: 0 }];
      put(at + 0.0025, { kind: "ok", op, content });
      reads.push({ via, slot, op });
    }
  });
  for (let i = 0; i < (o.extraReads ?? 0); i += 1) {
    const op = next++;
    const sector = (i % SLOTS) * SLOT_SECTORS;
    put(2.3 + i * 1e-5, { kind: "invoke", op, action: "read", via: "initiator", sector, sectors: SLOT_SECTORS });
    put(2.3 + i * 1e-5 + 5e-6, { kind: "ok", op });
  }

  if (o.troubled === true) trouble(put, heal, end);

  const list = events();
  const lineOf = (test: (e: HistoryEvent) => boolean): number => list.findIndex(test) + 2;
  const findings: Finding[] = [];
  if (o.broken) {
    const extents: BadExtent[] = reads
      .filter(r => r.slot < staleSlots)
      .map(r => ({
        sector: r.slot * SLOT_SECTORS,
        sectors: SLOT_SECTORS,
        via: r.via,
        expected: [{ op: newest[r.slot] ?? 0, label: "generation 2" }],
        found: { op: older[r.slot] ?? 0, label: "generation 1" },
        commands: late.slice(r.slot, r.slot + 1),
      }));
    const firstRead = reads[0]?.op;
    findings.push({
      oracle: "integrity",
      class: "stale",
      title: "older data over newer acknowledged data",
      explanation:
        `All sectors of ${SLOTS} slots had to hold generation 2, acknowledged at ${(newer + 0.01).toFixed(3)} s and written to by nobody since. ` +
        `${staleSlots * SLOT_SECTORS} sectors hold generation 1 instead, which had been acknowledged at ${repeated.toFixed(3)} s, before generation 2 was sent. ` +
        `So a second copy of generation 1 reached the disk after generation 2: the first is what path b wrote, the second can only have come from path a.`,
      lines: [
        lineOf(e => e.kind === "ok" && e.op === firstRead),
        lineOf(e => e.kind === "ok" && e.op === newest[0]),
        lineOf(e => e.kind === "invoke" && e.op === older[0]),
        lineOf(e => e.kind === "socket" && e.orphan),
      ],
      extents,
    });
    if (o.foreignSlot !== undefined) {
      const sector = o.foreignSlot * SLOT_SECTORS;
      findings.push({
        oracle: "integrity",
        class: "foreign",
        title: "bytes that no operation wrote",
        explanation: `Sector ${sector} of the backing device holds bytes that no operation of this cell wrote. They begin like an ELF file.`,
        lines: [lineOf(e => e.kind === "ok" && e.content?.[0]?.is === "foreign")],
        extents: [
          {
            sector,
            sectors: 1,
            via: "backing",
            expected: [
              {
                op: newest[o.foreignSlot] ?? 0,
                label: "generation 2",
                why: `acknowledged at ${(newer + 0.01).toFixed(3)} s and not replaced since`,
              },
            ],
            found: { label: "foreign bytes", head: FOREIGN_HEAD },
          },
        ],
      });
    }
  }
  const header: Header = {
    kind: "header",
    version: HISTORY_VERSION,
    run: "20251122-134900",
    scenario: "recovery/stale-write",
    kernel: o.kernel,
    seed: o.seed,
    startedAt: "2025-11-22T13:49:00.000Z",
    monotonicStartNs: "812345678901",
  };
  return { header, events: list, history: historyOf(header, list), findings };
};
