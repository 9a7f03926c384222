/**
 * The ledger: the workload that knows what every sector may legally hold. Each sector is stamped with the operation it belongs
 * to. What was asked, answered, refused or left unanswered goes into the history as it happens, and so does every read's
 * content; judging it is the oracles' work.
 *
 * It writes in two manners. A *generation* writes every slot of the devices once, all at once. The other phases follow a seeded
 * plan of mixed operations: fill, steady (until it is stopped), burst, and supersede, which writes newer data over everything
 * that was not acknowledged when it began.
 */
import { SECTOR_BYTES } from "../core/names.ts";
import type { HistorySink } from "../history/event.ts";
import { Batch, type Generation, isFailed, isUnanswered, type Work } from "./batch.ts";
import { Issuer, type LedgerDevice } from "./issuer.ts";
import {
  derivedSeed,
  type OperationMix,
  type PlannedOperation,
  plainMix,
  planCover,
  planOperations,
} from "./operation-plan.ts";
import { allInTurn, readImages, readThrough } from "./read-back.ts";
import { requireBounded, requireFitting } from "./requirements.ts";
import type { SectorRange } from "./sector-ranges.ts";
import { runTag } from "./stamp.ts";

export { type Generation, isFailed, isUnanswered, type LedgerDevice };

export interface LedgerShape {
  /** How many slots there are, from the device's first sector on. */
  readonly slots: number;
  /** Bytes of one slot, written by one operation of a generation. */
  readonly slotBytes: number;
  /** Operations that a device has in flight in the planned phases. */
  readonly depth?: number;
  /** What the planned phases are made of; writes of whole slots where there is none. */
  readonly mix?: OperationMix;
}

const DEFAULT_DEPTH = 32;
/** However small an operation is, its data takes a page of the guest's memory. */
const PAGE_BYTES = 4096;

/** Numbers of the purposes that plans have seeds for. */
const PURPOSE = { fill: 1, steady: 2, burst: 3, supersede: 4 } as const;

const notFlush = ({ action }: PlannedOperation): boolean => action !== "flush";

export class Ledger {
  readonly shape: LedgerShape;
  readonly devices: readonly LedgerDevice[];
  readonly #seed: number;
  readonly #mix: OperationMix;
  readonly #sink: HistorySink;
  readonly #signal: AbortSignal;
  readonly #issuer: Issuer;
  readonly #streams = new Set<Batch>();
  #closing = false;
  /** How many changes there had been when the final state was read. */
  #readBackAt: number | undefined;
  #generations = 0;
  readonly #batches = { fill: 0, steady: 0, burst: 0, supersede: 0 };

