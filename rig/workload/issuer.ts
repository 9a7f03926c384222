/**
 * Issues operations and keeps the account of them: each is invoked in the history before the device hears of it, and ends there
 * with what the device answered. What had no answer gets no end. What is under way, failed or unanswered is remembered, for that
 * is what newer data has to be written over.
 */
import { messageOf, RigError } from "../core/errors.ts";
import { SECTOR_BYTES } from "../core/names.ts";
import type { HistorySink } from "../history/event.ts";
import type { Extent } from "../history/extent.ts";
import { type BlockDevice, NbdDisconnected } from "./block-device.ts";
import type { PlannedOperation } from "./operation-plan.ts";
import { type SectorRange, union } from "./sector-ranges.ts";
import { readExtents, stampWrite } from "./stamp.ts";

/** What became of an operation. */
export type End = "ok" | "failed" | "unanswered";
export interface Result {
  readonly end: End;
  readonly error?: string;
}

/** A device that operations go to, and where its LUN's image lies on this machine. */
export interface LedgerDevice {
  /** 0 to 255; devices of one LUN are the same disk. */
  readonly id: number;
  readonly name: string;
  readonly lun: number;
  readonly nbd: BlockDevice;
  /** The image file of the LUN. */
  readonly backing: string;
  /** Awaited when reads of the image have begun, before it is looked at: brings what a volatile cache holds to the disk. */
  readonly syncBacking?: () => Promise<void>;
}

/** Ranges that are kept apart before they are joined. */
const LOOSE_RANGES = 1000;

export class Issuer {
  readonly counts = { invoked: 0, ok: 0, failed: 0 };
  readonly #sink: HistorySink;
  readonly #tag: bigint;
  #nextOp = 1;
  /** Writes under way, by LUN. */
  readonly #changing = new Map<number, Set<SectorRange>>();
  /** What was written without an acknowledgement, by LUN. */
  readonly #doubtful = new Map<number, readonly SectorRange[]>();
  #changes = 0;

  constructor(sink: HistorySink, tag: bigint) {
    this.#sink = sink;
    this.#tag = tag;
  }

  /** How often anything but a read was issued. */
  get changes(): number {
    return this.#changes;
  }

  get tag(): bigint {
    return this.#tag;
  }

  /** Opens an operation in the history and returns its number. */
  invoke(
    device: number,
    { action, sector, sectors, fua }: PlannedOperation,
    via: "initiator" | "backing",
    label?: string,
  ): number {
    const op = this.#nextOp++;
    this.counts.invoked++;
    this.#sink.record({
      kind: "invoke",
      op,
      action,
      via,
      ...(device === 0 ? {} : { device }),
      sector,
      sectors,
      ...(fua ? { fua } : {}),
      ...(label === undefined ? {} : { label }),
    });
    return op;
  }

  succeeded(op: number, content?: readonly Extent[]): void {
    this.#sink.record({ kind: "ok", op, ...(content === undefined ? {} : { content: [...content] }) });
    this.counts.ok++;
  }

  failed(op: number, error: string): void {
    this.#sink.record({ kind: "fail", op, error });
    this.counts.failed++;
  }

  /** Does one operation through the device; resolves when it has an answer, or none can come any more. */
  async issue(device: LedgerDevice, planned: PlannedOperation, label?: string): Promise<Result> {
    const op = this.invoke(device.id, planned, "initiator", label);
    const changes = planned.action !== "read" && planned.action !== "flush";
    const range = { sector: planned.sector, sectors: planned.sectors };
    if (changes) {
      this.#changes++;
      this.#changingOf(device.lun).add(range);
    }
    const result = await this.#answer(op, device.nbd, planned);
    if (changes) {
      this.#changingOf(device.lun).delete(range);
      if (result.end !== "ok") this.#doubt(device.lun, range);
    }
    return result;
  }

  /** What is under way or had no acknowledgement so far; what is not under way is forgotten. */
  takeUnacknowledged(lun: number): readonly SectorRange[] {
    const ranges = union([...this.#changingOf(lun), ...(this.#doubtful.get(lun) ?? [])]);
    this.#doubtful.delete(lun);
    return ranges;
  }

  async #answer(op: number, nbd: BlockDevice, planned: PlannedOperation): Promise<Result> {
    try {
      const content = await this.#perform(op, nbd, planned);
      this.succeeded(op, content);
      return { end: "ok" };
    } catch (error) {
      // No device said this: the operation was never sent.
      if (error instanceof RigError) throw error;
      if (error instanceof NbdDisconnected) return { end: "unanswered", error: error.message };
      this.failed(op, messageOf(error));
      return { end: "failed", error: messageOf(error) };
    }
  }

  async #perform(op: number, nbd: BlockDevice, planned: PlannedOperation): Promise<readonly Extent[] | undefined> {
    const { action, sector, sectors, fua } = planned;
    const [offset, bytes] = [sector * SECTOR_BYTES, sectors * SECTOR_BYTES];
    switch (action) {
      case "write":
        await nbd.write(offset, stampWrite({ run: this.#tag, op, sector, sectors }), { fua });
        return undefined;
      case "read":
        return readExtents(await nbd.read(offset, bytes), sector, this.#tag);
      case "flush":
        await nbd.flush();
        return undefined;
      case "discard":
        await nbd.trim(offset, bytes, { fua });
        return undefined;
      case "zeroes":
        await nbd.writeZeroes(offset, bytes, { fua });
        return undefined;
      default:
        return action satisfies never;
    }
  }

  #changingOf(lun: number): Set<SectorRange> {
    const known = this.#changing.get(lun);
    if (known !== undefined) return known;
    const made = new Set<SectorRange>();
    this.#changing.set(lun, made);
    return made;
  }

  #doubt(lun: number, range: SectorRange): void {
    const ranges = [...(this.#doubtful.get(lun) ?? []), range];
    this.#doubtful.set(lun, ranges.length > LOOSE_RANGES ? union(ranges) : ranges);
  }
}
