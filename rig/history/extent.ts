/** What a read found: runs of adjacent sectors, each with what its stamp says. */
import { z } from "zod";

/** An address, a number of sectors or an operation, as the table of operations holds them. */
const count = z.number().int().min(0).max(0xffff_ffff);

/** One run of adjacent sectors as a read found them. `at` is the first sector's address, `n` how many there are. */
export const extentSchema = z.discriminatedUnion("is", [
  /** Sectors `i` to `i + n - 1` of write `op`, each intact and at its own address. */
  z.strictObject({ is: z.literal("write"), at: count, n: count, op: count, i: count }),
  /** Nothing but zero bytes: what the disk held before the first write. */
  z.strictObject({ is: z.literal("zero"), at: count, n: count }),
  /** Intact sectors of write `op` that belong at sector `address`, not here. */
  z.strictObject({ is: z.literal("elsewhere"), at: count, n: count, op: count, i: count, address: count }),
  /** A sector that begins as sector `i` of write `op` but whose checksum is wrong: part of it is something else. */
  z.strictObject({
    is: z.literal("damaged"),
    at: count,
    n: z.literal(1),
    op: count,
    i: count,
    badFrom: count,
    head: z.string(),
  }),
  /** Bytes that no write of this cell wrote. `head` is the first 64 bytes of the first sector in hex. */
  z.strictObject({ is: z.literal("foreign"), at: count, n: count, head: z.string(), otherRun: z.boolean().optional() }),
]);
export type Extent = z.infer<typeof extentSchema>;
