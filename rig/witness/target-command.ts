/** What the target was asked for, as both of the second witness's sources tell it. */

export interface TargetCommand {
  /** Initiator task tag as it stands on the wire, most significant byte first, as Wireshark shows it. */
  readonly tag: number;
  readonly cmdSN: number | undefined;
  readonly lun: number;
  /** The first 16 bytes of the CDB. */
  readonly cdb: Buffer;
}

/** A command as LIO's own code met it; times on the guest's monotonic clock, in ns. */
export interface TracedCommand extends TargetCommand {
  /** Which connection brought it: unlike any other's, and of no further meaning. */
  readonly connection: string;
  readonly receivedNs: number;
  /** When it was handed to the disk; undefined if it never was, as when its data did not come. */
  readonly executedNs: number | undefined;
  readonly doneNs: number | undefined;
  /** SCSI status; undefined where it was not seen to be done. */
  readonly status: number | undefined;
}

/** What marks a command in both sources. Sessions count from the same numbers, so two of them may have the same mark. */
export const markOf = ({ tag, cmdSN, cdb }: TargetCommand, withNumber: boolean): string =>
  `${tag}:${withNumber ? (cmdSN ?? "") : ""}:${cdb.toString("hex")}`;
