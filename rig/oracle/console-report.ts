/**
 * Finds the kernel's reports in the lines of one console. A report runs from its opening line to its end marker, to the
 * next report, or for as long as what follows still looks like one. A crash is often told twice or three times (the
 * check that failed, the trap it caused, the panic that ended it); those are one event with the first title and the
 * worst class.
 *
 * Processors speak at the same time. Where the kernel says who speaks (CONFIG_PRINTK_CALLER) each caller's lines are read by
 * themselves, so reports that are interleaved come apart. Where it does not, a line that another one broke in two is
 * put together again, and a warning whose opening was lost is known by what follows it.
 */
import { frameOf, namesFunction } from "./console-frame.ts";
import { type ConsoleMessage, messagesOf } from "./console-line.ts";
import {
  LOST_OPENING,
  mayBeBroken,
  type Opening,
  openingOf,
  panicReason,
  panicTitle,
  REPORT_CLASSES,
  type ReportClass,
} from "./console-start.ts";

export interface ConsoleReport {
  readonly class: ReportClass;
  readonly title: string;
  readonly frame: string | undefined;
  /** The index of the opening line among the lines given. */
  readonly start: number;
  /** The index of the panic's line, where the report ended in one. */
  readonly panic: number | undefined;
  /** The whole report as the console showed it, at most 400 lines. */
  readonly lines: readonly string[];
}

/** At most this many lines of a report are kept; one that is longer is over. */
export const REPORT_LINES = 400;
/** A trap this close after what caused it belongs to it. */
const YOUNG_LINES = 12;
/** So many lines may lie between the parts of a line that was broken, and between "cut here" and the opening. */
const NEAR_LINES = 4;

