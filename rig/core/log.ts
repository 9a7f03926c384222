/**
 * What people see while the rig works: one line for each thing done, on standard error and, word for word but without
 * colour, in the run's log file. In a terminal a status line below the last one says what is going on right now.
 */
import { appendFileSync } from "node:fs";
import pc from "picocolors";
import { monotonicMs } from "./clock.ts";

export type Tone = "plain" | "good" | "bad" | "warn" | "dim";

export interface Log {
  /** A line that stays. */
  say(text: string, tone?: Tone): void;
  /** What is going on now; replaced by the next one. Shown in terminals only. */
  status(text: string): void;
  /** From now on, also append lines to this file. */
  alsoTo(file: string): void;
}

const paint: Record<Tone, (text: string) => string> = {
  plain: text => text,
  good: pc.green,
  bad: text => pc.bold(pc.red(text)),
  warn: pc.yellow,
  dim: pc.dim,
};

/** A log on the given terminal or pipe; times are seconds since the log was made. */
export const createLog = (out: NodeJS.WriteStream = process.stderr): Log => {
  const start = monotonicMs();
  const files: string[] = [];
  let current = "";
  const clear = () => {
    if (out.isTTY && current !== "") out.write("\r\u001b[K");
  };
  const draw = () => {
    if (out.isTTY && current !== "") out.write(pc.dim(current.slice(0, Math.max(20, out.columns - 1))));
  };
  return {
    say: (text, tone = "plain") => {
      const clock = `[${((monotonicMs() - start) / 1000).toFixed(1).padStart(6)} s]`;
      clear();
      for (const line of text.split("\n")) {
        out.write(`${pc.dim(clock)} ${paint[tone](line)}\n`);
        for (const file of files) {
          try {
            appendFileSync(file, `${clock} ${line}\n`);
          } catch {
            // A log that cannot be written must not end the run it describes.
          }
        }
      }
      draw();
    },
    status: text => {
      clear();
      current = text;
      draw();
    },
    alsoTo: file => {
      files.push(file);
    },
  };
};

/** A log that says nothing, for tests. */
export const silentLog: Log = { say: () => undefined, status: () => undefined, alsoTo: () => undefined };
