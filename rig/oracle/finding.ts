import { z } from "zod";

/**
 * What an oracle found. Only an oracle makes a cell FAIL, and it says why in words that stand alone: what was expected,
 * what was seen, and on which lines of history.ndjson the proof is.
 */
export const ORACLES = ["integrity", "hang", "kernel-log", "session", "errors", "evidence"] as const;

/** A WRITE that put what it must not into the sectors, as the target executed it: the second witness's word. */
export const badCommandSchema = z.strictObject({
  /** Which connection of the path it came over, such as `a#1`; absent where nobody can tell, as is `path`. */
  session: z.string().optional(),
  path: z.string().optional(),
  /** The initiator task tag. */
  tag: z.number().int(),
  /** Its number in its session (RFC 7143, 4.2.2.1). */
  cmdSN: z.number().int().optional(),
  sector: z.number().int(),
  sectors: z.number().int(),
  /** The `t` of its `command` event. */
  executedNs: z.number().int(),
});
export type BadCommand = z.infer<typeof badCommandSchema>;

/** One run of sectors that hold what they must not hold. */
export const badExtentSchema = z.strictObject({
  sector: z.number().int(),
  sectors: z.number().int(),
  via: z.enum(["initiator", "backing"]),
  /** The LUN, where it is not 0. */
  lun: z.number().int().optional(),
  /** The operations whose data the sectors may legally hold, newest first, with the generation's label and the reason. */
  expected: z.array(z.strictObject({ op: z.number().int(), label: z.string(), why: z.string().optional() })),
  /** What they hold, in words, and the operation it came from where there is one. */
  found: z.strictObject({ op: z.number().int().optional(), label: z.string(), head: z.string().optional() }),
  /** The commands that wrote what they hold, where the target was watched. */
  commands: z.array(badCommandSchema).optional(),
});
export type BadExtent = z.infer<typeof badExtentSchema>;

export const findingSchema = z.strictObject({
  oracle: z.enum(ORACLES),
  /** stale, lost, torn, misdirected, early, foreign, unreadable | hang | offline, split-view, stuck, unnoticed, down, leaked, unprovoked | io-error | panic, oops, bug, warning, hung-task, rcu-stall ... */
  class: z.string(),
  /** One line, stable between runs: no addresses, times or process ids. */
  title: z.string(),
  /** Two or three sentences that prove and explain it. */
  explanation: z.string(),
  /** Lines of history.ndjson (the header is line 1), most telling first, at most 20. */
  lines: z.array(z.number().int()),
  extents: z.array(badExtentSchema).optional(),
  /** What the finding is of, as it was seen: a kernel's whole report (at most 400 lines), or stacks of tasks. */
  excerpt: z.array(z.string()).optional(),
});
export type Finding = z.infer<typeof findingSchema>;
