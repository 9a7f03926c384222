/**
 * Reads a history back from its file. The machine that wrote it may have died in the middle of a line: that last line is
 * left out and reported. Any other line that does not fit the schema means the file is not what it claims to be, and an
 * oracle must not judge it.
 */
import { createReadStream } from "node:fs";
import type { z } from "zod";
import { RigError } from "../core/errors.ts";
import { eventSchema, type Header, type History, type HistoryEvent, headerSchema } from "./event.ts";

/** A history, and whether its last line was cut off. */
export interface StoredHistory extends History {
  readonly truncated: boolean;
}

const bad = (file: string, line: number, expected: string, cause?: unknown): RigError =>
  new RigError(
    "RIG_BAD_RESULTS",
    `Expected ${expected} on line ${line} of ${file}. The file is damaged or was written by another version of the rig.`,
    cause === undefined ? { blame: "usage" } : { blame: "usage", cause },
  );

const parsed = <T>(schema: z.ZodType<T>, value: unknown): { value: T } | { problem: string } => {
  const result = schema.safeParse(value);
  if (result.success) return { value: result.data };
  const issue = result.error.issues[0];
  return { problem: issue === undefined ? "" : ` (${issue.path.join(".")}: ${issue.message})` };
};

const parseHeader = (value: unknown, file: string): Header => {
  const result = parsed(headerSchema, value);
  if ("value" in result) return result.value;
  throw bad(file, 1, `a history's header of version 1${result.problem}`);
};

const parseEvent = (value: unknown, file: string, line: number): HistoryEvent => {
  const result = parsed(eventSchema, value);
  if ("value" in result) return result.value;
  throw bad(file, line, `an event${result.problem}`);
};

const parseJson = (text: string): { value: unknown } | { cause: unknown } => {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (cause) {
    return { cause };
  }
};

/**
 * A history from the lines of its file. `file` is for messages only.
 * @throws RigError RIG_BAD_RESULTS naming file and line, for any bad line that is not a cut-off last one.
 */
export const parseHistory = async (
  lines: AsyncIterable<string> | Iterable<string>,
  file: string,
): Promise<StoredHistory> => {
  let header: Header | undefined;
  let number = 0;
  let broken: { line: number; cause: unknown } | undefined;
  const events: HistoryEvent[] = [];
  for await (const text of lines) {
    number++;
    if (broken !== undefined) throw bad(file, broken.line, "JSON", broken.cause);
    const json = parseJson(text);
    if ("cause" in json) broken = { line: number, cause: json.cause };
    else if (header === undefined) header = parseHeader(json.value, file);
    else events.push(parseEvent(json.value, file, number));
  }
  if (header === undefined) throw bad(file, 1, "a history's header", broken?.cause);
  return { header, events, truncated: broken !== undefined };
};

/** The file's lines. Only a newline ends one: node:readline would also split at U+2028, which JSON allows in a string. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of createReadStream(file, { encoding: "utf8", highWaterMark: 1 << 20 })) {
    const pieces = `${rest}${String(chunk)}`.split("\n");
    rest = pieces.pop() ?? "";
    yield* pieces;
  }
  if (rest !== "") yield rest;
}

/**
 * Reads a history's file.
 * @throws RigError RIG_BAD_RESULTS where it cannot be opened or is not a history.
 */
export const readHistory = async (file: string): Promise<StoredHistory> => {
  try {
    return await parseHistory(linesOf(file), file);
  } catch (error) {
    if (error instanceof RigError) throw error;
    throw new RigError("RIG_BAD_RESULTS", `Expected a history in ${file}, but it could not be read.`, {
      blame: "usage",
      cause: error,
    });
  }
};
