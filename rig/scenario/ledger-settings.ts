/** What a scenario may say of its ledger. Where it says nothing, writes of one size go to slots of their own. */
import { z } from "zod";
import { IN_FLIGHT_MIB } from "../workload/requirements.ts";

const SECTOR_BYTES = 512;
const LARGEST_BYTES = 2 ** 20;

const percent = z.number().int().min(0).max(100).default(0);
const blockBytes = z.number().int().min(SECTOR_BYTES).max(LARGEST_BYTES).multipleOf(SECTOR_BYTES);

/** What fill, steady, burst and supersede are made of. Shares are percent of all operations; the rest are writes. */
const mixSchema = z
  .strictObject({
    /** Sizes of operations, each as likely as the others; those of a slot where none are named. */
    blockBytes: z.array(blockBytes).min(1).max(16).optional(),
    /** Operations begin at multiples of it; the smallest size where none is named. Below the sizes they overlap in part. */
    alignBytes: blockBytes.optional(),
    /** Operations that begin where the one before ended, or within it. */
    near: percent,
    reads: percent,
    flushes: percent,
    discards: percent,
    zeroes: percent,
    /** Of all changes, those with FUA. */
    fua: percent,
  })
  .refine(
    ({ reads, flushes, discards, zeroes }) => reads + flushes + discards + zeroes < 100,
    "reads, flushes, discards and zeroes leave no writes",
  );

export const ledgerSchema = z
  .strictObject({
    /** Slots of the device that are written, each by one operation. */
    slots: z.number().int().min(1).max(4096),
    /** Bytes of a slot, whole sectors. */
    slotBytes: blockBytes,
    /** Operations that a device has in flight in the phases of the mix. */
    depth: z.number().int().min(1).max(256).default(32),
    /** NBD connections to each device. */
    connections: z.number().int().min(1).max(8).default(1),
    mix: mixSchema.prefault({}),
  })
  .transform(({ mix, ...ledger }) => {
    const sizes = mix.blockBytes ?? [ledger.slotBytes];
    return { ...ledger, mix: { ...mix, blockBytes: sizes, alignBytes: mix.alignBytes ?? Math.min(...sizes) } };
  })
  .refine(
    ({ slots, slotBytes, mix }) => Math.max(...mix.blockBytes) <= slots * slotBytes,
    "an operation is larger than all slots together",
  );

type LedgerSettings = z.infer<typeof ledgerSchema>;

/** What is wrong with a ledger in its lab; undefined where nothing is. */
export const misfitOf = (
  { slots, slotBytes, depth, mix }: LedgerSettings,
  lab: { readonly devices: number; readonly discard: boolean },
): string | undefined => {
  if (mix.discards > 0 && !lab.discard) return "discards need lab.discard";
  const bytes = Math.max(depth * Math.max(...mix.blockBytes), slots * slotBytes) * lab.devices;
  if (bytes <= IN_FLIGHT_MIB * 2 ** 20) return undefined;
  return `the larger of depth times the largest size and slots times slotBytes, for every device, is ${Math.ceil(bytes / 2 ** 20)} MiB; at most ${IN_FLIGHT_MIB} MiB may be under way`;
};
