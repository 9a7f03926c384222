import { z } from "zod";

/**
 * What an oracle found. Only an oracle makes a cell FAIL, and it says why in words that stand alone: what was expected,
 * what was seen, and on which lines of history.ndjson the proof is.
 */
export const ORACLES = ["integrity", "hang", "kernel-log", "session", "evidence"] as const;

/** One run of sectors that hold what they must not hold. */
export const badExtentSchema = z.strictObject({
  sector: z.number().int(),
  sectors: z.number().int(),
  via: z.enum(["initiator", "backing"]),
  /** The operations whose data the sectors may legally hold, newest first, with the generation's label. */
  expected: z.array(z.strictObject({ op: z.number().int(), label: z.string() })),
  /** What they hold, in words, and the operation it came from where there is one. */
  found: z.strictObject({ op: z.number().int().optional(), label: z.string(), head: z.string().optional() }),
});
export type BadExtent = z.infer<typeof badExtentSchema>;

export const findingSchema = z.strictObject({
  oracle: z.enum(ORACLES),
  /** stale, lost, torn, misdirected, foreign, unreadable | hang | offline, split-view, stuck, down, unprovoked | panic, oops, bug, warning, hung-task, rcu-stall ... */
  class: z.string(),
  /** One line, stable between runs: no addresses, times or process ids. */
  title: z.string(),
  /** Two or three sentences that prove and explain it. */
  explanation: z.string(),
  /** Lines of history.ndjson (the header is line 1), most telling first, at most 20. */
  lines: z.array(z.number().int()),
  extents: z.array(badExtentSchema).optional(),
  /** Console lines, at most 60, where the finding is one. */
  excerpt: z.array(z.string()).optional(),
});
export type Finding = z.infer<typeof findingSchema>;
