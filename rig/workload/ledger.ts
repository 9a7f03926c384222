/**
 * The ledger: the workload that knows what every sector may legally hold. The device is divided into slots; a generation
 * writes every slot once, each sector stamped with the operation it belongs to. What was asked, answered, refused or left
 * unanswered goes into the history as it happens, and so does every read's content; judging it is the oracles' work.
 */
import { open } from "node:fs/promises";
import { deadline, orAbort } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { SECTOR_BYTES } from "../core/names.ts";
import type { Extent, HistorySink } from "../history/event.ts";
import { type NbdClient, NbdDisconnected } from "./nbd.ts";
import { readExtents, runTag, stampWrite } from "./stamp.ts";

export interface LedgerShape {
  /** How many slots there are, from the device's first sector on. */
  readonly slots: number;
  /** Bytes of one slot, written by one operation. */
  readonly slotBytes: number;
}

/** What became of a generation's writes. */
export interface Outcome {
  readonly ok: number;
  readonly failed: number;
  readonly unanswered: number;
}

/** One write to every slot, under way or over. */
export interface Generation {
  readonly label: string;
  /** Writes that have no answer yet. */
  readonly inFlight: number;
  /** Resolves when every write has its answer, or the connection ended. Rejects after `withinMs`. */
  answered(withinMs: number): Promise<Outcome>;
  /** Resolves when every write was acknowledged; a write that failed is a RIG_NBD error. */
  acknowledged(withinMs: number): Promise<void>;
}

/** Bytes read by one operation. */
const READ_BYTES = 128 * 1024;

