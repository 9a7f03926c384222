/**
 * Puts a history on disk while it happens. Events are stamped and queued at once, in the order they are recorded, and
 * written in batches behind the recorder's back, so that observing an operation costs no disk access. The file grows
 * with every batch: should the rig itself die, all but the last few events are there.
 *
 * Text in an event may come from the machine under test and is made one bounded printable line here, once, for every
 * reader that follows.
 */
import { type FileHandle, open } from "node:fs/promises";
import { monotonicNs, sleep, wallClock } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { cleanLine } from "../core/untrusted.ts";
import type { Header, HistoryEvent, HistorySink, Unstamped } from "./event.ts";

/** Events that come within this time are written together. */
const BATCH_MS = 20;
/** The longest console line that is kept, in characters. */
export const CONSOLE_CHARS = 1000;
/** The longest other text that is kept, in characters. */
export const TEXT_CHARS = 4000;

/** What the header says about the cell. */
export type HistoryAbout = Pick<Header, "run" | "scenario" | "kernel" | "seed">;

export interface HistoryWriter extends HistorySink, AsyncDisposable {
  readonly file: string;
  /** The moment that is zero in this history, hrtime in ns. */
  readonly startNs: bigint;
  /** Lines queued so far, the header included. */
  readonly lines: number;
  /**
   * Writes what is queued and closes the file; safe to call twice. What is recorded later is dropped.
   * @throws RigError RIG_NO_SPACE or RIG_BAD_RESULTS where a line could not be written at any time.
   */
  close(): Promise<void>;
}

const writeError = (file: string, cause: unknown): RigError => {
  const full = cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT");
  return full
    ? new RigError("RIG_NO_SPACE", `No space left to write ${file}. Free some, or choose another --out.`, {
        blame: "environment",
        cause,
      })
    : new RigError("RIG_BAD_RESULTS", `Could not write ${file}: ${String(cause)}`, { cause });
};

/** The event with its time, and every text in it clean and bounded. */
const stamped = (event: Unstamped, t: number): HistoryEvent => {
  const max = event.kind === "console" ? CONSOLE_CHARS : TEXT_CHARS;
  const clean = Object.entries(event).map(([key, value]) => [
    key,
    typeof value === "string" ? cleanLine(value, max) : (value as unknown),
  ]);
  return { t, ...(Object.fromEntries(clean) as Unstamped) };
};

class FileHistory implements HistoryWriter {
  readonly file: string;
  readonly startNs: bigint;
  lines = 0;
  readonly #handle: FileHandle;
  #queue: string[] = [];
  #writing: Promise<void> | undefined;
  #failure: RigError | undefined;
  #closing: Promise<void> | undefined;
  readonly #hurry = new AbortController();

  constructor(file: string, handle: FileHandle, startNs: bigint) {
    this.file = file;
    this.#handle = handle;
    this.startNs = startNs;
  }

  record(event: Unstamped, at: bigint = monotonicNs()): void {
    const t = Math.max(0, Number(at - this.startNs));
    this.push(stamped(event, t));
  }

  push(line: Header | HistoryEvent): void {
    if (this.#closing !== undefined || this.#failure !== undefined) return;
    this.#queue.push(JSON.stringify(line));
    this.lines++;
    this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        await sleep(BATCH_MS, this.#hurry.signal).catch(() => undefined);
        const batch = this.#queue;
        this.#queue = [];
        await this.#handle.appendFile(`${batch.join("\n")}\n`);
      }
    } catch (error) {
      this.#failure = writeError(this.file, error);
    } finally {
      this.#writing = undefined;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    this.#hurry.abort();
    await this.#writing;
    try {
      await this.#handle.close();
    } catch (error) {
      this.#failure ??= writeError(this.file, error);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Starts a history on an open file. `file` is its name for messages. */
export const historyOn = (handle: FileHandle, file: string, about: HistoryAbout, startNs: bigint): HistoryWriter => {
  const history = new FileHistory(file, handle, startNs);
  history.push({
    kind: "header",
    version: 1,
    run: about.run,
    scenario: about.scenario,
    kernel: about.kernel,
    seed: about.seed,
    startedAt: wallClock().toISOString(),
    monotonicStartNs: startNs.toString(),
  });
  return history;
};

/**
 * Starts a history in a new file. The clock starts now unless `startNs` (hrtime, ns) says otherwise.
 * @throws RigError RIG_NO_SPACE or RIG_BAD_RESULTS where the file exists or cannot be made.
 */
export const openHistory = async (
  file: string,
  about: HistoryAbout,
  startNs = monotonicNs(),
): Promise<HistoryWriter> => {
  try {
    return historyOn(await open(file, "ax"), file, about, startNs);
  } catch (error) {
    throw writeError(file, error);
  }
};
