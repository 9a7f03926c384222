import { z } from "zod";
import { BLAMES } from "../core/errors.ts";
import { NODE_NAMES, PATH_NAMES } from "../core/names.ts";
import { extentSchema } from "./extent.ts";
import type { OperationTable } from "./operations.ts";

/**
 * The history of one cell: everything that was observed, one event a line (NDJSON), on one clock. The first line is the
 * header; every later line is an event whose `t` is nanoseconds on the host's monotonic clock since the header's
 * `monotonicStartNs`. Oracles read nothing else, so a verdict can be computed again from this file alone.
 *
 * Operations follow Jepsen's three-valued convention: an `invoke` is followed by at most one `ok` or `fail`; one that is
 * followed by neither is unanswered, and an unanswered write may take effect at any time after its invocation.
 */

const t = z.number().int().nonnegative();
const node = z.enum(NODE_NAMES);
const path = z.enum(PATH_NAMES);
const count = z.number().int().nonnegative();

/** The version that is written. Version 1 had operations as objects and no last line; it is not read any more. */
export const HISTORY_VERSION = 2;

export const headerSchema = z.strictObject({
  kind: z.literal("header"),
  version: z.literal(HISTORY_VERSION),
  run: z.string(),
  scenario: z.string(),
  kernel: z.string(),
  seed: z.number().int(),
  startedAt: z.string(),
  monotonicStartNs: z.string(),
});
export type Header = z.infer<typeof headerSchema>;

