/**
 * What the ledger does, decided beforehand: a sequence of operations that a seed and a shape give, always the same one. So a cell
 * can be run again with the same operations in the same order; only when each is issued and answered differs. Pure.
 *
 * Half of the writes keep close to the one before, as file systems do: they begin where it ended, or overlap it. Operations that
 * overlap while both are under way are legal. Either may win, and the integrity oracle knows it.
 */
import { SECTOR_BYTES } from "../core/names.ts";
import { createRng, type Rng } from "../core/rng.ts";
import type { SectorRange } from "./sector-ranges.ts";

/** Shares are percent of all operations; what they leave is writes. */
export interface OperationMix {
  /** Bytes of one operation, each size as likely as the others. */
  readonly blockBytes: readonly number[];
  /** Every operation begins at a multiple of it: below the sizes, operations overlap in part. */
  readonly alignBytes: number;
  /** Of writes and reads that begin beside or within the operation before; the others begin anywhere. */
  readonly near: number;
  readonly reads: number;
  readonly flushes: number;
  readonly discards: number;
  readonly zeroes: number;
  /** Of writes, discards and zeroes that carry FUA. */
  readonly fua: number;
}

export type PlannedAction = "write" | "read" | "flush" | "discard" | "zeroes";

/** One operation to be done. A flush has no sectors. */
export interface PlannedOperation extends SectorRange {
  readonly action: PlannedAction;
  readonly fua: boolean;
}

/** The mix of a ledger that says nothing of it: writes of one size, each to its own slot. */
export const plainMix = (slotBytes: number): OperationMix => ({
  blockBytes: [slotBytes],
  alignBytes: slotBytes,
  near: 0,
  reads: 0,
  flushes: 0,
  discards: 0,
  zeroes: 0,
  fua: 0,
});

const chance = (rng: Rng, percent: number): boolean => percent > 0 && rng.next() * 100 < percent;

const pick = (rng: Rng, values: readonly number[]): number => values[rng.integer(0, values.length - 1)] ?? SECTOR_BYTES;

const actionOf = (rng: Rng, mix: OperationMix): PlannedAction => {
  let share = rng.next() * 100;
  for (const [action, percent] of [
    ["read", mix.reads],
    ["flush", mix.flushes],
    ["discard", mix.discards],
    ["zeroes", mix.zeroes],
  ] as const) {
    if (share < percent) return action;
    share -= percent;
  }
  return "write";
};

/** An endless plan for the first `regionBytes` of a device. */
export function* planOperations(
  seed: number,
  mix: OperationMix,
  regionBytes: number,
): Generator<PlannedOperation, never> {
  const rng = createRng(seed);
  let before = { offset: 0, bytes: 0 };
  const place = (bytes: number): number => {
    const last = Math.floor((regionBytes - bytes) / mix.alignBytes);
    if (before.bytes > 0 && chance(rng, mix.near)) {
      // The next aligned place at the end of the one before, or some place within it.
      const end = Math.ceil((before.offset + before.bytes) / mix.alignBytes);
      const within = Math.ceil((before.offset + 1) / mix.alignBytes);
      const near = rng.next() < 0.5 || within >= end ? end : rng.integer(within, end - 1);
      if (near <= last) return near * mix.alignBytes;
    }
    return rng.integer(0, last) * mix.alignBytes;
  };
  for (;;) {
    const action = actionOf(rng, mix);
    if (action === "flush") {
      yield { action, sector: 0, sectors: 0, fua: false };
      continue;
    }
    const bytes = Math.min(pick(rng, mix.blockBytes), regionBytes);
    const offset = place(bytes);
    const fua = action !== "read" && chance(rng, mix.fua);
    before = { offset, bytes };
    yield { action, sector: offset / SECTOR_BYTES, sectors: bytes / SECTOR_BYTES, fua };
  }
}

/** Writes that cover these ranges once, in the sizes of the mix. */
export function* planCover(
  seed: number,
  mix: OperationMix,
  ranges: readonly SectorRange[],
): Generator<PlannedOperation> {
  const rng = createRng(seed);
  for (const range of ranges) {
    const end = range.sector + range.sectors;
    for (let sector = range.sector; sector < end; ) {
      const sectors = Math.min(pick(rng, mix.blockBytes) / SECTOR_BYTES, end - sector);
      yield { action: "write", sector, sectors, fua: chance(rng, mix.fua) };
      sector += sectors;
    }
  }
}

/** A seed of its own for each purpose, so that one plan does not shift another. */
export const derivedSeed = (seed: number, ...parts: readonly number[]): number =>
  parts.reduce((mixed, part) => {
    const x = (Math.imul(mixed, 0x85ebca6b) + part + 0x9e3779b9) | 0;
    const y = Math.imul(x ^ (x >>> 15), 0xc2b2ae35);
    return (y ^ (y >>> 13)) >>> 0;
  }, seed >>> 0);
