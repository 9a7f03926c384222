/**
 * Puts events into lines: operations and commands into the compact ones (see compact.ts), all others into objects. It
 * remembers what the lines before have said, and so must see every event exactly once and in order.
 *
 * Text may come from the machine under test. It is made one bounded printable line here, once, for every reader that follows.
 */
import { createHash } from "node:crypto";
import { RigError } from "../core/errors.ts";
import { PATH_NAMES } from "../core/names.ts";
import { cleanLine } from "../core/untrusted.ts";
import { type End, LINE, MAX_LINE_BYTES, optional, SECTION_LINES, VIA_BACKING, WITH_FUA } from "./compact.ts";
import { covers } from "./content.ts";
import type { EventOf, Header, HistoryEvent, Unstamped } from "./event.ts";
import type { Extent } from "./extent.ts";
import { ACTION, ACTIONS } from "./operations.ts";

/** The longest console line that is kept, in characters. */
export const CONSOLE_CHARS = 1000;
/** The longest other text that is kept, in characters. */
export const TEXT_CHARS = 4000;
/** The longest item of a list of texts, in characters, and the most items. A line stays far below MAX_LINE_BYTES. */
export const ITEM_CHARS = 400;
export const ITEMS = 500;
/** The longest content of a read, in characters, all of them ASCII: what is left of a line, generously. */
const CONTENT_CHARS = MAX_LINE_BYTES - 100;

type Invoke = Unstamped<EventOf<"invoke">>;
type Command = Unstamped<EventOf<"command">>;

/** Fields that may be left out where they repeat: of an invocation, and of a command. */
const [INVOKE_FIELDS, COMMAND_FIELDS] = [4, 10];
const nothing = (fields: number): readonly number[] => new Array<number>(fields).fill(0);

const cleanItem = (item: unknown): unknown => (typeof item === "string" ? cleanLine(item, ITEM_CHARS) : item);

/** The event with its time, and every text in it clean and bounded. */
const stamped = (event: Unstamped, t: number): object => {
  const max = event.kind === "console" ? CONSOLE_CHARS : TEXT_CHARS;
  const line: Record<string, unknown> = { t };
  for (const [key, value] of Object.entries(event) as [string, unknown][]) {
    if (typeof value === "string") line[key] = cleanLine(value, max);
    else if (Array.isArray(value)) line[key] = value.slice(0, ITEMS).map(cleanItem);
    else line[key] = value;
  }
  return line;
};

export class Encoder {
  /** Lines so far. */
  lines = 0;
  #nextOp = 1;
  #lastNs = 0;
  /** Compact lines that the section may still have; none before the first clock line. */
  #left = 0;
  /** The section's texts, as they came in, by number. */
  readonly #texts = new Map<string, number>();
  /** The fields of the section's last invocation, by action. */
  readonly #invoked = ACTIONS.map(() => nothing(INVOKE_FIELDS));
  #command = nothing(COMMAND_FIELDS);
  /** Operations without an answer. An answer's content counts from where its read began; undefined where that is not sure. */
  readonly #waiting = new Map<number, Invoke | undefined>();

  header(header: Header): string {
    return this.#object(header);
  }

  /** Ends the section: the next compact line does not depend on any before. */
  endSection(): void {
    this.#left = 0;
  }

  /** The event's line, and those that it needs before it, each with its newline. `t` is ns since the history's start. */
  encode(event: Unstamped, t: number): string {
    if (event.kind === "invoke") return this.#invoke(event, t);
    if (event.kind === "ok") return this.#ok(event, t);
    if (event.kind === "fail") return this.#fail(event, t);
    return event.kind === "command" ? this.#seen(event, t) : this.#object(stamped(event, t));
  }