export const eventSchema = z.discriminatedUnion("kind", [
  /** A part of the cell's life (lab, baseline, timeline, heal, read-back, ...), for timing and for the report. */
  z.strictObject({ t, kind: z.literal("phase"), name: z.string(), edge: z.enum(["begin", "end"]) }),
  /** One step of the scenario's timeline, in words. */
  z.strictObject({ t, kind: z.literal("step"), text: z.string(), edge: z.enum(["begin", "end"]) }),
  /**
   * What the configuration under test allows; the hang oracle judges by it. `noopMs` is the shortest time in which a NOP
   * must be sent or answered; where no NOPs are configured there is none.
   */
  z.strictObject({
    t,
    kind: z.literal("limits"),
    answerWithinMs: count,
    why: z.string(),
    noopMs: z.number().int().positive().optional(),
    /** The longest time for which a dead connection may go unnoticed. */
    noticeMs: count.optional(),
    /** How long a lost session's commands wait for it to come back before they fail. */
    replacementMs: count.optional(),
    /** Whether the map over all paths keeps what finds no path until there is one (queue_if_no_path). */
    queues: z.boolean().optional(),
  }),
  /** An operation was handed to the device under test. `via` tells through which end. Addresses are in sectors. */
  z.strictObject({
    t,
    kind: z.literal("invoke"),
    op: count,
    action: z.enum(["write", "read", "flush", "discard", "zeroes"]),
    via: z.enum(["initiator", "backing"]),
    /** Which `device` it went to; 0 where there is but one. */
    device: z.number().int().min(0).max(255).optional(),
    sector: count,
    sectors: count,
    fua: z.boolean().optional(),
    label: z.string().optional(),
  }),
  /** The operation was acknowledged. A read carries what it found. */
  z.strictObject({ t, kind: z.literal("ok"), op: count, content: z.array(extentSchema).optional() }),
  /** The operation came back with an error: after this moment it can no longer take effect. */
  z.strictObject({ t, kind: z.literal("fail"), op: count, error: z.string() }),
  /**
   * A device under test that operations may go to. Devices of one `lun` are the same disk, reached over dm-multipath or, with
   * `path`, over that path alone. `cache` is what the disk promises: `none`, an acknowledged write survives a power cut of the
   * target; `volatile`, only what a flush or FUA covers does.
   */
  z.strictObject({
    t,
    kind: z.literal("device"),
    id: z.number().int().min(0).max(255),
    name: z.string(),
    lun: count,
    sectors: count,
    cache: z.enum(["none", "volatile"]),
    path: path.optional(),
  }),
  /** A node lost its power, somewhere between the two edges; what its memory held is gone. */
  z.strictObject({ t, kind: z.literal("power-cut"), node, edge: z.enum(["begin", "end"]) }),
  /**
   * A SCSI command as the target saw it: the second witness. `t` is when it was executed, on the host's clock; `receivedNs` and
   * `doneNs` likewise where they are known. `path` is that of the session that brought it, undefined where nobody can tell;
   * `session` tells connections of a path apart (`a#1` is its first). `tag` is the initiator task tag, `cmdSN` the command's
   * number in its session (RFC 7143, 4.2.2.1). `status` is the SCSI status that LIO completed it with.
   */
  z.strictObject({
    t,
    kind: z.literal("command"),
    action: z.enum(["write", "read", "flush", "discard", "zeroes", "other"]),
    lun: count,
    sector: count,
    sectors: count,
    fua: z.boolean().optional(),
    path: path.optional(),
    session: z.string().optional(),
    tag: count,
    cmdSN: count.optional(),
    receivedNs: count.optional(),
    doneNs: count.optional(),
    status: count.optional(),
  }),
  /**
   * What the second witness's word is worth: where it comes from, whether it saw every command, and by how much its clock may
   * differ from the host's, in ns. The order of its commands is exact wherever `by` is `tracepoints`.
   */
  z.strictObject({
    t,
    kind: z.literal("witness"),
    by: z.enum(["tracepoints", "capture", "nothing"]),
    whole: z.boolean(),
    skewNs: count,
    text: z.string(),
  }),
  /** The connection to a device under test ended, or, without `device`, to all; operations without an answer stay unanswered. */
  z.strictObject({
    t,
    kind: z.literal("disconnect"),
    device: z.number().int().min(0).max(255).optional(),
    why: z.string(),
  }),
  /** Something was broken on purpose, or mended. `fault` is unique in the cell, such as `path-drop:a#1`. */
  z.strictObject({
    t,
    kind: z.literal("fault"),
    fault: z.string(),
    action: z.enum(["inject", "heal"]),
    edge: z.enum(["begin", "end"]),
    on: z.string(),
    detail: z.string().optional(),
  }),
  /** What a fault's own counters say. `bit` false makes the cell ERROR. */
  z.strictObject({
    t,
    kind: z.literal("evidence"),
    fault: z.string(),
    bit: z.boolean(),
    gone: z.boolean(),
    text: z.string(),
    counters: z.record(z.string(), z.number()),
  }),
  /** A session's state in the initiator's kernel (sysfs), recorded when it changes. */
  z.strictObject({
    t,
    kind: z.literal("session"),
    path,
    sid: z.string(),
    state: z.string(),
    device: z.string().optional(),
  }),
  /** How many processes of a daemon run, recorded when it changes. */
  z.strictObject({ t, kind: z.literal("daemon"), node, name: z.string(), count }),
  /** A line that a daemon wrote to syslog, bounded and without control characters. iscsid's come up to a second late. */
  z.strictObject({ t, kind: z.literal("syslog"), node, program: z.string(), line: z.string() }),
  /**
   * A logout that was asked for, with the longest time that it may take. Its end has the exit status of iscsiadm (0, or an
   * ISCSI_ERR of open-iscsi's iscsi_err.h) and what it said; where it had to be killed there is no status.
   */
  z.strictObject({
    t,
    kind: z.literal("logout"),
    path,
    sid: z.string(),
    edge: z.enum(["begin", "end"]),
    withinMs: count.optional(),
    exitCode: count.optional(),
    text: z.string().optional(),
  }),
  /** An instrument of the initiator's kernel was set: from now on it holds its work up by so many milliseconds. */
  z.strictObject({ t, kind: z.literal("instrument"), name: z.string(), ms: count }),
  /** A TCP socket of an iSCSI connection on a node, recorded when it changes. `gone` when it left the table. */
  z.strictObject({
    t,
    kind: z.literal("socket"),
    node,
    path,
    local: z.string(),
    state: z.string(),
    sendQueueBytes: count,
    orphan: z.boolean(),
  }),
  /** A reliable queue pair of an iSER connection on a node, recorded when it changes. `gone` when it was destroyed. */
  z.strictObject({
    t,
    kind: z.literal("queue-pair"),
    node,
    path,
    number: count,
    peer: count,
    state: z.string(),
  }),
  /** A path's state in dm-multipath, recorded when it changes; `device` tells the LUN's map where there are several. */
  z.strictObject({
    t,
    kind: z.literal("multipath"),
    path,
    state: z.enum(["active", "failed"]),
    device: z.string().optional(),
  }),
  /** One line of a node's serial console, bounded and without control characters. */
  z.strictObject({ t, kind: z.literal("console"), node, line: z.string() }),
  /** A node's life: booting, up, panicked, off. */
  z.strictObject({ t, kind: z.literal("node"), node, state: z.string(), detail: z.string().optional() }),
  /**
   * A node was kept from running by the machine: in the window that ended at `t`, the thread of its QEMU that waited longest
   * for a CPU got one after `waitMs` in all. Its kernel counts a wait when it is over, so a wait may be longer than its
   * window. Windows with less than 20 ms are left out.
   */
  z.strictObject({ t, kind: z.literal("load"), node, windowMs: count, waitMs: count }),
  /** The watch in a guest woke up this much later than it was due, by the guest's own clock. */
  z.strictObject({ t, kind: z.literal("late"), node, ms: count }),
  /** What there is of a kind on a node: at the beginning, when nothing had been broken, and at the end, to see what was left over. */
  z.strictObject({
    t,
    kind: z.literal("inventory"),
    node,
    when: z.enum(["begin", "end"]),
    thing: z.enum(["session", "connection", "host", "endpoint", "socket", "queue-pair", "target-session"]),
    names: z.array(z.string()),
  }),
  /** A task that waits and is not to be disturbed (state D), with its kernel stack: collected where something hangs. */
  z.strictObject({
    t,
    kind: z.literal("blocked-task"),
    node,
    pid: count,
    comm: z.string(),
    frames: z.array(z.string()),
  }),
  /**
   * What stopped the cell before its end. `unanswered` and `unrecovered`: that it waited for an operation, or a session, in
   * vain; `failed`: that an operation failed that it needed.
   */
  z.strictObject({
    t,
    kind: z.literal("stopped"),
    code: z.string(),
    blame: z.enum(BLAMES),
    message: z.string(),
    unanswered: z.boolean().optional(),
    failed: z.boolean().optional(),
    unrecovered: z.boolean().optional(),
  }),
  /** Anything else worth a line in the report. */
  z.strictObject({ t, kind: z.literal("note"), text: z.string() }),
]);
export type HistoryEvent = z.infer<typeof eventSchema>;
export type EventOf<K extends HistoryEvent["kind"]> = Extract<HistoryEvent, { kind: K }>;

