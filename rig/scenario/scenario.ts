/**
 * What a scenario is: a few settings, and a timeline that reads like the bug report it came from. The timeline's steps wait
 * for events, each with a deadline; every step goes into the history in words.
 */
import { z } from "zod";
import { PATH_NAMES, type PathName } from "../core/names.ts";
import { CACHES } from "../iscsi/backstore.ts";
import { sessionSchema, timingSchema } from "../iscsi/parameters.ts";
import { TRANSPORTS, type Transport } from "../iscsi/transport.ts";
import { INSTRUMENT_NAMES, type InstrumentName } from "./instruments.ts";
import type { LedgerControl } from "./ledger-control.ts";
import { ledgerSchema, misfitOf } from "./ledger-settings.ts";

/** Each takes a disk and, by paths, two servers of the guests' memory. */
const MAX_LUNS = 4;

const fieldsSchema = z.strictObject({
  /** What goes wrong, in one line. */
  title: z.string().min(10).max(120),
  /** Upstream commits (12 hex digits) that the scenario is about. */
  about: z.array(z.string().regex(/^[0-9a-f]{12}$/, "expected 12 hex digits of a commit")),
  /** What a healthy kernel does, in a sentence. */
  healthy: z.string().min(10),
  /** The two kernels that show it: what `rig compare` runs where no others are named. */
  reference: z
    .strictObject({
      base: z.string().min(1),
      head: z.string().min(1),
      /** Compared only when the scenario is named: its kernels take long to build. */
      onRequest: z.boolean().default(false),
    })
    .optional(),
  lab: z.strictObject({
    paths: z.literal(2),
    transport: z.enum(TRANSPORTS),
    multipath: z.literal("failover"),
    /** Size of each LUN in MiB. */
    lunMiB: z.number().int().min(1).max(4096).default(64),
    /** How many LUNs the target has. */
    luns: z.number().int().min(1).max(MAX_LUNS).default(1),
    /** What the ledger drives: each LUN over dm-multipath, or each path of it by itself. */
    devices: z.enum(["multipath", "paths"]).default("multipath"),
    /** Whether an acknowledged write is on the target's disk, or in a cache that a power cut empties. */
    cache: z.enum(CACHES).default("none"),
    /** Whether LIO lets the initiator discard blocks. */
    discard: z.boolean().default(false),
    /** For tests of the rig: a device-mapper device under each LUN, whose table can be changed. */
    mapper: z.boolean().default(false),
  }),
  /** What the kernel must have; where it does not, the cell is MISS. */
  needs: z.strictObject({ instruments: z.array(z.enum(INSTRUMENT_NAMES)).default([]) }).prefault({}),
  timing: timingSchema.prefault({}),
  session: sessionSchema.prefault({}),
  ledger: ledgerSchema,
});

/** A transformation, for it is only done where every field is right by itself. */
export const scenarioDataSchema = fieldsSchema.transform((data, context) => {
  const { lab, ledger } = data;
  const devices = lab.devices === "paths" ? lab.luns * PATH_NAMES.length : lab.luns;
  const message = misfitOf(ledger, { devices, discard: lab.discard });
  if (message !== undefined) context.addIssue({ code: "custom", path: ["ledger"], message });
  return data;
});

/** A scenario's settings after defaults were filled in. */
export type ScenarioData = z.infer<typeof scenarioDataSchema>;

/** One path of the lab, to be broken and mended. */
export interface PathControl {
  /** Drops every packet, both ways, silently. */
  readonly drop: () => Promise<void>;
  /** Mends what `drop` broke. */
  readonly heal: () => Promise<void>;
  /**
   * Waits until nothing sent earlier can still arrive over the path: the initiator has no closed socket that TCP still
   * works on, and the target has read all that it received and has closed what its peer closed.
   */
  readonly quiet: () => Promise<void>;
}

export interface IscsidControl {
  /** SIGKILL to all its processes. */
  readonly kill: () => Promise<void>;
  /** Starts it again; with `afterMs`, that much later. */
  readonly restart: (options?: { afterMs?: number }) => Promise<void>;
}

export interface SessionControl {
  /** Waits until the kernel has given the connection up (session state FAILED, or FREE after the replacement timeout). */
  readonly failed: () => Promise<void>;
  /** Waits until the session is logged in. */
  readonly loggedIn: () => Promise<void>;
  /** Waits until the kernel has reported an error of the session's connection, for the first time in this cell. */
  readonly connectionError: () => Promise<void>;
  /** Looks on for so long, or until the session's device is offline; the session oracle judges what happened. */
  readonly observe: (ms: number, why: string) => Promise<void>;
  /**
   * Logs the session out (`iscsiadm -m session -u`), and returns when it is gone, or when that was refused or took too
   * long; the session oracle judges. From then on nobody waits for this session to be logged in.
   */
  readonly logout: () => Promise<void>;
}

export interface InstrumentControl {
  /** Holds the instrument's work up by `ms` milliseconds from now on; 0 takes it back. */
  readonly set: (ms: number) => Promise<void>;
}

/** What a timeline works with. */
export interface TimelineContext {
  readonly path: Readonly<Record<PathName, PathControl>>;
  readonly iscsid: IscsidControl;
  readonly ledger: LedgerControl;
  readonly session: (path: PathName) => SessionControl;
  /** An instrument of the initiator's kernel, which the scenario's `needs` must name. */
  readonly instrument: (name: InstrumentName) => InstrumentControl;
  /**
   * Waits until every session is logged in (anew, if iscsid was started again) and gives the paths that failed back to
   * dm-multipath, as multipathd would.
   */
  readonly recovered: () => Promise<void>;
  /** Lets time pass. `why` says why time, and not an event, is what matters here. */
  readonly pause: (ms: number, why: string) => Promise<void>;
  /** An integer in [from, to], the same for the same seed and place in the timeline. */
  readonly random: (from: number, to: number) => number;
}

type Written = z.input<typeof scenarioDataSchema>;

export interface ScenarioDefinition extends Omit<Written, "lab"> {
  /** With a list of transports it is a scenario for each: `NAME@tcp`, `NAME@iser`. */
  readonly lab: Omit<Written["lab"], "transport"> & { readonly transport: Transport | readonly Transport[] };
  readonly timeline: (context: TimelineContext) => Promise<void>;
}

export interface Scenario extends ScenarioData {
  /** `<group>/<name>`, from the file's place under scenarios/. */
  readonly name: string;
  readonly timeline: (context: TimelineContext) => Promise<void>;
}

/** Declares a scenario; it is validated when it is loaded, so that a mistake is told with the file's name. */
export const scenario = (definition: ScenarioDefinition): ScenarioDefinition => definition;
