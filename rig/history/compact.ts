/**
 * The compact lines of a history. A run may have a million operations, and the second witness may tell of a hundred thousand
 * commands: as objects they would fill half a gigabyte with the names of their fields. So these few events stand as arrays
 * of whole numbers, told apart by the first, and say only what the line before them does not say already.
 *
 * Compact lines come in sections. A clock line begins one: it sets the time and the next operation's number, and forgets
 * texts and repeated fields. All later lines of the section count from it, so that a damaged line costs its section and no
 * more. The writer begins one with every batch, and after SECTION_LINES.
 *
 * | line | meaning |
 * | --- | --- |
 * | `[7,T,N]` | clock: it is T ns since the history's start, the next invocation is operation N |
 * | `[8,id,"text"]` | text number `id` of this section, from 1 |
 * | `[code,dt,sector,sectors,label,device]` | invocation of the next operation; `code` is action + 8 FUA + 16 backing |
 * | `[0,dt,back,...content]` | operation `next - back` was acknowledged |
 * | `[6,dt,back,text]` | operation `next - back` failed |
 * | `[16,dt,what,sector,tag,cmdSN,received,done,sectors,session,path,status,lun]` | a command that the target saw |
 *
 * `dt` is ns since the last compact line. Fields at the end of an invocation or a command are left out where they are those
 * of the section's last invocation of this action, or of its last command (0 at first). `label`, `text` and `session` are
 * numbers of texts, 0 for none.
 *
 * Content is a list of `op,i,n`: `n` sectors from sector `i` of write `op` on, or zeros where `op` is 0, each running on from
 * the one before, the first from the read's own sector. At the end `n` is left out where it is the rest of the read, and then
 * `i` where it is 0. Any other extent is an object there, and each one is of content that is not just the read's sectors.
 *
 * In a command, `what` is the action (0 other) + 8 FUA, `path` its place in PATH_NAMES from 1, `received` ns from receivedNs
 * to t, and `done` from t to doneNs. What may be absent is 0 if it is, else one more than it is (a negative one stays).
 */
import { z } from "zod";
import { extentSchema } from "./extent.ts";

/** First numbers of compact lines that are no invocation. Those have an action from 1 to 5 in their lowest three bits. */
export const LINE = { ok: 0, fail: 6, clock: 7, text: 8, command: 16 } as const;
/** Added to an action. */
export const WITH_FUA = 8;
export const VIA_BACKING = 16;

/** A section has no more compact lines than this. */
export const SECTION_LINES = 512;

/** A line of the file has no more bytes than this, its newline not counted. */
export const MAX_LINE_BYTES = 1 << 20;

/** What may be absent, as a number. */
export const optional = (value: number | undefined): number => {
  if (value === undefined) return 0;
  return value < 0 ? value : value + 1;
};
/** The other way round. */
export const given = (value: number): number | undefined => {
  if (value === 0) return undefined;
  return value < 0 ? value : value - 1;
};

const int = z.number().int();
const count = int.nonnegative();

/** Any compact line, for the published schema; the reader has checks of its own, which are faster. */
export const compactSchemas = {
  clock: z.tuple([z.literal(LINE.clock), count, count]),
  text: z.tuple([z.literal(LINE.text), count, z.string()]),
  ok: z.tuple([z.literal(LINE.ok), int, int], z.union([count, extentSchema])),
  fail: z.tuple([z.literal(LINE.fail), int, int, count]),
  command: z.tuple([z.literal(LINE.command), int], int),
  invoke: z.tuple([int.min(1).max(29), int], count),
} as const;

/** The last line of a history that is whole: how many lines are before it, and their SHA-256 with all newlines, in hex. */
export const endSchema = z.strictObject({
  kind: z.literal("end"),
  lines: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type End = z.infer<typeof endSchema>;
