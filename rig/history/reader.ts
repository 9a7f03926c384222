/** Reads a history back from its file, a piece at a time; what the pieces mean is parse.ts's to know. */
import { createReadStream } from "node:fs";
import { RigError } from "../core/errors.ts";
import type { History } from "./event.ts";
import { HistoryParser } from "./parse.ts";

const CHUNK_BYTES = 1 << 20;

/**
 * A history from the lines of its file, without their newlines. `file` is for messages only. As no newline follows the last
 * line, it is taken for cut where it is no JSON.
 * @throws RigError RIG_BAD_RESULTS where the first line is not the header of a history that this rig knows.
 */
export const parseHistory = async (lines: AsyncIterable<string> | Iterable<string>, file: string): Promise<History> => {
  const parser = new HistoryParser(file);
  let before = "";
  for await (const line of lines) {
    parser.add(Buffer.from(before + line));
    before = "\n";
  }
  return parser.finish();
};

/**
 * Reads a history's file. Lines that cannot be believed are in its `damage`.
 * @throws RigError RIG_BAD_RESULTS where it cannot be opened or does not begin as a history that this rig knows.
 */
export const readHistory = async (file: string): Promise<History> => {
  const parser = new HistoryParser(file);
  try {
    const chunks: AsyncIterable<Buffer> = createReadStream(file, { highWaterMark: CHUNK_BYTES });
    for await (const chunk of chunks) parser.add(chunk);
    return parser.finish();
  } catch (error) {
    if (error instanceof RigError) throw error;
    throw new RigError("RIG_BAD_RESULTS", `Expected a history in ${file}, but it could not be read.`, {
      blame: "environment",
      cause: error,
    });
  }
};
