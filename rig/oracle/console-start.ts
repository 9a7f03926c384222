/**
 * How a kernel begins to report trouble. Every kind of report has an opening line of its own; the oracle looks for those
 * at the start of a message only, so that a device called "bug" or a daemon that quotes the kernel is no crash. The
 * wording is that of Linux 5.10 to 6.12 on x86_64, with the arm64 forms where they differ.
 *
 * Titles follow syzkaller: what happened and in which function, without addresses, process ids or processor numbers, so
 * that the same bug has the same title in every run and on every kernel.
 */

import { harmlessReason } from "./known-harmless.ts";

/** The classes of report, worst first. */
export const REPORT_CLASSES = ["panic", "oops", "bug", "lockup", "rcu-stall", "hung-task", "warning"] as const;
export type ReportClass = (typeof REPORT_CLASSES)[number];

export interface Opening {
  readonly class: ReportClass;
  /** The title without its function. */
  readonly what: string;
  /** The function, where the opening line itself names it. */
  readonly frame: string | undefined;
  /** True where the function is part of the title. */
  readonly located: boolean;
  /** What may continue this report instead of starting another: a report that has named no function so far. */
  readonly continues: boolean;
  /** True where only the beginning was understood: the rest is unknown, or was broken off and comes on another line. */
  readonly vague?: true;
}

interface Pattern {
  readonly pattern: RegExp;
  readonly class: ReportClass;
  /** The title; where absent, the first group of the pattern. */
  readonly what?: string;
  readonly located?: false;
  readonly continues?: true;
  readonly vague?: true;
}

const FUNCTION = String.raw`(?<frame>[A-Za-z_][\w.]*)\+0x`;

const PATTERNS: readonly Pattern[] = [
  { pattern: new RegExp(`^(BUG: K[A-Z]+SAN: [a-z- ]+) in ${FUNCTION}`), class: "bug" },
  { pattern: new RegExp(`^(BUG: KFENCE: [a-z- ]+) in ${FUNCTION}`), class: "bug" },
  { pattern: /^(BUG: KCSAN: [a-z- ]+) in (?<frame>[A-Za-z_][\w.]*) \/ /, class: "bug" },
  { pattern: /^(BUG: K[A-Z]+SAN: [a-z- ]+?) in /, class: "bug" },
  { pattern: /^(BUG: K[A-Z]+SAN: [a-z- ]+)$/, class: "bug", vague: true },
  { pattern: /^(UBSAN: [a-z-]+) in /, class: "bug" },
  { pattern: /^(list_(?:add|del) (?:corruption|double add))/, class: "bug" },
  { pattern: /^refcount_t: /, class: "warning", what: "WARNING: refcount bug" },
  { pattern: /^ODEBUG: /, class: "warning", what: "WARNING: ODEBUG bug" },
  {
    pattern: /^BUG: (?:unable to handle )?kernel NULL pointer dereference/,
    class: "oops",
    what: "NULL pointer dereference",
  },
  { pattern: /^Unable to handle kernel NULL pointer/, class: "oops", what: "NULL pointer dereference" },
  {
    pattern: /^(?:BUG: unable to handle (?:page fault|kernel paging)|Unable to handle kernel (?:paging|access))/,
    class: "oops",
    what: "unable to handle page fault",
  },
  { pattern: /^(kernel BUG) at \S+:\d+!/, class: "oops", continues: true },
  {
    pattern:
      /^(?:Oops: )?(general protection fault|divide error|stack segment|invalid opcode|double fault|int3|alignment check)[:,]/,
    class: "oops",
    continues: true,
  },
  { pattern: /^traps: PANIC: (double fault)/, class: "oops" },
  { pattern: /^(?:Internal error: |Oops: )?Oops: [0-9a-f]{4}/, class: "oops", what: "Oops", continues: true },
  { pattern: /^Internal error: /, class: "oops", what: "Oops", continues: true },
  { pattern: /^(?:(?:NMI )?watchdog: )?BUG: (soft lockup) - /, class: "lockup" },
  { pattern: /^(?:NMI )?watchdog: (?:CPU\d+: )?Watchdog detected (hard LOCKUP)/, class: "lockup" },
  { pattern: /^BUG: (workqueue lockup) - /, class: "lockup", located: false },
  { pattern: /^(BUG: spinlock [a-z ]+?)(?: on CPU|,|$)/, class: "bug" },
  { pattern: /^(BUG: sleeping function called from invalid context)/, class: "bug" },
  { pattern: /^(BUG: scheduling while atomic)/, class: "bug" },
  { pattern: /^(BUG: Bad [a-z-]+ (?:state|map))/, class: "bug", located: false },
  { pattern: /^(BUG: using [a-z_]+\(\) in preemptible)/, class: "bug" },
  { pattern: /^(BUG: workqueue leaked (?:lock or )?atomic)/, class: "bug", located: false },
  { pattern: /^(INFO: trying to register non-static key)/, class: "bug" },
  { pattern: /^\[ (BUG: [A-Za-z ]+?) \]/, class: "bug", located: false },
  {
    pattern: /^INFO: task \S.* blocked (?:in I\/O wait )?for more than \d+ seconds/,
    class: "hung-task",
    what: "task hung",
  },
  {
    pattern: /^(?:rcu: )?INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stalls?/,
    class: "rcu-stall",
    what: "rcu stall",
  },
  {
    pattern: new RegExp(`^WARNING: (?:CPU: \\d+ PID: \\d+ at \\S+|\\S+:\\d+ at) ${FUNCTION}`),
    class: "warning",
    what: "WARNING",
    continues: true,
  },
  { pattern: /^WARNING: CPU: \d+ PID: \d+ at /, class: "warning", what: "WARNING", continues: true },
  {
    pattern:
      /^WARNING: (possible [a-z -]+ (?:detected|dependency)|[A-Z_-]+-safe -> [A-Z_-]+-unsafe lock order detected|Nested lock was not taken|bad contention detected|suspicious RCU usage|inconsistent lock state|bad unlock balance detected|held lock freed|lock held when returning to user space)/,
    class: "warning",
    located: false,
  },
  {
    pattern: /^WARNING: \S+\/\d+ (still has locks held)!/,
    class: "warning",
    what: "WARNING: still has locks held",
    located: false,
  },
];

