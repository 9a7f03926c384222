import { z } from "zod";
import { NODE_NAMES, PATH_NAMES } from "../core/names.ts";

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

/** One run of adjacent sectors as a read found them. `at` is the first sector's address, `n` how many there are. */
export const extentSchema = z.discriminatedUnion("is", [
  /** Sectors `i` to `i + n - 1` of write `op`, each intact and at its own address. */
  z.strictObject({ is: z.literal("write"), at: count, n: count, op: count, i: count }),
  /** Nothing but zero bytes: what the disk held before the first write. */
  z.strictObject({ is: z.literal("zero"), at: count, n: count }),
  /** Intact sectors of write `op` that belong at sector `address`, not here. */
  z.strictObject({ is: z.literal("elsewhere"), at: count, n: count, op: count, i: count, address: count }),
  /** A sector that begins as sector `i` of write `op` but whose checksum is wrong: part of it is something else. */
  z.strictObject({
    is: z.literal("damaged"),
    at: count,
    n: z.literal(1),
    op: count,
    i: count,
    badFrom: count,
    head: z.string(),
  }),
  /** Bytes that no write of this cell wrote. `head` is the first 64 bytes of the first sector in hex. */
  z.strictObject({ is: z.literal("foreign"), at: count, n: count, head: z.string(), otherRun: z.boolean().optional() }),
]);
export type Extent = z.infer<typeof extentSchema>;

export const headerSchema = z.strictObject({
  kind: z.literal("header"),
  version: z.literal(1),
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
  }),
  /** An operation was handed to the device under test. `via` tells through which end. Addresses are in sectors. */
  z.strictObject({
    t,
    kind: z.literal("invoke"),
    op: count,
    action: z.enum(["write", "read", "flush"]),
    via: z.enum(["initiator", "backing"]),
    sector: count,
    sectors: count,
    fua: z.boolean().optional(),
    label: z.string().optional(),
  }),
  /** The operation was acknowledged. A read carries what it found. */
  z.strictObject({ t, kind: z.literal("ok"), op: count, content: z.array(extentSchema).optional() }),
  /** The operation came back with an error: after this moment it can no longer take effect. */
  z.strictObject({ t, kind: z.literal("fail"), op: count, error: z.string() }),
  /** The connection to the device under test ended; operations without an answer stay unanswered. */
  z.strictObject({ t, kind: z.literal("disconnect"), why: z.string() }),
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
  /** A path's state in dm-multipath, recorded when it changes: `A` active, `F` failed. */
  z.strictObject({ t, kind: z.literal("multipath"), path, state: z.enum(["active", "failed"]) }),
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
  /** Anything else worth a line in the report. */
  z.strictObject({ t, kind: z.literal("note"), text: z.string() }),
]);
export type HistoryEvent = z.infer<typeof eventSchema>;
export type EventOf<K extends HistoryEvent["kind"]> = Extract<HistoryEvent, { kind: K }>;

/** A whole history. `line(event)` of the file is the event's index in `events` plus 2 (the header is line 1). */
export interface History {
  readonly header: Header;
  readonly events: readonly HistoryEvent[];
}

/** An event before the writer has put the time on it. */
export type Unstamped<E = HistoryEvent> = E extends HistoryEvent ? Omit<E, "t"> : never;

/** Where parts of the rig put what they observe. `at` (hrtime, ns) is given when the moment was taken earlier. */
export interface HistorySink {
  record(event: Unstamped, at?: bigint): void;
}