const END = /^---\[ end /;
const RULE = /^={20,}$/;
const CUT_HERE = /^-+\[ cut here \]-+$/;
/** With this every report of a warning goes on, whatever became of its opening. */
const SPEAKER = /^CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: /;
/** The backtrace of another processor, which that one prints itself. */
const BACKTRACE = /^NMI backtrace for cpu /;
/** What somebody asked the kernel to show is no part of a report. */
const ASKED_FOR = /^sysrq: /;
/** What a report's lines look like: traces, registers, code, memory, and the headings over them. */
const PART =
  /^(?:$|\s|>|CPU: |Hardware name|Workqueue|Call [Tt]race|Modules linked|RIP|RSP|RAX|RDX|RBP|R\d\d|FS:|CS:|CR2|DR\d|PKRU|Code:|PGD|#PF|Tainted|Oops|task:|Comm|Allocated|Freed|Read of|Write of|The buggy|Last potentially|Memory state|page[: ]|flags:|raw:|rcu:|NMI|Sending|"echo|irq event|hardirqs|softirqs|Kernel Offset|Rebooting|---|\w+:\s*[0-9a-f]{8}|<\/?(?:TASK|IRQ|NMI))/;

interface Draft {
  opening: Opening;
  readonly start: number;
  class: ReportClass;
  panic: number | undefined;
  open: boolean;
  named: boolean;
  rules: number;
  /** Lines so far, those that were not kept among them. */
  seen: number;
  readonly lines: string[];
  readonly messages: string[];
}

/** A line, where it stands, and what it says. */
interface Line extends ConsoleMessage {
  readonly line: string;
  readonly index: number;
}

/** The lines of one caller, or all of those whose caller is not told. */
interface Stream {
  draft: Draft | undefined;
  /** The lines since "cut here", that one first, as long as no report has begun. */
  heading: Line[];
  /** What may be the first part of an opening line, and how many lines its second part may still be away. */
  broken: { readonly first: Line; readonly draft: Draft | undefined; left: number } | undefined;
}

const worse = (a: ReportClass, b: ReportClass): ReportClass =>
  REPORT_CLASSES.indexOf(a) <= REPORT_CLASSES.indexOf(b) ? a : b;

const finished = ({ class: name, start, panic, lines, opening, messages }: Draft): ConsoleReport => {
  const frame = frameOf(messages, opening.frame);
  const title = opening.located && frame !== undefined ? `${opening.what} in ${frame}` : opening.what;
  return { class: name, title, frame, start, panic, lines };
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
  readonly #streams = new Map<string, Stream>();

  scan(text: string, index: number): void {
    for (const message of messagesOf(text)) this.#take({ ...message, line: text, index });
  }

  #take(line: Line): void {
    const stream = this.#streamOf(line.caller);
    const reason = panicReason(line.message);
    const opening = reason === undefined ? openingOf(line.message, line.kernel) : undefined;
    if (reason !== undefined) this.#panic(stream, reason, line);
    else if (opening !== undefined) this.#begin(stream, opening, line);
    else if (!this.#mend(stream, line) && !this.#lostOpening(stream, line)) this.#add(stream, line);
    this.#remember(stream, line, opening);
  }

  reports(): ConsoleReport[] {
    return this.#drafts.sort((a, b) => a.start - b.start).map(finished);
  }

  #streamOf(caller: string): Stream {
    const known = this.#streams.get(caller);
    if (known !== undefined) return known;
    const stream = { draft: undefined, heading: [], broken: undefined };
    this.#streams.set(caller, stream);
    return stream;
  }

  #begin(stream: Stream, opening: Opening, { index, line, message }: Line): void {
    const last = stream.draft;
    const nameless = last?.open === true && !last.named && last.opening.frame === undefined;
    if (nameless && opening.continues && last.seen <= YOUNG_LINES) {
      last.class = worse(last.class, opening.class);
      this.#append(last, line, message);
      return;
    }
    const before = stream.heading.map(heading => heading.line);
    this.#open(stream, opening, index, [...before, line], [message]);
  }

  #open(stream: Stream, opening: Opening, start: number, lines: string[], messages: string[]): void {
    const state = { class: opening.class, panic: undefined, open: true, named: false, rules: 0, seen: 1 };
    stream.draft = { ...state, opening, start, lines, messages };
    this.#drafts.push(stream.draft);
  }

  /** Takes the second part of an opening line that was broken; false where the line is none. */
  #mend(stream: Stream, { line, message }: Line): boolean {
    const { broken } = stream;
    if (broken === undefined) return false;
    const whole = broken.first.message + message;
    const reason = panicReason(whole);
    const opening = reason === undefined ? openingOf(whole, true) : undefined;
    if (reason !== undefined) {
      this.#panic(stream, reason, { ...broken.first, message: whole });
    } else if (opening !== undefined && opening.vague !== true) {
      if (broken.draft === undefined)
        this.#open(stream, opening, broken.first.index, [broken.first.line, line], [whole]);
      else {
        broken.draft.opening = opening;
        broken.draft.class = worse(opening.class, broken.draft.class);
        broken.draft.lines.push(line);
      }
    } else return false;
    stream.broken = undefined;
    stream.heading = [];
    return true;
  }

  /** A warning whose opening line cannot be read begins with "cut here" and goes on with its speaker. */
  #lostOpening(stream: Stream, { line, message }: Line): boolean {
    const [cut] = stream.heading;
    if (cut === undefined || !SPEAKER.test(message)) return false;
    const lines = [...stream.heading.map(heading => heading.line), line];
    this.#open(stream, LOST_OPENING, cut.index, lines, [message]);
    stream.heading = [];
    return true;
  }

  #remember(stream: Stream, line: Line, opening: Opening | undefined): void {
    if (CUT_HERE.test(line.message)) stream.heading = [line];
    else if (opening !== undefined || stream.heading.length > NEAR_LINES) stream.heading = [];
    else if (stream.heading.length > 0) stream.heading.push(line);
    const isPart = opening === undefined || opening.vague === true;
    if (line.kernel && isPart && mayBeBroken(line.message) && panicReason(line.message) === undefined) {
      const draft = opening === undefined ? undefined : stream.draft;
      stream.broken = { first: line, draft, left: NEAR_LINES };
    } else if (stream.broken !== undefined && --stream.broken.left <= 0) stream.broken = undefined;
  }

  #panic(stream: Stream, reason: string, { index, line }: Line): void {
    const last = [stream.draft, this.#drafts.at(-1)].find(draft => draft?.panic === undefined && draft !== undefined);
    if (last !== undefined && endsIn(last, reason)) {
      last.class = "panic";
      last.panic = index;
      last.open = true;
      if (last.lines.length >= REPORT_LINES) last.lines[REPORT_LINES - 1] = line;
      else last.lines.push(line);
      return;
    }
    const opening: Opening = {
      ...{ class: "panic", what: panicTitle(reason) },
      ...{ frame: undefined, located: false, continues: false },
    };
    this.#open(stream, opening, index, [line], [line]);
    if (stream.draft !== undefined) stream.draft.panic = index;
  }

  #add(stream: Stream, { line, message }: Line): void {
    // A processor that is asked for its stack speaks for the report of the one that asked.
    if (stream.draft?.open !== true && BACKTRACE.test(message)) {
      const asking = this.#drafts.at(-1);
      if (asking?.open === true) stream.draft = asking;
    }
    const last = stream.draft;
    if (last?.open !== true) return;
    if (RULE.test(message)) last.rules++;
    const over = ASKED_FOR.test(message) || (last.named && last.rules === 0 && !PART.test(message));
    if (over || last.seen >= REPORT_LINES) {
      last.open = false;
      return;
    }
    this.#append(last, line, message);
    if (END.test(message) || (last.rules > 0 && RULE.test(message) && last.named)) last.open = false;
  }

  #append(draft: Draft, line: string, message: string): void {
    draft.seen++;
    draft.named ||= namesFunction(message);
    if (draft.lines.length < REPORT_LINES) draft.lines.push(line);
    draft.messages.push(message);
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