  /**
   * @param options.identity names the run and cell; data of another run or cell is foreign.
   * @param options.seed gives the planned phases their operations.
   */
  constructor(options: {
    shape: LedgerShape;
    devices: readonly LedgerDevice[];
    sink: HistorySink;
    identity: string;
    seed: number;
    signal: AbortSignal;
  }) {
    const { shape, devices, sink } = options;
    this.shape = shape;
    this.devices = devices;
    this.#seed = options.seed;
    this.#mix = shape.mix ?? plainMix(shape.slotBytes);
    this.#sink = sink;
    this.#signal = options.signal;
    this.#issuer = new Issuer(sink, runTag(options.identity));
    requireFitting(devices, this.#mix, this.#bytes, shape.slotBytes);
    for (const { id, nbd } of devices) {
      void nbd.ended.then(why => {
        if (!this.#closing) sink.record({ kind: "disconnect", why, ...(devices.length === 1 ? {} : { device: id }) });
      });
    }
  }

  get counts(): Readonly<Issuer["counts"]> {
    return this.#issuer.counts;
  }

  /** Operations of the steady phases that have no answer yet. */
  get inFlight(): number {
    return this.#streams.values().reduce((sum, stream) => sum + stream.inFlight, 0);
  }

  /** Whether the final state was read through both ends and nothing was changed since. */
  get isReadBack(): boolean {
    return this.#readBackAt === this.#issuer.changes;
  }

  /** Submits one write to every slot of every LUN, all at once, and returns while they are under way. */
  rewrite(): Generation {
    const { slots, slotBytes } = this.shape;
    const sectors = slotBytes / SECTOR_BYTES;
    const works = this.#luns.flatMap(devices =>
      devices.map((device, turn): Work => {
        // Devices that are the same disk share its slots.
        const mine = Array.from({ length: slots }, (_, slot) => slot).filter(slot => slot % devices.length === turn);
        const operations = mine.map(
          (slot): PlannedOperation => ({ action: "write", sector: slot * sectors, sectors, fua: false }),
        );
        return { device, operations: operations.values(), depth: operations.length };
      }),
    );
    return new Batch(this.#issuer, `generation ${this.#generations++}`, works, this.#signal, "write");
  }

  /** Writes every sector once, in the sizes of the mix, one device of each LUN. */
  fill(): Generation {
    const number = this.#batches.fill++;
    const whole = [{ sector: 0, sectors: this.#bytes / SECTOR_BYTES }];
    return this.#cover("fill", number, () => whole);
  }

  /** Begins operations of the mix on every device, a queue depth of them at a time, until the stream is stopped. */
  steady(): Batch {
    const number = this.#batches.steady++;
    const works = this.devices.map((device): Work => {
      const seed = derivedSeed(this.#seed, PURPOSE.steady, number, device.id);
      return { device, operations: planOperations(seed, this.#mix, this.#bytes), depth: this.#depth };
    });
    const stream = new Batch(this.#issuer, `steady ${number}`, works, this.#signal);
    this.#streams.add(stream);
    return stream;
  }

  /**
   * Submits so many operations of the mix to every device, all at once. Flushes are left out.
   * @throws RIG_BAD_SCENARIO for more data than the guest may have to hold.
   */
  burst(count: number): Generation {
    const bytes = count * Math.max(PAGE_BYTES, ...this.#mix.blockBytes) * this.devices.length;
    requireBounded(`A burst of ${count} operations`, bytes);
    const number = this.#batches.burst++;
    const works = this.devices.map((device): Work => {
      const seed = derivedSeed(this.#seed, PURPOSE.burst, number, device.id);
      const operations = planOperations(seed, this.#mix, this.#bytes).filter(notFlush).take(count);
      return { device, operations, depth: count };
    });
    return new Batch(this.#issuer, `burst ${number}`, works, this.#signal);
  }

  /**
   * Writes newer data over every sector that has, at this moment, a write without an acknowledgement: under way, failed, or
   * unanswered. What of that arrives later is stale.
   * @param through the device to write with, of those that are the same disk; the first where none is named.
   */
  supersede(through?: number): Generation {
    return this.#cover("supersede", this.#batches.supersede++, lun => this.#issuer.takeUnacknowledged(lun), through);
  }

  /** Ends the steady phases and waits until they have all their answers. */
  async quiesce(withinMs: number): Promise<void> {
    for (const stream of this.#streams) stream.stop();
    await Promise.all([...this.#streams].map(stream => stream.answered(withinMs)));
    this.#streams.clear();
  }

  /** Reads the final state: through the initiator, and from the target's disk images. Ends the steady phases first. */
  async readBack(withinMs: number): Promise<void> {
    const initiator = async () => {
      await this.quiesce(withinMs);
      await this.readInitiator(withinMs);
    };
    await allInTurn([initiator, () => this.readBacking()]);
    this.#readBackAt = this.#issuer.changes;
  }

  /** Reads everything through every device. @throws RIG_NBD where a connection ended before the last answer. */
  async readInitiator(withinMs: number): Promise<void> {
    await readThrough(this.#issuer, this.devices, this.#bytes, withinMs, this.#signal);
  }

  /** Reads everything from the disk images on this machine, behind the initiator's back. */
  async readBacking(): Promise<void> {
    const firsts = this.#luns.flatMap(devices => devices.slice(0, 1));
    await readImages(this.#issuer, firsts, this.#bytes);
  }

  /** Ends the connections on purpose. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const stream of this.#streams) stream.stop();
    await Promise.all(this.devices.map(({ nbd }) => nbd[Symbol.asyncDispose]()));
  }

  get #bytes(): number {
    return this.shape.slots * this.shape.slotBytes;
  }

  get #depth(): number {
    return this.shape.depth ?? DEFAULT_DEPTH;
  }

  /** The devices, those together that are the same disk. */
  get #luns(): readonly (readonly LedgerDevice[])[] {
    return [...Map.groupBy(this.devices, ({ lun }) => lun).values()];
  }

  #cover(
    phase: "fill" | "supersede",
    number: number,
    rangesOf: (lun: number) => readonly SectorRange[],
    through?: number,
  ): Generation {
    const works = this.#luns.flatMap((devices): Work[] => {
      const device = devices.find(({ id }) => id === through) ?? devices[0];
      if (device === undefined) return [];
      const seed = derivedSeed(this.#seed, PURPOSE[phase], number, device.id);
      return [{ device, operations: planCover(seed, this.#mix, rangesOf(device.lun)), depth: this.#depth }];
    });
    return new Batch(this.#issuer, `${phase} ${number}`, works, this.#signal, "write");
  }
}
