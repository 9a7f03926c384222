/**
 * Finds the kernel's reports in the lines of one console. A report runs from its opening line to its end marker, to the
 * next report, or for as long as what follows still looks like one. A crash is often told twice or three times (the
 * check that failed, the trap it caused, the panic that ended it); those are one event with the first title and the
 * worst class.
 */
import { frameOf, namesFunction } from "./console-frame.ts";
import { type Opening, openingOf, panicReason, panicTitle, REPORT_CLASSES, type ReportClass } from "./console-start.ts";

export interface ConsoleReport {
  readonly class: ReportClass;
  readonly title: string;
  readonly frame: string | undefined;
  /** The index of the opening line among the lines given. */
  readonly start: number;
  /** The index of the panic's line, where the report ended in one. */
  readonly panic: number | undefined;
  /** The report's lines as the console showed them, at most 60. */
  readonly excerpt: readonly string[];
}

/** At most this many lines of a report are kept. */
export const EXCERPT_LINES = 60;
/** A trap this close after what caused it belongs to it. */
const YOUNG_LINES = 12;

/** Log level, time and caller as the console may show them in front: `<4>[   12.345678][  T123] `. */
const PREFIX = /^(?:<\d+>)?(?:\[\s*\d+\.\d+\])?(?:\[\s*[TC]\d+\])?/;
/** A time stamp, perhaps in the middle: the kernel spoke while a program was in the middle of its line. */
const STAMP = /\[\s*\d+\.\d{6}\](?:\[\s*[TC]\d+\])? /;

/** A line's message, and whether the kernel's own time stamp was in front of it. */
export const messageOf = (line: string): { message: string; kernel: boolean } => {
  const stamp = STAMP.exec(line);
  if (stamp !== null) return { message: line.slice(stamp.index + stamp[0].length), kernel: true };
  const prefix = PREFIX.exec(line)?.[0] ?? "";
  // Without a prefix a leading space belongs to the message: it marks the lines of a trace.
  return { message: prefix === "" ? line : line.slice(prefix.length).replace(/^ /, ""), kernel: false };
};

const END = /^---\[ end /;
const RULE = /^={20,}$/;
const CUT_HERE = /^-+\[ cut here \]-+$/;
/** What a report's lines look like: traces, registers, code, memory, and the headings over them. */
const PART =
  /^(?:$|\s|>|CPU: |Hardware name|Workqueue|Call [Tt]race|Modules linked|RIP|RSP|RAX|RDX|RBP|R\d\d|FS:|CS:|CR2|DR\d|PKRU|Code:|PGD|#PF|Tainted|Oops|task:|Comm|Allocated|Freed|Read of|Write of|The buggy|Last potentially|Memory state|page[: ]|flags:|raw:|rcu:|NMI|Sending|"echo|irq event|hardirqs|softirqs|Kernel Offset|Rebooting|---|\w+:\s*[0-9a-f]{8}|<\/?(?:TASK|IRQ|NMI))/;

interface Draft {
  readonly opening: Opening;
  readonly start: number;
  class: ReportClass;
  panic: number | undefined;
  open: boolean;
  named: boolean;
  rules: number;
  readonly lines: string[];
  readonly messages: string[];
}

const worse = (a: ReportClass, b: ReportClass): ReportClass =>
  REPORT_CLASSES.indexOf(a) <= REPORT_CLASSES.indexOf(b) ? a : b;

const titled = ({ opening, messages }: Draft): { title: string; frame: string | undefined } => {
  const frame = frameOf(messages, opening.frame);
  return { frame, title: opening.located && frame !== undefined ? `${opening.what} in ${frame}` : opening.what };
};

const finished = (draft: Draft): ConsoleReport => {
  const { class: name, start, panic, lines } = draft;
  return { class: name, ...titled(draft), start, panic, excerpt: lines };
};

/** Whether this panic is how the report before it ended. */
const endsIn = (report: Draft, reason: string): boolean => {
  if (report.class === "oops") return true;
  const wanted: readonly (readonly [RegExp, ReportClass])[] = [
    [/panic_on_warn/, "warning"],
    [/panic_on_warn|kasan/i, "bug"],
    [/hung_task/, "hung-task"],
    [/softlockup|hard lockup/i, "lockup"],
    [/rcu/i, "rcu-stall"],
  ];
  return wanted.some(([pattern, name]) => name === report.class && pattern.test(reason));
};

class Scanner {
  readonly #drafts: Draft[] = [];
  /** The line before, where it announced a report. */
  #cutHere: string | undefined;

  scan(line: string, index: number): void {
    const { message, kernel } = messageOf(line);
    const reason = panicReason(message);
    const opening = reason === undefined ? openingOf(message, kernel) : undefined;
    if (reason !== undefined) this.#panic(reason, index, line);
    else if (opening !== undefined) this.#begin(opening, index, line, message);
    else this.#add(index, line, message);
    this.#cutHere = CUT_HERE.test(message) ? line : undefined;
  }

  reports(): ConsoleReport[] {
    return this.#drafts.map(finished);
  }

  #begin(opening: Opening, index: number, line: string, message: string): void {
    const last = this.#drafts.at(-1);
    const nameless = last?.open === true && !last.named && last.opening.frame === undefined;
    const young = nameless && index - last.start <= YOUNG_LINES;
    if (young && opening.continues) {
      last.class = worse(last.class, opening.class);
      this.#append(last, line, message);
      return;
    }
    const draft = { opening, start: index, class: opening.class, panic: undefined, open: true, named: false, rules: 0 };
    const before = this.#cutHere === undefined ? [] : [this.#cutHere];
    this.#drafts.push({ ...draft, lines: [...before, line], messages: [message] });
  }

  #panic(reason: string, index: number, line: string): void {
    const last = this.#drafts.at(-1);
    if (last !== undefined && last.panic === undefined && endsIn(last, reason)) {
      last.class = "panic";
      last.panic = index;
      last.open = true;
      if (last.lines.length >= EXCERPT_LINES) last.lines[EXCERPT_LINES - 1] = line;
      else last.lines.push(line);
      return;
    }
    const opening = {
      class: "panic",
      what: panicTitle(reason),
      frame: undefined,
      located: false,
      continues: false,
    } as const;
    const state = { class: "panic", panic: index, open: true, named: false, rules: 0 } as const;
    this.#drafts.push({ ...state, opening, start: index, lines: [line], messages: [line] });
  }

  #add(index: number, line: string, message: string): void {
    const last = this.#drafts.at(-1);
    if (last?.open !== true) return;
    if (RULE.test(message)) last.rules++;
    const over = last.named && last.rules === 0 && !PART.test(message);
    if (over || index - last.start > 4 * EXCERPT_LINES) {
      last.open = false;
      return;
    }
    this.#append(last, line, message);
    if (END.test(message) || (last.rules > 0 && RULE.test(message) && last.named)) last.open = false;
  }

  #append(draft: Draft, line: string, message: string): void {
    draft.named ||= namesFunction(message);
    if (draft.lines.length < EXCERPT_LINES) draft.lines.push(line);
    if (draft.messages.length < 4 * EXCERPT_LINES) draft.messages.push(message);
  }
}

/** The reports in the lines of one console, in order. */
export const reportsOf = (lines: readonly string[]): ConsoleReport[] => {
  const scanner = new Scanner();
  lines.forEach((line, index) => {
    scanner.scan(line, index);
  });
  return scanner.reports();
};