  #object(value: object): string {
    this.lines++;
    return `${JSON.stringify(value)}\n`;
  }

  /** Counts a compact line. Where it needs a clock line, that is given. */
  #compact(t: number, op = this.#nextOp): string {
    this.lines++;
    if (this.#left > 0 && op === this.#nextOp) {
      this.#left--;
      return "";
    }
    this.lines++;
    this.#left = SECTION_LINES - 1;
    this.#nextOp = op;
    this.#lastNs = t;
    this.#texts.clear();
    this.#invoked.fill(nothing(INVOKE_FIELDS));
    this.#command = nothing(COMMAND_FIELDS);
    return `[${LINE.clock},${t},${op}]\n`;
  }

  /** Nanoseconds since the last compact line; this one is the last from now on. */
  #since(t: number): number {
    const dt = t - this.#lastNs;
    this.#lastNs = t;
    return dt;
  }

  #textId(text: string | undefined): number {
    return text === undefined ? 0 : (this.#texts.get(text) ?? 0);
  }

  /** The line that gives a text its number, where the section has not had it. */
  #define(text: string | undefined): string {
    if (text === undefined || this.#texts.has(text)) return "";
    const id = this.#texts.size + 1;
    this.#texts.set(text, id);
    this.lines++;
    return `[${LINE.text},${id},${JSON.stringify(cleanLine(text, TEXT_CHARS))}]\n`;
  }

  #invoke(event: Invoke, t: number): string {
    const { op, sector, sectors, label, device = 0 } = event;
    const before = this.#compact(t, op) + this.#define(label);
    this.#nextOp = op + 1;
    const action = ACTION[event.action];
    const isSure = action === ACTION.read && !this.#waiting.has(op);
    this.#waiting.set(op, isSure ? event : undefined);
    const code = action + (event.fua === true ? WITH_FUA : 0) + (event.via === "backing" ? VIA_BACKING : 0);
    const fields = [sector, sectors, this.#textId(label), device];
    const line = `${before}[${code},${this.#since(t)}${unrepeated(fields, this.#invoked[action])}]\n`;
    this.#invoked[action] = fields;
    return line;
  }

  #seen(event: Command, t: number): string {
    const before = this.#compact(t) + this.#define(event.session);
    const { sector, tag, sectors, lun, receivedNs, doneNs } = event;
    const action = event.action === "other" ? ACTION.none : ACTION[event.action];
    const fields = [
      sector,
      tag,
      optional(event.cmdSN),
      optional(receivedNs === undefined ? undefined : t - receivedNs),
      optional(doneNs === undefined ? undefined : doneNs - t),
      sectors,
      this.#textId(event.session),
      event.path === undefined ? 0 : PATH_NAMES.indexOf(event.path) + 1,
      optional(event.status),
      lun,
    ];
    const what = action + (event.fua === true ? WITH_FUA : 0);
    const line = `${before}[${LINE.command},${this.#since(t)},${what}${unrepeated(fields, this.#command)}]\n`;
    this.#command = fields;
    return line;
  }

  #ok(event: Unstamped<EventOf<"ok">>, t: number): string {
    // First of all, for an answer that is refused must leave no trace.
    const content = this.#content(event);
    if (content.length > CONTENT_CHARS)
      throw new RigError(
        "RIG_BUG",
        `Expected what operation ${event.op} read to fit into a line of ${MAX_LINE_BYTES} bytes; it takes ${content.length}.`,
      );
    const before = this.#compact(t);
    return `${before}[${LINE.ok},${this.#since(t)},${this.#nextOp - event.op}${content}]\n`;
  }

  #fail({ op, error }: Unstamped<EventOf<"fail">>, t: number): string {
    this.#waiting.delete(op);
    const before = this.#compact(t) + this.#define(error);
    return `${before}[${LINE.fail},${this.#since(t)},${this.#nextOp - op},${this.#textId(error)}]\n`;
  }

  #content({ op, content = [] }: Unstamped<EventOf<"ok">>): string {
    const read = this.#waiting.get(op);
    this.#waiting.delete(op);
    // Numbers say no address: they are for content that has every sector of its read, and no other.
    const isWhole = read !== undefined && covers(content, read.sector, read.sector + read.sectors);
    return content
      .map((extent, index) =>
        isWhole && isPlain(extent) ? plain(extent, index === content.length - 1) : `,${JSON.stringify(extent)}`,
      )
      .join("");
  }
}

/** The fields up to the last one that is not what it was, each after a comma. */
const unrepeated = (fields: readonly number[], last: readonly number[] = []): string => {
  let used = fields.length;
  while (used > 0 && fields[used - 1] === last[used - 1]) used--;
  let text = "";
  for (let index = 0; index < used; index++) text += `,${fields[index] ?? 0}`;
  return text;
};

type Plain = Extract<Extent, { is: "write" | "zero" }>;
const isPlain = (extent: Extent): extent is Plain => extent.is === "zero" || (extent.is === "write" && extent.op > 0);

const plain = (extent: Plain, isRest: boolean): string => {
  const [op, i] = extent.is === "zero" ? [0, 0] : [extent.op, extent.i];
  if (!isRest) return `,${op},${i},${extent.n}`;
  return i === 0 ? `,${op}` : `,${op},${i}`;
};

/** The last line of a file that has all of this text before it. */
export const endLine = (end: Omit<End, "kind">): string =>
  `${JSON.stringify({ kind: "end", lines: end.lines, sha256: end.sha256 } satisfies End)}\n`;

/** The whole file of a history that has these events. */
export const historyText = (header: Header, events: readonly HistoryEvent[]): string => {
  const encoder = new Encoder();
  let text = encoder.header(header);
  for (const { t, ...event } of events) text += encoder.encode(event, t);
  return text + endLine({ lines: encoder.lines, sha256: createHash("sha256").update(text).digest("hex") });
};
