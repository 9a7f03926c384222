import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Segment } from "./frame.ts";
import { type Packet, readPcap } from "./pcap.ts";
import { commandOf, digestsOf, isHeader, pduBytes } from "./pdu.ts";
import { sightingsOf } from "./sightings.ts";
import { assemble } from "./stream.ts";
import { recorded, recordedCapture } from "./testdata/recorded.ts";

const NO_DIGESTS = { header: false, data: false };
const A = "10.1.0.2";

/** A SCSI Command PDU with so much immediate data. */
const command = (cmdSN: number, dataBytes: number): Buffer => {
  const pdu = Buffer.alloc(48 + Math.ceil(dataBytes / 4) * 4);
  pdu.writeUInt8(0x01, 0);
  pdu.writeUInt8(0xa1, 1);
  pdu.writeUIntBE(dataBytes, 5, 3);
  pdu.writeUInt32BE(cmdSN << 8, 16);
  pdu.writeUInt32BE(cmdSN, 24);
  pdu.writeUInt8(0x2a, 32);
  return pdu.fill(0x49, 48);
};

/** A packet from the initiator's port 1000 to the target's 3260, of which so many bytes of payload are kept. */
const packet = (tUs: number, seq: number, payload: Buffer, kept = payload.length): Packet => {
  const head = Buffer.alloc(54);
  head.writeUInt16BE(0x0800, 12);
  head.writeUInt8(0x45, 14);
  head.writeUInt16BE(40 + payload.length, 16);
  head.writeUInt8(6, 23);
  Buffer.from([10, 1, 0, 3, 10, 1, 0, 2]).copy(head, 26);
  head.writeUInt16BE(1000, 34);
  head.writeUInt16BE(3260, 36);
  head.writeUInt32BE(seq >>> 0, 38);
  head.writeUInt8(0x50, 46);
  const data = Buffer.concat([head, payload.subarray(0, kept)]);
  return { tUs, data, length: 54 + payload.length };
};

const seen = (packets: readonly Packet[]) => {
  const { commands, whole } = sightingsOf({ packets, damage: undefined }, A, NO_DIGESTS);
  return { numbers: commands.map(({ cmdSN }) => cmdSN), times: commands.map(({ tUs }) => tUs), whole };
};

describe("a TCP capture", () => {
  test("of a lab shows every command, also behind a gap that is filled later", () => {
    const { commands, whole } = sightingsOf(recordedCapture("debian-5.10-a-whole"), A, NO_DIGESTS);
    expect(whole).toBe(true);
    const numbers = commands.map(({ cmdSN }) => cmdSN ?? 0);
    expect(numbers.length).toBeGreaterThan(5);
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
  });

  test("that was cut short shows what it can, and says that it is not all", () => {
    const { commands, whole } = sightingsOf(recordedCapture("debian-5.10-b"), "10.2.0.2", NO_DIGESTS);
    expect(commands.length).toBeGreaterThan(20);
    expect(whole).toBe(false);
  });

  test("is followed from PDU to PDU, wherever segments end", () => {
    const stream = Buffer.concat([command(1, 5), command(2, 0), command(3, 512), command(4, 1)]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: stream.length - 1 }), { maxLength: 6 }), cuts => {
        const edges = [0, ...[...new Set(cuts)].toSorted((a, b) => a - b), stream.length];
        const packets = edges
          .slice(1)
          .map((end, index) => packet(index, 0xffff_ff00 + (edges[index] ?? 0), stream.subarray(edges[index], end)));
        expect(seen(packets)).toMatchObject({ numbers: [1, 2, 3, 4], whole: true });
        // Each of them twice, the second time all in one.
        expect(seen([...packets, packet(99, 0xffff_ff00, stream)]).numbers).toEqual([1, 2, 3, 4]);
      }),
    );
  });

  test("has a command when its bytes were all there, not when the first came", () => {
    const [one, two] = [command(1, 0), command(2, 0)];
    expect(seen([packet(1, 500, one), packet(5, 596, command(3, 0)), packet(9, 548, two)])).toEqual({
      ...{ numbers: [1, 2, 3], times: [1, 9, 9], whole: true },
    });
  });

  test("has nothing of what came behind bytes that never did: nobody was given it", () => {
    expect(seen([packet(1, 500, command(1, 0)), packet(2, 600, command(3, 0))])).toMatchObject({
      ...{ numbers: [1], whole: true },
    });
  });

  test("is entered again after bytes that were not kept, and is not whole", () => {
    const long = Buffer.concat([command(1, 0), command(2, 0)]);
    expect(seen([packet(1, 500, long, 60), packet(2, 596, command(3, 0))])).toMatchObject({
      ...{ numbers: [1, 3], whole: false },
    });
  });

  test("of another address, port or protocol says nothing", () => {
    const other = packet(1, 500, command(1, 0));
    other.data.writeUInt8(9, 33);
    expect(seen([other]).numbers).toEqual([]);
  });

  test("of any bytes makes nobody stumble", () => {
    const payload = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), payload, fc.boolean()), { maxLength: 10 }), parts => {
        const packets = parts.map(([seq, bytes, raw]) =>
          raw ? { tUs: 1, data: bytes, length: 300 } : packet(1, seq, bytes),
        );
        expect(seen(packets).numbers.length).toBeLessThan(50);
      }),
    );
    const noise = recorded("debian-5.10-a.pcap");
    for (let at = 24; at < noise.length; at += 97) noise.writeUInt8((noise.readUInt8(at) + 91) & 255, at);
    expect(() => sightingsOf(readPcap(noise), A, NO_DIGESTS)).not.toThrow();
  });
});