/** An operation's event: it goes into the history's table of operations. */
export type OperationEvent = EventOf<"invoke"> | EventOf<"ok"> | EventOf<"fail">;
/** Any other event. */
export type PlainEvent = Exclude<HistoryEvent, OperationEvent>;

/** A line of the file that says nothing which can be believed. */
export interface Damage {
  readonly line: number;
  /** What was expected, and what is there. */
  readonly problem: string;
}

/** A history as it was read: operations in a table, all other events in the order of the file. */
export interface History {
  readonly header: Header;
  /** Every event but invoke, ok and fail. */
  readonly events: readonly PlainEvent[];
  /** The line of the file on which `events[i]` stands; the header is line 1. */
  readonly lines: readonly number[];
  readonly operations: OperationTable;
  /** Empty for a file that is whole. Who judges by what is missing must not judge a history that has any. */
  readonly damage: readonly Damage[];
  /** Whether the file ends without its last line: the rig died, or the file was cut. */
  readonly truncated: boolean;
}

/** An event before the writer has put the time on it. */
export type Unstamped<E = HistoryEvent> = E extends HistoryEvent ? Omit<E, "t"> : never;

/** Where parts of the rig put what they observe. `at` (hrtime, ns) is given when the moment was taken earlier. */
export interface HistorySink {
  record(event: Unstamped, at?: bigint): void;
}