/** The slab allocator names the cache where others name the trouble: `BUG kmalloc-64 (Not tainted): Poison overwritten`. */
const SLUB = /^BUG (?<cache>[\w-]+) \([^)]*\): (?<what>[A-Za-z ]+)/;

/** The first words of reports: a line that begins like this and says no more may have been broken off. */
const BEGINNING =
  /^(?:BUG\b|WARNING: |INFO: (?:task|rcu)|rcu: INFO|Oops|kernel BUG|Unable to handle|UBSAN|list_(?:add|del)|refcount_t|ODEBUG|general prot|watchdog: |Kernel panic)/;

/** Whether a message that opens no report may be the first part of one that does. */
export const mayBeBroken = (message: string): boolean =>
  BEGINNING.test(message) && harmlessReason(message) === undefined;

/** An unknown `BUG:`, as far as its words are words: addresses, numbers and what holds them differ from run to run. */
const unknownBug = (message: string): string | undefined => {
  const words = message.slice(0, 120).split(" ");
  const end = words.findIndex(word => !/^\(?[A-Za-z_-]+\)?[:,;.!]?$/.test(word) || /^[0-9a-f]{8,}\b/.test(word));
  const told = words.slice(0, end < 0 ? undefined : end).join(" ");
  const what = told.replace(/(?: (?:at|in|on|of|to|for|from|by|is))?[\s:,;.!-]*$/, "").slice(0, 80);
  return /^BUG: [A-Za-z]/.test(what) ? what : undefined;
};

/** `kernel` says the message has the kernel's own time stamp, which lets an unknown `BUG:` count. */
export const openingOf = (message: string, kernel: boolean): Opening | undefined => {
  if (harmlessReason(message) !== undefined) return undefined;
  for (const { pattern, class: name, what, located = true, continues = false, vague } of PATTERNS) {
    const match = pattern.exec(message);
    if (match === null) continue;
    const opening = { class: name, what: what ?? match[1] ?? "", frame: match.groups?.["frame"], located, continues };
    return vague === true ? { ...opening, vague } : opening;
  }
  const slub = SLUB.exec(message)?.groups;
  if (slub !== undefined) {
    const what = `BUG: ${slub["what"]?.trim() ?? ""} in ${slub["cache"] ?? ""}`;
    return { class: "bug", what, frame: undefined, located: false, continues: false };
  }
  const what = kernel ? unknownBug(message) : undefined;
  return what === undefined
    ? undefined
    : { class: "bug", what, frame: undefined, located: true, continues: false, vague: true };
};

/** Stands for the opening line of a warning that was broken beyond recognition: what follows is a warning's all the same. */
export const LOST_OPENING: Opening = {
  class: "warning",
  what: "WARNING",
  frame: undefined,
  located: true,
  continues: false,
};

/** The reason of a panic, or undefined for a message that is none. */
export const panicReason = (message: string): string | undefined =>
  harmlessReason(message) === undefined ? /^Kernel panic - not syncing: ?(.*)$/.exec(message)?.[1] : undefined;

/** A panic's title: its reason without what differs from run to run. */
export const panicTitle = (reason: string): string => {
  const stable = reason
    .replace(/\+0x[0-9a-f]+\/0x[0-9a-f]+/g, "")
    .replace(/\s*(?:exitcode=|on unknown-block|\(ptrval\)|CPU ?#?\d).*$/i, "")
    .replace(/0x[0-9a-f]+|\b[0-9a-f]{8,16}\b/g, "ADDR")
    .replace(/\b\d+\b/g, "N")
    .replace(/[\s!.:,]+$/, "");
  return `Kernel panic: ${stable.slice(0, 100)}`;
};
