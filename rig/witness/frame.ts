/**
 * What a packet on its way to the target carries: a piece of an iSCSI connection's TCP stream, or a RoCEv2 packet of an iSER
 * connection (UDP port 4791; InfiniBand base transport header and all, Annex A17 of the InfiniBand specification).
 */
import type { Packet } from "./pcap.ts";

interface Piece {
  readonly tUs: number;
  /** Kept bytes of the payload; the packet may have had more. */
  readonly bytes: Buffer;
  readonly length: number;
}

/** A piece of a TCP stream. */
export interface Segment extends Piece {
  readonly kind: "tcp";
  /** Tells one connection from another: the initiator's address and port. */
  readonly from: string;
  readonly seq: number;
  readonly isFirst: boolean;
}

/** A request of a reliable connection: one packet of a message. */
export interface RdmaPacket extends Piece {
  readonly kind: "rdma";
  readonly opcode: number;
  /** The target's queue pair, one for each connection. */
  readonly queuePair: number;
  /** Packet sequence number, 24 bits. */
  readonly number: number;
}

const IPV4 = 0x0800;
const TCP = 6;
const UDP = 17;
const ISCSI_PORT = 3260;
const ROCE_PORT = 4791;
const BTH = 12;
const SYN = 0x02;

const dotted = (bytes: Buffer): string => [...bytes].join(".");

const tcp = (tUs: number, source: string, ip: Buffer, length: number): Segment | undefined => {
  if (ip.length < 20 || ip.readUInt16BE(2) !== ISCSI_PORT) return undefined;
  const header = (ip.readUInt8(12) >> 4) * 4;
  if (header < 20 || header > length) return undefined;
  return {
    ...{ kind: "tcp", tUs, from: `${source}:${ip.readUInt16BE(0)}`, seq: ip.readUInt32BE(4) },
    ...{ isFirst: (ip.readUInt8(13) & SYN) !== 0, bytes: ip.subarray(header), length: length - header },
  };
};

const rdma = (tUs: number, ip: Buffer, length: number): RdmaPacket | undefined => {
  if (ip.length < 8 + BTH || ip.readUInt16BE(2) !== ROCE_PORT) return undefined;
  const bth = ip.subarray(8);
  return {
    ...{ kind: "rdma", tUs, opcode: bth.readUInt8(0), queuePair: bth.readUIntBE(5, 3), number: bth.readUIntBE(9, 3) },
    ...{ bytes: bth.subarray(BTH), length: length - 8 - BTH },
  };
};

/** What the packet brings to `address`, or undefined if it goes elsewhere or is of no interest. */
export const pieceOf = ({ tUs, data }: Packet, address: string): Segment | RdmaPacket | undefined => {
  if (data.length < 34 || data.readUInt16BE(12) !== IPV4) return undefined;
  const header = (data.readUInt8(14) & 15) * 4;
  const total = data.readUInt16BE(16);
  if (header < 20 || total < header || data.length < 14 + header) return undefined;
  if (dotted(data.subarray(30, 34)) !== address) return undefined;
  const payload = data.subarray(14 + header, Math.max(14 + header, 14 + total));
  const protocol = data.readUInt8(23);
  if (protocol === TCP) return tcp(tUs, dotted(data.subarray(26, 30)), payload, total - header);
  return protocol === UDP ? rdma(tUs, payload, total - header) : undefined;
};
