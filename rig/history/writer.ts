/**
 * Puts a history on disk while it happens. Events are stamped and queued at once, in the order they are recorded, and
 * written in batches behind the recorder's back, so that observing an operation costs no disk access. The file grows
 * with every batch: should the rig itself be killed, all but the last tenth of a second is there, and what is missing shows
 * in that the last line is, which has the sum of all others.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { monotonicNs, sleep, wallClock } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { Encoder, endLine } from "./encode.ts";
import { type Header, HISTORY_VERSION, type HistorySink, type Unstamped } from "./event.ts";

/** Events that come within this time are written together. */
const BATCH_MS = 20;
/** What the header says about the cell. */
export type HistoryAbout = Pick<Header, "run" | "scenario" | "kernel" | "seed">;

export interface HistoryWriter extends HistorySink, AsyncDisposable {
  readonly file: string;
  /** The moment that is zero in this history, hrtime in ns. */
  readonly startNs: bigint;
  /** Lines so far, the header included. */
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

class FileHistory implements HistoryWriter {
  readonly file: string;
  readonly startNs: bigint;
  readonly #handle: FileHandle;
  readonly #encoder = new Encoder();
  readonly #sum = createHash("sha256");
  #queue = "";
  #writing: Promise<void> | undefined;
  #failure: RigError | undefined;
  #closing: Promise<void> | undefined;
  readonly #hurry = new AbortController();

  constructor(file: string, handle: FileHandle, startNs: bigint) {
    this.file = file;
    this.#handle = handle;
    this.startNs = startNs;
  }

  get lines(): number {
    return this.#encoder.lines;
  }

  record(event: Unstamped, at: bigint = monotonicNs()): void {
    if (this.#closing !== undefined || this.#failure !== undefined) return;
    this.#push(this.#encoder.encode(event, Math.max(0, Number(at - this.startNs))));
  }

  begin(header: Header): void {
    this.#push(this.#encoder.header(header));
  }

  #push(text: string): void {
    this.#queue += text;
    this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    try {
      while (this.#queue !== "") {
        await sleep(BATCH_MS, this.#hurry.signal).catch(() => undefined);
        await this.#write();
      }
    } catch (error) {
      this.#failure = writeError(this.file, error);
      this.#queue = "";
    } finally {
      this.#writing = undefined;
    }
  }

  async #write(): Promise<void> {
    const batch = Buffer.from(this.#queue);
    this.#queue = "";
    // Damage to this batch shall not cost the next.
    this.#encoder.endSection();
    this.#sum.update(batch);
    await this.#handle.appendFile(batch);
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    this.#hurry.abort();
    await this.#writing;
    try {
      if (this.#failure === undefined)
        await this.#handle.appendFile(endLine({ lines: this.lines, sha256: this.#sum.digest("hex") }));
    } catch (error) {
      this.#failure = writeError(this.file, error);
    }
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
  history.begin({
    kind: "header",
    version: HISTORY_VERSION,
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
