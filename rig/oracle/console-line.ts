/** A console line taken apart: what the kernel puts in front of its messages (log level, time, who said it), and the message. */

/** Log level, time and caller as the console may show them in front: `<4>[   12.345678][  T123] `. */
const PREFIX = /^(?:<\d+>)?(?:\[\s*\d+\.\d+\])?(?:\[\s*([TC]\d+)\])?/;
/** A time stamp, perhaps in the middle: the kernel spoke while a program was in the middle of its line. */
const STAMP = /\[\s*\d+\.\d{6}\](?:\[\s*([TC]\d+)\])? /;

/** No kernel's message is longer; what noise there is beyond is not looked at. */
const MAX_CHARS = 2000;

export interface ConsoleMessage {
  readonly message: string;
  /** Whether the kernel's own time stamp was in front of it. */
  readonly kernel: boolean;
  /** The task (T) or processor (C) that said it, where the kernel tells (CONFIG_PRINTK_CALLER); else empty. */
  readonly caller: string;
}

/** A line's message, and who said it. */
export const messageOf = (whole: string): ConsoleMessage => {
  const line = whole.length > MAX_CHARS ? whole.slice(0, MAX_CHARS) : whole;
  const stamp = STAMP.exec(line);
  if (stamp !== null)
    return { message: line.slice(stamp.index + stamp[0].length), kernel: true, caller: stamp[1] ?? "" };
  const [prefix = "", caller = ""] = PREFIX.exec(line) ?? [];
  // Without a prefix a leading space belongs to the message: it marks the lines of a trace.
  return { message: prefix === "" ? line : line.slice(prefix.length).replace(/^ /, ""), kernel: false, caller };
};
