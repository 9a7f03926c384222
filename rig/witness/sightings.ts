/**
 * SCSI commands in a packet capture, by connection. A TCP stream is followed from PDU to PDU by their lengths: where one ends
 * the next begins, also in the middle of a segment. A capture that begins in the middle of a connection is entered where a
 * segment begins with something that is a header. In iSER every PDU has a message of its own (RFC 7145, 9.3), so its header
 * stands where the message begins.
 */
import { pieceOf, type RdmaPacket, type Segment } from "./frame.ts";
import type { Capture } from "./pcap.ts";
import { BHS, commandOf, type Digests, isHeader, pduBytes } from "./pdu.ts";
import { assemble } from "./stream.ts";
import type { TargetCommand } from "./target-command.ts";

/** A command in a capture. */
export interface Sighting extends TargetCommand {
  /** When the packet with its header was captured, on the capture's clock, in microseconds. */
  readonly tUs: number;
  /** Which connection of the path it was on; they are in the order of their first packet. */
  readonly connection: string;
}

export interface Sightings {
  readonly commands: readonly Sighting[];
  /** Every byte of every connection was followed, so no command can have been missed. */
  readonly whole: boolean;
}

/** iSER's own header before each PDU's (RFC 7145, 9.2, with the fields that Linux uses: struct iser_ctrl). */
const ISER_HEADER = 28;
const ISER_ISCSI = 0x1;
/** RC SEND FIRST, ONLY, ONLY with immediate, ONLY with invalidate; the last two put four bytes more before the payload. */
const SENDS: Readonly<Record<number, number>> = { 0x00: 0, 0x04: 0, 0x05: 4, 0x17: 4 };
/** What a requester sends; a responder's packets are numbered apart. */
const isRequest = (opcode: number): boolean => opcode <= 0x0c || (opcode >= 0x13 && opcode <= 0x17);

const followStream = (segments: readonly Segment[], connection: string, digests: Digests): Sightings => {
  const stream = assemble(segments);
  const { bytes, starts } = stream;
  const headerAt = (at: number): Buffer | undefined => {
    const bhs = bytes.subarray(at, at + BHS);
    return stream.isKnown(at, at + BHS) && isHeader(bhs) ? bhs : undefined;
  };
  const commands: Sighting[] = [];
  let whole = true;
  let at = 0;
  for (let entry = 0; ; ) {
    const bhs = headerAt(at);
    if (bhs !== undefined) {
      const command = commandOf(bhs);
      if (command !== undefined) commands.push({ ...command, tUs: stream.readyUs(at + BHS), connection });
      at += pduBytes(bhs, digests);
    }
    // A header of which the end has not come is nobody's yet.
    if (at + BHS > bytes.length) break;
    if (bhs !== undefined) continue;
    whole = false;
    while ((starts[entry] ?? Number.POSITIVE_INFINITY) <= at) entry++;
    at = starts[entry] ?? bytes.length;
  }
  return { commands, whole };
};

const followMessages = (packets: readonly RdmaPacket[], connection: string): Sightings => {
  const seen = new Set<number>();
  const commands: Sighting[] = [];
  for (const { opcode, number, bytes, tUs } of packets) {
    if (!isRequest(opcode) || seen.has(number)) continue;
    seen.add(number);
    const from = SENDS[opcode];
    if (from === undefined || bytes.length < from + ISER_HEADER + BHS || bytes.readUInt8(from) >> 4 !== ISER_ISCSI)
      continue;
    const command = commandOf(bytes.subarray(from + ISER_HEADER, from + ISER_HEADER + BHS));
    if (command !== undefined) commands.push({ ...command, tUs, connection });
  }
  // Numbers follow one another: one whose predecessor was never seen, but for the first, stands behind a gap.
  const gaps = [...seen].filter(number => !seen.has((number - 1) & 0xffffff)).length;
  return { commands, whole: gaps <= 1 };
};

const grouped = <T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
};

/** The commands that a capture shows on their way to `address`, the target's on this path. */
export const sightingsOf = (capture: Capture, address: string, digests: Digests): Sightings => {
  const pieces = capture.packets.map(packet => pieceOf(packet, address)).filter(piece => piece !== undefined);
  const streams = grouped(
    pieces.filter(piece => piece.kind === "tcp"),
    ({ from }) => from,
  );
  const queues = grouped(
    pieces.filter(piece => piece.kind === "rdma"),
    ({ queuePair }) => `queue pair ${queuePair}`,
  );
  const all = [
    ...[...streams].map(([from, segments]) => followStream(segments, from, digests)),
    ...[...queues].map(([name, packets]) => followMessages(packets, name)),
  ];
  return {
    commands: all.flatMap(({ commands }) => commands).toSorted((a, b) => a.tUs - b.tUs),
    whole: capture.damage === undefined && all.every(({ whole }) => whole),
  };
};
