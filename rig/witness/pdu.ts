/** An iSCSI PDU's basic header segment, as far as the second witness reads it (RFC 7143, 11.2 and 11.3). */
import { lunOf } from "./cdb.ts";
import type { TargetCommand } from "./target-command.ts";

export const BHS = 48;
/** The first header of a PDU of an initiator may have these opcodes. */
const INITIATOR_OPCODES: readonly number[] = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10];
const SCSI_COMMAND = 0x01;
/** No target of the rig takes more in one PDU. */
const MAX_DATA = 2 ** 24 - 1;

export interface Digests {
  readonly header: boolean;
  readonly data: boolean;
}

/** As the sessions agreed on them, by the initiator's sysfs. */
export const digestsOf = (sessions: readonly Readonly<Record<string, string>>[]): Digests => ({
  header: sessions.some(values => values["header_digest"] === "1"),
  data: sessions.some(values => values["data_digest"] === "1"),
});

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** Whether 48 bytes can be the header of a PDU that an initiator sends. */
export const isHeader = (bhs: Buffer): boolean => {
  if (bhs.length < BHS) return false;
  const first = bhs.readUInt8(0);
  // The upper bit is reserved. Of these opcodes all but Data-Out, text and login leave the third byte to itself or at 0.
  if ((first & 0x80) !== 0 || !INITIATOR_OPCODES.includes(first & 0x3f)) return false;
  const opcode = first & 0x3f;
  if (opcode === SCSI_COMMAND) return bhs.readUInt16BE(2) <= 0xff && (bhs.readUInt8(1) & 0x18) === 0;
  return opcode === 0x03 || bhs.readUInt16BE(2) === 0;
};

/** Bytes of the whole PDU on a TCP stream. */
export const pduBytes = (bhs: Buffer, digests: Digests): number => {
  const data = Math.min(bhs.readUIntBE(5, 3), MAX_DATA);
  const digest = (wanted: boolean) => (wanted ? 4 : 0);
  const header = BHS + bhs.readUInt8(4) * 4 + digest(digests.header);
  return header + (data === 0 ? 0 : padded(data) + digest(digests.data));
};

/** The command of a SCSI Command PDU; undefined for any other. */
export const commandOf = (bhs: Buffer): TargetCommand | undefined =>
  !isHeader(bhs) || (bhs.readUInt8(0) & 0x3f) !== SCSI_COMMAND
    ? undefined
    : {
        tag: bhs.readUInt32BE(16),
        cmdSN: bhs.readUInt32BE(24),
        lun: lunOf(bhs.readUInt16BE(8)),
        cdb: Buffer.from(bhs.subarray(32, 48)),
      };
