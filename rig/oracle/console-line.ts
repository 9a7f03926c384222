/** A console line taken apart: what the kernel puts in front of its messages (log level, time, who said it), and the message. */

/** Log level, time and caller as the console may show them in front: `<4>[   12.345678][  T123] `. */
const PREFIX = /^(?:<\d+>)?(?:\[\s*\d+\.\d+\])?(?:\[\s*([TC]\d+)\])?/;
/** A time stamp, perhaps in the middle: the kernel spoke while a program was in the middle of its line. */
const STAMP = /\[\s*\d+\.\d{6}\](?:\[\s*([TC]\d+)\])? /g;

/** No kernel's message is longer; what noise there is beyond is not looked at. */
const MAX_CHARS = 2000;

export interface ConsoleMessage {
  readonly message: string;
  /** Whether the kernel's own time stamp was in front of it. */
  readonly kernel: boolean;
  /** The task (T) or processor (C) that said it, where the kernel tells (CONFIG_PRINTK_CALLER); else empty. */
  readonly caller: string;
}

/** What a line says, a message for each stamp: where a newline was lost, the kernel's next message is in the same line. */
export const messagesOf = (whole: string): readonly ConsoleMessage[] => {
  const line = whole.length > MAX_CHARS ? whole.slice(0, MAX_CHARS) : whole;
  const stamps = [...line.matchAll(STAMP)];
  if (stamps.length > 0)
    return stamps.map((stamp, i) => ({
      message: line.slice(stamp.index + stamp[0].length, stamps[i + 1]?.index),
      kernel: true,
      caller: stamp[1] ?? "",
    }));
  const [prefix = "", caller = ""] = PREFIX.exec(line) ?? [];
  // Without a prefix a leading space belongs to the message: it marks the lines of a trace.
  return [{ message: prefix === "" ? line : line.slice(prefix.length).replace(/^ /, ""), kernel: false, caller }];
};

/** A line's last message, and who said it. */
export const messageOf = (whole: string): ConsoleMessage =>
  messagesOf(whole).at(-1) ?? { message: "", kernel: false, caller: "" };