/** Marks a deadline that the hang oracle will explain: the operation did not answer in the time that was allowed. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof RigError && error.context["unanswered"] === true;

export class Ledger {
  readonly shape: LedgerShape;
  readonly #nbd: NbdClient;
  readonly #backing: string;
  readonly #sink: HistorySink;
  readonly #tag: bigint;
  readonly #signal: AbortSignal;
  readonly counts = { invoked: 0, ok: 0, failed: 0 };
  #closing = false;
  #readBack = false;
  #nextOp = 1;
  #generations = 0;

  /** @param identity names the run and cell; data of another run or cell is foreign. */
  constructor(options: {
    shape: LedgerShape;
    nbd: NbdClient;
    backing: string;
    sink: HistorySink;
    identity: string;
    signal: AbortSignal;
  }) {
    this.shape = options.shape;
    this.#nbd = options.nbd;
    this.#backing = options.backing;
    this.#sink = options.sink;
    this.#tag = runTag(options.identity);
    this.#signal = options.signal;
    const needed = options.shape.slots * options.shape.slotBytes;
    if (needed > options.nbd.sizeBytes) {
      throw new RigError(
        "RIG_BAD_SCENARIO",
        `The ledger needs ${needed} bytes; the device has ${options.nbd.sizeBytes}.`,
        { blame: "scenario" },
      );
    }
    void options.nbd.ended.then(why => {
      if (!this.#closing) this.#sink.record({ kind: "disconnect", why });
    });
  }

  get #sectorsPerSlot(): number {
    return this.shape.slotBytes / SECTOR_BYTES;
  }

  get #sectors(): number {
    return this.shape.slots * this.#sectorsPerSlot;
  }

  /** Whether the final state was read through both ends and nothing was written since. */
  get isReadBack(): boolean {
    return this.#readBack;
  }

  /** Submits one write to every slot, all at once, and returns while they are under way. */
  rewrite(): Generation {
    this.#readBack = false;
    const label = `generation ${this.#generations++}`;
    const outcome = { ok: 0, failed: 0, unanswered: 0 };
    let inFlight = this.shape.slots;
    let firstError: string | undefined;
    const writes = Array.from({ length: this.shape.slots }, async (_, slot) => {
      const result = await this.#write(slot, label);
      outcome[result.state]++;
      firstError ??= result.error;
      inFlight--;
    });
    const all = Promise.all(writes);
    const answered = async (withinMs: number): Promise<Outcome> => {
      using limit = deadline(withinMs, `every write of ${label} to be answered`, this.#signal);
      try {
        await orAbort(all, limit);
        return outcome;
      } catch (error) {
        this.#signal.throwIfAborted();
        throw new RigError("RIG_DEADLINE", `${messageOf(error)} ${inFlight} of ${this.shape.slots} still wait.`, {
          blame: "scenario",
          context: { unanswered: true },
          cause: error,
        });
      }
    };
    return {
      label,
      get inFlight() {
        return inFlight;
      },
      answered,
      acknowledged: async withinMs => {
        const seen = await answered(withinMs);
        if (seen.ok === this.shape.slots) return;
        throw new RigError(
          "RIG_NBD",
          `Expected every write of ${label} to be acknowledged: ${seen.ok} were, ${seen.failed} failed, ${seen.unanswered} got no answer (${firstError ?? "no error given"}).`,
          { blame: "scenario" },
        );
      },
    };
  }

  /** Reads the final state: through the initiator, and from the target's disk image. */
  async readBack(withinMs: number): Promise<void> {
    try {
      await this.readInitiator(withinMs);
    } finally {
      await this.readBacking();
    }
    this.#readBack = true;
  }

  /** Reads the whole ledger through the initiator. */
  async readInitiator(withinMs: number): Promise<void> {
    const total = this.#sectors * SECTOR_BYTES;
    const reads: Promise<unknown>[] = [];
    for (let offset = 0; offset < total; offset += READ_BYTES)
      reads.push(this.#readOne(offset, Math.min(READ_BYTES, total - offset)));
    using limit = deadline(withinMs, "the ledger to be read back through the initiator", this.#signal);
    try {
      await orAbort(Promise.all(reads), limit);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw new RigError("RIG_DEADLINE", messageOf(error), {
        blame: "scenario",
        context: { unanswered: true },
        cause: error,
      });
    }
  }

  /** Reads the whole ledger from the target's disk image on this machine, behind the initiator's back. */
  async readBacking(): Promise<void> {
    const op = this.#invoke("read", "backing", 0, this.#sectors);
    try {
      await using handle = await open(this.#backing, "r");
      const bytes = Buffer.alloc(this.#sectors * SECTOR_BYTES);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
      if (bytesRead !== bytes.length) throw new Error(`the image has only ${bytesRead} of ${bytes.length} bytes`);
      this.#sink.record({ kind: "ok", op, content: readExtents(bytes, 0, this.#tag) });
      this.counts.ok++;
    } catch (error) {
      this.#sink.record({ kind: "fail", op, error: messageOf(error) });
      this.counts.failed++;
      throw new RigError("RIG_NBD", `The target's disk image ${this.#backing} could not be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Ends the connection on purpose. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#nbd[Symbol.asyncDispose]();
  }

  #invoke(
    action: "write" | "read",
    via: "initiator" | "backing",
    sector: number,
    sectors: number,
    label?: string,
  ): number {
    const op = this.#nextOp++;
    this.counts.invoked++;
    this.#sink.record({ kind: "invoke", op, action, via, sector, sectors, ...(label === undefined ? {} : { label }) });
    return op;
  }

  async #write(slot: number, label: string): Promise<{ state: keyof Outcome; error?: string }> {
    const sector = slot * this.#sectorsPerSlot;
    const op = this.#invoke("write", "initiator", sector, this.#sectorsPerSlot, label);
    const data = stampWrite({ run: this.#tag, op, sector, sectors: this.#sectorsPerSlot });
    return this.#complete(op, async () => {
      await this.#nbd.write(sector * SECTOR_BYTES, data);
      return undefined;
    });
  }

  async #readOne(offset: number, bytes: number): Promise<void> {
    const sector = offset / SECTOR_BYTES;
    const op = this.#invoke("read", "initiator", sector, bytes / SECTOR_BYTES);
    await this.#complete(op, async () => readExtents(await this.#nbd.read(offset, bytes), sector, this.#tag));
  }

  /** Runs an operation and records its answer; one whose connection ended has none. */
  async #complete(
    op: number,
    work: () => Promise<Extent[] | undefined>,
  ): Promise<{ state: keyof Outcome; error?: string }> {
    try {
      const content = await work();
      this.#sink.record({ kind: "ok", op, ...(content === undefined ? {} : { content }) });
      this.counts.ok++;
      return { state: "ok" };
    } catch (error) {
      if (error instanceof NbdDisconnected) return { state: "unanswered", error: error.message };
      this.#sink.record({ kind: "fail", op, error: messageOf(error) });
      this.counts.failed++;
      return { state: "failed", error: messageOf(error) };
    }
  }
}
