/**
 * What a history costs: bytes on disk, and CPU to record an operation and to read it back. The operations are those of a
 * long run, half writes and half reads of 4 KiB at random places of a disk of 1 GiB, 32 in flight, one every 100 us. A cell
 * records far fewer a second, so that what it takes to record one, times their number, is the CPU that the writer takes of a run.
 */
import { stat } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { monotonicNs } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { createRng } from "../core/rng.ts";
import { Encoder } from "../history/encode.ts";
import type { HistoryEvent } from "../history/event.ts";
import { readHistory } from "../history/reader.ts";
import { openHistory } from "../history/writer.ts";

const DEPTH = 32;
const SECTORS = 8;
const PLACES = 2 ** 30 / (SECTORS * 512);
/** Half the mean time between two lines, ns. */
const HALF_GAP_NS = 25_000;
/** Numbers of the operations that reads find are as long as in a run of so many, however short this one is. */
const RUN = 1_000_000;
/** Operations that are recorded between two batches of the writer: what comes in 20 ms. */
const BATCH = 200;

/** The events of so many operations, all answered, in the order of their times. */
export function* operationEvents(operations: number, seed = 1): Generator<HistoryEvent> {
  const random = createRng(seed);
  const inFlight: { readonly op: number; readonly isRead: boolean; readonly sector: number }[] = [];
  let t = 0;
  for (let op = 1; op <= operations + DEPTH; op++) {
    t += random.integer(HALF_GAP_NS, 3 * HALF_GAP_NS);
    if (op <= operations) {
      const [isRead, sector] = [random.next() < 0.5, random.integer(0, PLACES - 1) * SECTORS];
      const action = isRead ? "read" : "write";
      yield { t, kind: "invoke", op, action, via: "initiator", sector, sectors: SECTORS, label: "steady" };
      inFlight.push({ op, isRead, sector });
    }
    if (op <= DEPTH) continue;
    t += random.integer(HALF_GAP_NS, 3 * HALF_GAP_NS);
    const [done] = inFlight.splice(random.integer(0, inFlight.length - 1), 1);
    if (done === undefined) continue;
    const extent = { is: "write" as const, at: done.sector, n: SECTORS, op: random.integer(1, RUN), i: 0 };
    yield { t, kind: "ok", op: done.op, ...(done.isRead ? { content: [extent] } : {}) };
  }
}

/** Bytes that an operation takes, from its invocation to its answer. */
export const bytesPerOperation = (operations: number): number => {
  const encoder = new Encoder();
  let bytes = 0;
  let lines = 0;
  for (const { t, ...event } of operationEvents(operations)) {
    bytes += encoder.encode(event, t).length;
    if (++lines % (2 * BATCH) === 0) encoder.endSection();
  }
  return bytes / operations;
};

const cpuNsSince = (before: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1000;
};

export interface HistoryCost {
  /** Of disk, an operation. */
  readonly bytes: number;
  /** CPU of this process to record an operation, its answer included, and to have it written, in ns. */
  readonly recordNs: number;
  /** CPU of this process to read an operation back into the table, in ns. */
  readonly readNs: number;
}

/**
 * Records so many operations into a new file and reads them back.
 * @throws RigError RIG_BUG where they do not come back.
 */
export const historyCost = async (file: string, operations: number): Promise<HistoryCost> => {
  const events = [...operationEvents(operations)].map(({ t, ...event }) => ({ t, event }));
  const startNs = monotonicNs();
  const history = await openHistory(
    file,
    { run: "bench", scenario: "bench/history", kernel: "none", seed: 1 },
    startNs,
  );
  const recording = process.cpuUsage();
  for (const [index, { t, event }] of events.entries()) {
    history.record(event, startNs + BigInt(t));
    if (index % (2 * BATCH) === 0) await setImmediate();
  }
  await history.close();
  const recordNs = cpuNsSince(recording);
  const { size } = await stat(file);
  const reading = process.cpuUsage();
  const { operations: table, damage } = await readHistory(file);
  const readNs = cpuNsSince(reading);
  if (table.count !== operations || damage.length > 0)
    throw new RigError("RIG_BUG", `Expected ${operations} operations back, got ${table.count}.`);
  return { bytes: size / operations, recordNs: recordNs / operations, readNs: readNs / operations };
};
