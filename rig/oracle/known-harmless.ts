/**
 * What looks like a report of trouble and is none. Each entry says why, and silences one line, not the report that may follow
 * it: the next opening counts again.
 */

export interface Harmless {
  /** Of the message, from its beginning. */
  readonly pattern: RegExp;
  /** Why nobody need look at it. */
  readonly reason: string;
}

export const KNOWN_HARMLESS: readonly Harmless[] = [
  {
    pattern: /^BUG: MAX_(?:LOCKDEP_(?:ENTRIES|CHAINS|CHAIN_HLOCKS|KEYS)|STACK_TRACE_ENTRIES|LOCK_DEPTH) too low!/,
    reason: "A table of lockdep's is full. It turns itself off and judges no lock any more; the kernel goes on.",
  },
  {
    pattern: /^Kernel panic - not syncing: sysrq triggered crash/,
    reason: "Somebody asked for this crash through sysrq: a timeline that ends a node, or a person.",
  },
];

/** Why a message that looks like a report is none; undefined for any other. */
export const harmlessReason = (message: string): string | undefined =>
  KNOWN_HARMLESS.find(({ pattern }) => pattern.test(message))?.reason;
