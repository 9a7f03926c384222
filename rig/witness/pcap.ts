/**
 * A packet capture as QEMU writes it (net/dump.c): libpcap's classic format, with Ethernet frames of which only the beginning
 * is kept. Before version 8.0 QEMU puts the header that virtio-net has for the host before most frames, which nobody who reads
 * captures expects; it is taken off. The times are those of QEMU's own clock, which runs with the host's but began when QEMU did,
 * and to which it adds the second in which it began the file. A capture may end in the middle of a packet, for it is read while QEMU still writes.
 */

export interface Packet {
  /** Capture's clock, in microseconds: in nanoseconds a double would not hold it. */
  readonly tUs: number;
  /** The kept bytes, from the Ethernet header on. */
  readonly data: Buffer;
  /** Bytes that the packet had. */
  readonly length: number;
}

export interface Capture {
  readonly packets: readonly Packet[];
  /** What is wrong with the file; undefined if nothing. */
  readonly damage: string | undefined;
}

const FILE_HEADER = 24;
const PACKET_HEADER = 16;
/** Magic numbers of captures in microseconds and in nanoseconds, and of the same in the other byte order. */
const MAGICS: Readonly<Record<number, { readonly little: boolean; readonly perUs: number }>> = {
  0xa1b2c3d4: { little: true, perUs: 1 },
  0xa1b23c4d: { little: true, perUs: 1000 },
  0xd4c3b2a1: { little: false, perUs: 1 },
  0x4d3cb2a1: { little: false, perUs: 1000 },
};
const ETHERNET = 1;
/** struct virtio_net_hdr_mrg_rxbuf. */
const VIRTIO_HEADER = 12;
/** How a frame begins on a network of the rig: a guest's hardware address (`guestMac`), broadcast, or multicast of IP. */
const FRAME_STARTS: readonly (readonly number[])[] = [
  [0x52, 0x54, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff],
  [0x33, 0x33],
  [0x01, 0x00, 0x5e],
];
/** No packet is longer, segmentation offload included. */
const MAX_PACKET = 262_144;

const beginsFrame = (data: Buffer, at: number): boolean =>
  FRAME_STARTS.some(start => start.every((byte, index) => data[at + index] === byte));

/** Bytes before the frame. */
const headerOf = (data: Buffer): number =>
  !beginsFrame(data, 0) && beginsFrame(data, VIRTIO_HEADER) ? VIRTIO_HEADER : 0;

const numberAt = (bytes: Buffer, at: number, little: boolean): number =>
  little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);

/** The headers of a capture's packets, for who only wants to know where they begin. */
export class PcapHeaders {
  /** Bytes before the first packet, and of a packet's header. */
  static readonly BYTES = FILE_HEADER;
  static readonly OF_PACKET = PACKET_HEADER;
  readonly #little: boolean;

  private constructor(little: boolean) {
    this.#little = little;
  }

  /** Undefined where the file does not begin like a capture. */
  static of(file: Buffer): PcapHeaders | undefined {
    const magic = file.length < FILE_HEADER ? undefined : MAGICS[file.readUInt32LE(0)];
    return magic === undefined ? undefined : new PcapHeaders(magic.little);
  }

  /** Bytes of a packet in the file, its header included; undefined where that cannot be. */
  packetBytes(bytes: Buffer, at: number): number | undefined {
    if (at + PACKET_HEADER > bytes.length) return undefined;
    const kept = numberAt(bytes, at + 8, this.#little);
    return kept > MAX_PACKET ? undefined : PACKET_HEADER + kept;
  }
}

/** Whether a capture is one of `writePcap`: QEMU is never told to keep so much of a packet. */
export const isTidy = (file: Buffer): boolean => file.length >= FILE_HEADER && file.readUInt32LE(16) === MAX_PACKET;

/** Reads a capture as far as it makes sense. */
export const readPcap = (file: Buffer): Capture => {
  const magic = file.length < FILE_HEADER ? undefined : MAGICS[file.readUInt32LE(0)];
  if (magic === undefined) return { packets: [], damage: `${file.length} bytes that do not begin like a capture` };
  const { little, perUs } = magic;
  const number = (at: number) => numberAt(file, at, little);
  if (number(20) !== ETHERNET) return { packets: [], damage: `a capture of link type ${number(20)}, not of Ethernet` };
  const packets: Packet[] = [];
  let at = FILE_HEADER;
  while (at + PACKET_HEADER <= file.length) {
    const [kept, length] = [number(at + 8), number(at + 12)];
    if (kept > length || length > MAX_PACKET)
      return { packets, damage: `packet ${packets.length + 1} says that ${kept} of its ${length} bytes are kept` };
    const from = at + PACKET_HEADER;
    if (from + kept > file.length) break;
    const extra = headerOf(file.subarray(from, from + kept));
    packets.push({
      tUs: number(at) * 1e6 + Math.floor(number(at + 4) / perUs),
      data: file.subarray(from + extra, from + kept),
      length: length - extra,
    });
    at = from + kept;
  }
  return { packets, damage: at === file.length ? undefined : "a capture that ends in the middle of a packet" };
};

/** The same capture by another clock. */
export const shifted = ({ packets, damage }: Capture, byUs: number): Capture => ({
  packets: byUs === 0 ? packets : packets.map(packet => ({ ...packet, tUs: packet.tUs + byUs })),
  damage,
});

/** A capture that was begun anew goes on in a second file; packets of the change are in both. */
export const joinCaptures = (older: Capture, newer: Capture): Capture => {
  const from = newer.packets[0]?.tUs ?? Number.POSITIVE_INFINITY;
  return {
    packets: [...older.packets.filter(packet => packet.tUs < from), ...newer.packets],
    damage: older.damage ?? newer.damage,
  };
};

/** A capture as a file that every reader of captures takes, whichever QEMU wrote it. */
export const writePcap = (packets: readonly Packet[]): Buffer => {
  const header = Buffer.alloc(FILE_HEADER);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(MAX_PACKET, 16);
  header.writeUInt32LE(ETHERNET, 20);
  const parts = packets.flatMap(({ tUs, data, length }) => {
    const record = Buffer.alloc(PACKET_HEADER);
    record.writeUInt32LE(Math.floor(tUs / 1e6), 0);
    record.writeUInt32LE(tUs % 1e6, 4);
    record.writeUInt32LE(data.length, 8);
    record.writeUInt32LE(length, 12);
    return [record, data];
  });
  return Buffer.concat([header, ...parts]);
};
