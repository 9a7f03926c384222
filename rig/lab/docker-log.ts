/** What a container printed. Without a terminal Docker puts eight bytes before each piece: stream, three zeros, length. */
import { cleanLine } from "../core/untrusted.ts";

const HEADER = 8;

/** The pieces of both streams in order, as lines without control characters. */
export const demuxLog = (raw: Buffer): readonly string[] => {
  let text = "";
  for (let at = 0; at + HEADER <= raw.length; ) {
    const length = raw.readUInt32BE(at + 4);
    text += raw.toString("latin1", at + HEADER, at + HEADER + length);
    at += HEADER + length;
  }
  return text
    .split("\n")
    .map(line => cleanLine(line, 500))
    .filter(line => line !== "");
};
