/**
 * How fast the integrity oracle is: operations a second on one core, whether ten times the operations take ten times the
 * time, and how much memory it needs beside the history. The histories are made up in memory: a correct disk under a queue
 * of 64, with slots of 4 KiB, or with writes and reads of 512 bytes to 1 MiB that overlap as they fall. In the second kind
 * every sector soon has an account of its own, and an operation belongs to as many accounts as it has sectors.
 */
import { RigError } from "../core/errors.ts";
import { createRng, type Rng } from "../core/rng.ts";
import { HISTORY_VERSION, type History } from "../history/event.ts";
import { ACTION, BACKING, OperationTable, STATE } from "../history/operations.ts";
import { integrityOracle } from "../oracle/integrity.ts";
import { eachSegment, ownersOf } from "../oracle/segments.ts";
import { SegmentJudge } from "../oracle/segments-judge.ts";

/** 64 MiB, so that a sector is written and read many times. */
const DISK_SECTORS = 131_072;
const SLOT_SECTORS = 8;
const DEPTH = 64;
/** Sectors of one read at the end. */
const READ_BACK_SECTORS = 256;
const STEP_NS = 10_000;
/** The segment at which memory is looked at. */
const PROBED_AT = 1000;
/** The sizes of a mixed history, in sectors, the small ones more often, as a file system has them. */
const SIZES = [1, 8, 8, 8, 8, 8, 8, 8, 8, 16, 16, 32, 32, 64, 128, 2048] as const;

export type SyntheticKind = "slots" | "mixed";

/** A disk that does everything at the moment of the answer. */
class CorrectDisk {
  readonly table = new OperationTable();
  /** By sector: the write that it holds, 0 for none, and its place in that. */
  readonly #held = new Uint32Array(DISK_SECTORS);
  readonly #index = new Uint32Array(DISK_SECTORS);
  #nowNs = 0;
  #line = 2;

  invoke(action: number, sector: number, sectors: number, flags = 0): number {
    const op = this.table.count + 1;
    this.table.invoke(op, action, flags, 0, sector, sectors, 0, (this.#nowNs += STEP_NS), this.#line++);
    return op;
  }

  answer(op: number): void {
    const { table } = this;
    const row = op - 1;
    const [sector = 0, sectors = 0] = [table.sector[row], table.sectors[row]];
    const from = table.contents.count;
    if (table.action[row] === ACTION.read) this.#read(sector, sectors);
    else this.#write(op, sector, sectors);
    table.answer(op, STATE.ok, (this.#nowNs += STEP_NS), this.#line++, from, table.contents.count - from);
  }

  #write(op: number, sector: number, sectors: number): void {
    this.#held.fill(op, sector, sector + sectors);
    for (let index = 0; index < sectors; index++) this.#index[sector + index] = index;
  }

  #read(sector: number, sectors: number): void {
    const [held, place] = [this.#held, this.#index];
    let begin = sector;
    for (let at = sector + 1; at <= sector + sectors; at++) {
      const [op = 0, i = 0] = [held[begin], place[begin]];
      if (at < sector + sectors && held[at] === op && (op === 0 || place[at] === i + at - begin)) continue;
      this.table.contents.addPlain(begin, at - begin, op, op === 0 ? 0 : i);
      begin = at;
    }
  }
}

const placeOf = (kind: SyntheticKind, rng: Rng): { sector: number; sectors: number } => {
  if (kind === "slots") {
    return { sector: rng.integer(0, DISK_SECTORS / SLOT_SECTORS - 1) * SLOT_SECTORS, sectors: SLOT_SECTORS };
  }
  const sectors = SIZES[rng.integer(0, SIZES.length - 1)] ?? 1;
  return { sector: rng.integer(0, DISK_SECTORS - sectors), sectors };
};

/** A legal history of so many operations and a read-back through both ends. */
export const syntheticHistory = (kind: SyntheticKind, operations: number, seed = 1): History => {
  const rng = createRng(seed);
  const disk = new CorrectDisk();
  const inFlight: number[] = [];
  const answerOne = () => {
    const place = rng.integer(0, inFlight.length - 1);
    disk.answer(inFlight[place] ?? 0);
    inFlight[place] = inFlight.at(-1) ?? 0;
    inFlight.pop();
  };
  for (let done = 0; done < operations; done++) {
    if (inFlight.length === DEPTH) answerOne();
    const { sector, sectors } = placeOf(kind, rng);
    inFlight.push(disk.invoke(rng.next() < 0.7 ? ACTION.write : ACTION.read, sector, sectors));
  }
  while (inFlight.length > 0) answerOne();
  for (const flags of [0, BACKING]) {
    for (let sector = 0; sector < DISK_SECTORS; sector += READ_BACK_SECTORS)
      disk.answer(disk.invoke(ACTION.read, sector, READ_BACK_SECTORS, flags));
  }
  const header = {
    kind: "header",
    version: HISTORY_VERSION,
    run: "bench",
    scenario: "bench",
    kernel: "none",
    seed,
    startedAt: "2024-01-01T00:00:00.000Z",
    monotonicStartNs: "0",
  } as const;
  return { header, events: [], lines: [], operations: disk.table, damage: [], truncated: false };
};

/** Milliseconds of CPU time that the oracle takes for the history, those of the collector's threads included. */
export const timeIntegrity = (history: History): number => {
  const began = process.cpuUsage();
  const { findings } = integrityOracle.judge(history);
  const { user, system } = process.cpuUsage(began);
  if (findings.length > 0) throw new RigError("RIG_BUG", "Expected no finding on a correct disk; the oracle has some.");
  return (user + system) / 1000;
};

/** Bytes in use at this moment, in arrays that lie outside the heap of objects and in that heap. */
const inUse = (): number => {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

/**
 * Bytes an operation that the oracle needs beside the history. It has most in use while it goes through the segments, so it
 * is asked there, in the middle.
 */
export const memoryOfIntegrity = (history: History): number => {
  const table = history.operations;
  const before = inUse();
  const owners = ownersOf(table);
  const judge = new SegmentJudge(table);
  let most = 0;
  let visits = 0;
  eachSegment(table, new Uint8Array(256).fill(1), segment => {
    judge.explained(segment);
    if (++visits === PROBED_AT) most = inUse();
  });
  // The owners are in use to the end.
  return Math.max(owners.byteLength, most - before) / table.count;
};

export interface IntegrityFigures {
  readonly opsPerSecond: number;
  /** The time for 1,000,000 operations over that for 100,000. */
  readonly ratioTenfold: number;
  /** Beside the history's table. */
  readonly bytesPerOp: number;
  /** Operations a second where sizes are mixed and overlap. */
  readonly mixedOpsPerSecond: number;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

const medianMs = (history: History, turns: number): number =>
  median(Array.from({ length: turns }, () => timeIntegrity(history)));

/** Measures the oracle on 100,000 and 1,000,000 operations. */
export const measureIntegrity = (): Promise<IntegrityFigures> => {
  const small = syntheticHistory("slots", 100_000);
  const large = syntheticHistory("slots", 1_000_000);
  const mixed = syntheticHistory("mixed", 100_000);
  timeIntegrity(small);
  const smallMs = medianMs(small, 5);
  const largeMs = medianMs(large, 3);
  const bytesPerOp = memoryOfIntegrity(large);
  const mixedMs = medianMs(mixed, 3);
  return Promise.resolve({
    opsPerSecond: large.operations.count / (largeMs / 1000),
    ratioTenfold: largeMs / smallMs,
    bytesPerOp,
    mixedOpsPerSecond: mixed.operations.count / (mixedMs / 1000),
  });
};