describe("an iSER capture", () => {
  test.each(["a", "b"])("of path %s shows every command", path => {
    const address = path === "a" ? A : "10.2.0.2";
    const { commands, whole } = sightingsOf(recordedCapture(`iser-6.1-${path}`), address, NO_DIGESTS);
    expect(whole).toBe(true);
    const numbers = commands.map(({ cmdSN }) => cmdSN ?? 0);
    expect(numbers.length).toBeGreaterThan(30);
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
    expect(new Set(commands.map(({ connection }) => connection)).size).toBe(1);
  });

  test("with a packet missing is not whole", () => {
    const { packets } = recordedCapture("iser-6.1-a");
    const index = packets.findIndex(({ data }) => data.readUInt8(42) === 0x04);
    const { whole } = sightingsOf({ packets: packets.toSpliced(index + 8, 8), damage: undefined }, A, NO_DIGESTS);
    expect(whole).toBe(false);
  });
});

test("a stream knows where each of its bytes came from", () => {
  const segment = (seq: number, bytes: Buffer, length = bytes.length): Segment => ({
    ...{ kind: "tcp", tUs: seq, from: "x", seq, isFirst: false, bytes, length },
  });
  const stream = assemble([segment(10, Buffer.from("abc"), 5), segment(15, Buffer.from("fg"))]);
  expect(stream.bytes.toString()).toBe("abc\0\0fg");
  expect([stream.isKnown(0, 3), stream.isKnown(2, 4), stream.isKnown(5, 7), stream.isKnown(5, 8)]).toEqual([
    ...[true, false, true, false],
  ]);
  expect(assemble([]).bytes).toHaveLength(0);
});

describe("a PDU's header", () => {
  test("tells how long the PDU is, digests and all", () => {
    expect(pduBytes(command(1, 5), NO_DIGESTS)).toBe(56);
    expect(pduBytes(command(1, 5), { header: true, data: true })).toBe(64);
    expect(pduBytes(command(1, 0), { header: true, data: true })).toBe(52);
    expect(digestsOf([{ header_digest: "0", data_digest: "1" }])).toEqual({ header: false, data: true });
  });

  test("is no response's, no noise, and no half of one", () => {
    expect(isHeader(command(1, 0))).toBe(true);
    expect(isHeader(Buffer.alloc(48, 0x49))).toBe(false);
    expect(isHeader(command(1, 0).subarray(0, 47))).toBe(false);
    const nop = command(1, 0);
    nop.writeUInt8(0x40, 0);
    expect(commandOf(nop)).toBeUndefined();
  });
});
