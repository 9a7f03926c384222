/** What a ledger needs of its devices, checked before the first operation: a mistake should cost a second, not a cell. */
import { RigError } from "../core/errors.ts";
import type { LedgerDevice } from "./issuer.ts";
import type { OperationMix } from "./operation-plan.ts";

/** Data that may be under way for all devices together: the initiator's guest has to hold it, with 384 MiB for everything. */
export const IN_FLIGHT_MIB = 64;

const refuse = (message: string): never => {
  throw new RigError("RIG_BAD_SCENARIO", message, { blame: "scenario" });
};

const requireOffers = ({ name, nbd: { can } }: LedgerDevice, mix: OperationMix): void => {
  const wishes = [
    ["flush", mix.flushes > 0, can.flush],
    ["write with FUA", mix.fua > 0, can.fua],
    ["discard", mix.discards > 0, can.trim],
    ["write zeroes", mix.zeroes > 0, can.writeZeroes],
  ] as const;
  for (const [what, wanted, offered] of wishes)
    if (wanted && !offered) refuse(`The ledger is to ${what}; the device ${name} does not offer it.`);
};

/** So much data must be allowed to be under way. @throws RigError RIG_BAD_SCENARIO */
export const requireBounded = (what: string, bytes: number): void => {
  if (bytes <= IN_FLIGHT_MIB * 2 ** 20) return;
  const mib = Math.ceil(bytes / 2 ** 20);
  refuse(`${what} may hold ${mib} MiB of data, all devices together; at most ${IN_FLIGHT_MIB} MiB may be under way.`);
};

/**
 * Devices must hold the ledger, take its operations, and be told apart by their numbers.
 * @throws RigError RIG_BAD_SCENARIO
 */
export const requireFitting = (
  devices: readonly LedgerDevice[],
  mix: OperationMix,
  bytes: number,
  slotBytes: number,
): void => {
  if (devices.length === 0) refuse("The ledger needs a device.");
  if (new Set(devices.map(({ id }) => id)).size < devices.length) refuse("Two devices of the ledger have one number.");
  const lengths = [slotBytes, ...mix.blockBytes];
  for (const device of devices) {
    const { sizeBytes, blocks, can } = device.nbd;
    if (bytes > sizeBytes) refuse(`The ledger needs ${bytes} bytes; the device has ${sizeBytes}.`);
    if (can.readOnly) refuse(`The device ${device.name} is read-only.`);
    if ([...lengths, mix.alignBytes].some(length => length % blocks.minimum !== 0))
      refuse(
        `The device ${device.name} has blocks of ${blocks.minimum} bytes; the ledger's operations are not whole blocks.`,
      );
    if (lengths.some(length => length > blocks.maximum))
      refuse(
        `The device ${device.name} takes at most ${blocks.maximum} bytes at once; the ledger's operations are larger.`,
      );
    requireOffers(device, mix);
  }
};
