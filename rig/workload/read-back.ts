/**
 * Reads everything that the ledger covers: through its devices, and from the target's disk images, behind the initiator's back.
 * Where one of them cannot be read, the others still are: each says something of its own.
 */
import { messageOf, RigError } from "../core/errors.ts";
import { SECTOR_BYTES } from "../core/names.ts";
import { answersOf } from "./batch.ts";
import { openImage } from "./disk-image.ts";
import type { Issuer, LedgerDevice } from "./issuer.ts";
import type { PlannedOperation } from "./operation-plan.ts";
import { cut } from "./sector-ranges.ts";
import { readExtents } from "./stamp.ts";

/** Bytes read by one operation through a device. */
const READ_BYTES = 128 * 1024;
/** Reads in flight, for each device. */
const READ_DEPTH = 32;
/** Bytes of an image read by one operation. What is found in them is one line of the history, and no two sectors may be alike. */
const IMAGE_READ_BYTES = 2 ** 20;

const readsOf = (bytes: number, most: number): readonly PlannedOperation[] =>
  cut([{ sector: 0, sectors: bytes / SECTOR_BYTES }], most / SECTOR_BYTES).map(range => ({
    action: "read",
    ...range,
    fua: false,
  }));

/** Does one after the other, whatever becomes of them, and throws the first error. */
export const allInTurn = async (works: Iterable<() => Promise<void>>): Promise<void> => {
  let first: { error: unknown } | undefined;
  for (const work of works) {
    try {
      await work();
    } catch (error) {
      first ??= { error };
    }
  }
  if (first !== undefined) throw first.error;
};

/**
 * Reads the first `bytes` bytes through every device. A read that fails is an answer, and the oracles' to judge.
 * @throws RIG_NBD where a connection ended: then nobody asked the disk.
 */
export const readThrough = async (
  issuer: Issuer,
  devices: readonly LedgerDevice[],
  bytes: number,
  withinMs: number,
  signal: AbortSignal,
): Promise<void> => {
  let ended: string | undefined;
  const reads = devices.map(async device => {
    const left = readsOf(bytes, READ_BYTES).values();
    const lane = async () => {
      for (const read of left) {
        const { end, error = "no reason given" } = await issuer.issue(device, read);
        if (end !== "unanswered") continue;
        ended ??= `${device.name}: ${error}`;
        return;
      }
    };
    await Promise.all(Array.from({ length: READ_DEPTH }, lane));
  });
  const expected = "the ledger to be read back through the initiator";
  await answersOf(Promise.all(reads), withinMs, expected, signal);
  if (ended === undefined) return;
  throw new RigError(
    "RIG_NBD",
    `The connection to the rig's NBD server ended before everything was read back (${ended}). The initiator's console says whether the server died.`,
    { blame: "harness" },
  );
};

const readImageOf = async (issuer: Issuer, device: LedgerDevice, bytes: number): Promise<void> => {
  const { id, nbd, backing, syncBacking } = device;
  // Begun before the cache is emptied: a write that is acknowledged after that need not be on the disk, so it must not be older
  // than the read.
  const left = readsOf(bytes, IMAGE_READ_BYTES).map(read => ({ read, op: issuer.invoke(id, read, "backing") }));
  try {
    await syncBacking?.();
    await using image = await openImage(backing, nbd.sizeBytes);
    for (let next = left[0]; next !== undefined; next = left[0]) {
      const { op, read } = next;
      issuer.succeeded(op, readExtents(await image.read(read), read.sector, issuer.tag));
      left.shift();
    }
  } catch (error) {
    for (const { op } of left) issuer.failed(op, messageOf(error));
    throw new RigError("RIG_NBD", `The target's disk image ${backing} could not be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
};

/** Reads the first `bytes` bytes of the disk images behind these devices. @throws RIG_NBD for the first that cannot be read. */
export const readImages = (issuer: Issuer, devices: readonly LedgerDevice[], bytes: number): Promise<void> =>
  allInTurn(devices.map(device => () => readImageOf(issuer, device, bytes)));
