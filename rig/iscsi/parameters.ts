/**
 * The iSCSI parameters of a scenario, under open-iscsi's and RFC 7143's names, and what they imply: how long the
 * configuration may keep an operation waiting.
 */
import { z } from "zod";
import type { Transport } from "./transport.ts";

const seconds = z.number().int().min(0).max(3600);
const bytes = z.number().int().min(512).max(16_777_215);

/** Timers of the initiator, in seconds (iscsid.conf: node.session.timeo, node.conn[0].timeo, node.session.err_timeo). */
export const timingSchema = z
  .strictObject({
    /** Idle time after which a NOP-Out is sent; 0 sends none. */
    noopInterval: seconds.default(5),
    /** How long its answer may take before the connection counts as failed. */
    noopTimeout: seconds.default(5),
    /** How long a failed session's commands wait for it to come back before they fail (recovery_tmo in the kernel). */
    replacementTimeout: seconds.default(120),
    loginTimeout: seconds.default(5),
    logoutTimeout: seconds.default(5),
    abortTimeout: seconds.default(15),
    /** The target's NOP-In timer for this initiator; 0 turns it off. */
    targetNopinTimeout: seconds.default(15),
  })
  .refine(timing => (timing.noopInterval === 0) === (timing.noopTimeout === 0), {
    // The kernel would set the missing one to 5 s by itself (libiscsi.c, iscsi_conn_start).
    error: "noopInterval and noopTimeout: expected both to be 0, or neither",
  });
export type Timing = z.infer<typeof timingSchema>;

/** Parameters that are negotiated at login (RFC 7143, section 13), and the depth of a LUN's queue. */
export const sessionSchema = z.strictObject({
  queueDepth: z.number().int().min(1).max(1024).default(32),
  immediateData: z.boolean().default(true),
  initialR2T: z.boolean().default(false),
  firstBurstLength: bytes.default(262_144),
  maxBurstLength: bytes.default(262_144),
  /** What the initiator is ready to receive in one PDU. */
  maxRecvDataSegmentLength: bytes.default(262_144),
  /** What the target is ready to receive in one PDU. */
  targetMaxRecvDataSegmentLength: bytes.default(262_144),
});
export type SessionParameters = z.infer<typeof sessionSchema>;

/** How long it takes to notice a dead connection, in seconds. */
const noticeS = ({ noopInterval, noopTimeout, abortTimeout }: Timing): number =>
  noopInterval === 0 ? SCSI_TIMEOUT_S + abortTimeout : noopInterval + noopTimeout;

/** Linux's SCSI command timer for disks, in seconds: after it the error handler takes over (sd.c, SD_TIMEOUT). */
const SCSI_TIMEOUT_S = 30;

/** What is given beyond the timers, to a machine that runs a guest as fast as usual. */
const SPARE_S = 10;

/** The longest time for which a dead connection may go unnoticed. */
export const noticeMs = (timing: Timing): number => noticeS(timing) * 1000;

/**
 * How long an operation may wait while at least one path works: until the dead connection is noticed, plus the time that
 * its session is given to come back, never less than the SCSI timer, and ten seconds to spare. Timers take as long on any
 * machine, what comes between them does not: the accelerator's measured `factor` stretches the spare time, `scale` all of it.
 */
export const answerWithinMs = (timing: Timing, scale: number, factor = 1): { ms: number; why: string } => {
  const notice = noticeS(timing);
  const timers = Math.max(notice + timing.replacementTimeout, SCSI_TIMEOUT_S);
  const slow = factor === 1 ? "" : ` times ${factor}, by which this machine's accelerator was measured to be slower`;
  const stretched = scale === 1 ? "" : `, all of it times ${scale}`;
  return {
    ms: Math.ceil((timers + SPARE_S * factor) * 1000 * scale),
    why: `${notice} s to notice a dead connection, ${timing.replacementTimeout} s replacement timeout, ${SCSI_TIMEOUT_S} s SCSI timer, ${SPARE_S} s to spare${slow}${stretched}`,
  };
};

/**
 * How long a logout may take, over a path that is dead as well: until that is noticed or the logout's own timer ends, and ten
 * seconds to spare. `scale` stretches it on slow machines.
 */
export const logoutWithinMs = (timing: Timing, scale: number): number =>
  Math.ceil((noticeS(timing) + timing.logoutTimeout + 10) * 1000 * scale);

/** The shortest timer by which the initiator finds a dead connection, in ms; undefined if it sends no NOPs. */
export const shortestNoopMs = ({ noopInterval, noopTimeout }: Timing): number | undefined =>
  noopInterval === 0 ? undefined : Math.min(noopInterval, noopTimeout) * 1000;

const yesNo = (value: boolean): string => (value ? "Yes" : "No");

/** iscsid.conf for a scenario. */
export const iscsidConf = (timing: Timing, session: SessionParameters): string =>
  `${Object.entries({
    "iscsid.startup": "/bin/true",
    "node.startup": "manual",
    "node.session.scan": "auto",
    "node.session.timeo.replacement_timeout": timing.replacementTimeout,
    "node.conn[0].timeo.login_timeout": timing.loginTimeout,
    "node.conn[0].timeo.logout_timeout": timing.logoutTimeout,
    "node.conn[0].timeo.noop_out_interval": timing.noopInterval,
    "node.conn[0].timeo.noop_out_timeout": timing.noopTimeout,
    "node.session.err_timeo.abort_timeout": timing.abortTimeout,
    "node.session.initial_login_retry_max": 4,
    "node.session.cmds_max": 128,
    "node.session.queue_depth": session.queueDepth,
    "node.session.iscsi.InitialR2T": yesNo(session.initialR2T),
    "node.session.iscsi.ImmediateData": yesNo(session.immediateData),
    "node.session.iscsi.FirstBurstLength": session.firstBurstLength,
    "node.session.iscsi.MaxBurstLength": session.maxBurstLength,
    "node.conn[0].iscsi.MaxRecvDataSegmentLength": session.maxRecvDataSegmentLength,
  })
    .map(([key, value]) => `${key} = ${value}`)
    .join("\n")}\n`;

/**
 * What sysfs must say of a session that was logged in with these parameters (scsi_transport_iscsi.c). Over iser the lengths of
 * data segments are not the scenario's: RFC 7145 has keys of its own for them (section 6), which LIO and ib_iser fill with
 * constants.
 */
export const expectedSysfs = (
  timing: Timing,
  session: SessionParameters,
  transport: Transport,
): Readonly<Record<string, string>> => ({
  proc_name: transport === "tcp" ? "iscsi_tcp" : "iscsi_iser",
  recovery_tmo: String(timing.replacementTimeout),
  ping_tmo: String(timing.noopTimeout),
  recv_tmo: String(timing.noopInterval),
  immediate_data: session.immediateData ? "1" : "0",
  initial_r2t: session.initialR2T ? "1" : "0",
  first_burst_len: String(session.firstBurstLength),
  max_burst_len: String(session.maxBurstLength),
  ...(transport === "tcp" && {
    max_recv_dlength: String(session.maxRecvDataSegmentLength),
    max_xmit_dlength: String(session.targetMaxRecvDataSegmentLength),
  }),
});
