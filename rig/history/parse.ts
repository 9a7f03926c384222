/**
 * Makes a history of its file's bytes, chunk by chunk. Nothing but the header is needed: a line that cannot be believed is
 * told as damage and reading goes on, so that what is whole can still be looked at. A file that ends without its last line is
 * cut, which is no damage: the rig was killed, and all that is there is true. But nothing is missing before its end.
 *
 * The last line has the number and the SHA-256 of all lines before it. A file that was edited does not fit it.
 */
import { createHash, type Hash } from "node:crypto";
import type { z } from "zod";
import { RigError } from "../core/errors.ts";
import { cleanLine } from "../core/untrusted.ts";
import { HistoryCollector } from "./collect.ts";
import { type End, endSchema, MAX_LINE_BYTES } from "./compact.ts";
import { DamageList } from "./damage.ts";
import { Decoder } from "./decode.ts";
import { endLine } from "./encode.ts";
import { eventSchema, type Header, HISTORY_VERSION, type History, headerSchema } from "./event.ts";
import { readNumbers } from "./numbers.ts";

const NEWLINE = 0x0a;
/** Characters of a bad line, or of what zod says of it, that are shown. */
const SHOWN_CHARS = 60;

const parsed = <T>(schema: z.ZodType<T>, value: unknown): { value: T } | { problem: string } => {
  const result = schema.safeParse(value);
  if (result.success) return { value: result.data };
  const issue = result.error.issues[0];
  return { problem: issue === undefined ? "" : cleanLine(` (${issue.path.join(".")}: ${issue.message})`, 200) };
};

const jsonOf = (text: string): { value: unknown } | undefined => {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const bad = (file: string, what: string): RigError =>
  new RigError("RIG_BAD_RESULTS", `${file}: ${what}`, { blame: "environment" });

const EXPECTED_HEADER = `expected a history's header of version ${HISTORY_VERSION} on line 1`;

const headerOf = (text: string, file: string): Header => {
  const value = jsonOf(text)?.value;
  const { kind, version } = isObject(value) ? value : {};
  if (kind === "header" && typeof version === "number" && version !== HISTORY_VERSION) {
    const age = version > HISTORY_VERSION ? "a newer" : "an older";
    const advice =
      version > HISTORY_VERSION ? "Use that rig for it." : "Older ones are not read any more: run the cell again.";
    throw bad(file, `written by ${age} rig (history version ${version}; this one reads ${HISTORY_VERSION}). ${advice}`);
  }
  const result = parsed(headerSchema, value);
  if ("value" in result) return result.value;
  throw bad(file, `${EXPECTED_HEADER}${value === undefined ? "" : result.problem}.`);
};

const shown = ({ lines, sha256 }: Omit<End, "kind">): string => `${lines} lines with SHA-256 ${sha256.slice(0, 12)}`;

export class HistoryParser {
  readonly #file: string;
  readonly #collector = new HistoryCollector();
  readonly #damage = new DamageList();
  readonly #decoder = new Decoder(this.#collector, this.#damage);
  /** Of every line that was taken. */
  readonly #sum: Hash = createHash("sha256");
  readonly #numbers: number[] = [];
  #header: Header | undefined;
  /** Lines that were taken. */
  #line = 0;
  /** The beginning of a line whose end has not come. */
  #begun: Uint8Array = new Uint8Array(0);
  /** Whether the line that has begun is too long to be kept. */
  #isSkipping = false;
  #hasEnded = false;

  /** @param file is for messages only. */
  constructor(file: string) {
    this.#file = file;
  }

  /** @throws RigError RIG_BAD_RESULTS where the file does not begin with a header that this rig knows. */
  add(chunk: Uint8Array): void {
    const bytes =
      this.#begun.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([this.#begun, chunk]);
    let from = 0;
    for (let to = bytes.indexOf(NEWLINE); to >= 0; to = bytes.indexOf(NEWLINE, from)) {
      if (this.#isSkipping) this.#isSkipping = false;
      else this.#take(bytes, from, to);
      from = to + 1;
    }
    const isLong = bytes.length - from > MAX_LINE_BYTES;
    if (isLong && !this.#isSkipping) this.#takeLong();
    this.#isSkipping ||= isLong;
    const taken = this.#isSkipping ? bytes.length : from;
    this.#sum.update(bytes.subarray(0, taken));
    this.#begun = Buffer.from(bytes.subarray(taken));
  }

  /** The history, when all bytes were added. @throws RigError RIG_BAD_RESULTS where there was no header. */
  finish(): History {
    const rest = Buffer.from(this.#begun);
    // A writer that is killed leaves half a line, but none behind its last one.
    const isCut = this.#hasEnded ? rest.length === 0 : jsonOf(rest.toString("utf8")) === undefined;
    if (this.#header === undefined || !isCut) this.#take(rest, 0, rest.length);
    if (this.#header === undefined) throw bad(this.#file, `${EXPECTED_HEADER}.`);
    // With damage it is no wonder that some are missing, and with the last line its sum tells. Else nobody has said it yet.
    const missing = this.#damage.isEmpty && !this.#hasEnded ? this.#collector.missing() : undefined;
    if (missing !== undefined) this.#damage.add(missing.line, missing.problem);
    return this.#collector.history(this.#header, this.#damage.list(), !this.#hasEnded);
  }

  #takeLong(): void {
    this.#line++;
    if (this.#header === undefined) throw bad(this.#file, `${EXPECTED_HEADER}.`);
    this.#decoder.lose(this.#line, `expected a line of at most ${MAX_LINE_BYTES} bytes`);
  }

  #take(bytes: Buffer, from: number, to: number): void {
    if (to - from > MAX_LINE_BYTES) {
      this.#takeLong();
      return;
    }
    const line = ++this.#line;
    if (this.#header === undefined) this.#header = headerOf(bytes.toString("utf8", from, to), this.#file);
    else if (this.#hasEnded) this.#decoder.lose(line, "expected nothing after the history's last line");
    else {
      const count = readNumbers(bytes, from, to, this.#numbers);
      if (count >= 0) this.#decoder.take(this.#numbers, count, line);
      else this.#takeJson(bytes.toString("utf8", from, to), bytes.subarray(0, from));
    }
  }

  #takeJson(text: string, before: Uint8Array): void {
    const value = jsonOf(text)?.value;
    if (Array.isArray(value)) this.#decoder.takeMixed(value, this.#line);
    else if (!isObject(value)) {
      const found = JSON.stringify(cleanLine(text, SHOWN_CHARS));
      this.#decoder.lose(this.#line, `expected an event in JSON, found ${found}`);
    } else if (value["kind"] === "end") this.#takeEnd(text, value, before);
    else {
      const result = parsed(eventSchema, value);
      const problem =
        "problem" in result ? `expected an event${result.problem}` : this.#collector.take(result.value, this.#line);
      if (problem !== undefined) this.#damage.add(this.#line, problem);
    }
  }

  /** `before` are the bytes before this line that the sum does not have yet. */
  #takeEnd(text: string, value: unknown, before: Uint8Array): void {
    this.#hasEnded = true;
    const is: Omit<End, "kind"> = { lines: this.#line - 1, sha256: this.#sum.copy().update(before).digest("hex") };
    if (`${text}\n` === endLine(is)) return;
    const said = parsed(endSchema, value);
    const problem =
      "problem" in said
        ? `expected the history's last line${said.problem}`
        : `expected ${shown(said.value)} before this line, found ${shown(is)}: the file was edited or is not whole`;
    this.#damage.add(this.#line, problem);
  }
}
