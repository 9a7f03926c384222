import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { joinCaptures, type Packet, readPcap, writePcap } from "./pcap.ts";
import { recorded, recordedCapture } from "./testdata/recorded.ts";

const packet = (tUs: number, ...bytes: number[]): Packet => {
  const data = Buffer.from([0x52, 0x54, 0, 0, ...bytes]);
  return { tUs, data, length: data.length + 100 };
};

describe("a capture", () => {
  test("comes back as it was written", () => {
    const packets = [packet(1_795_390_103_995_449, 1, 2), packet(1_795_390_104_000_001)];
    expect(readPcap(writePcap(packets))).toEqual({ packets, damage: undefined });
  });

  test("of an older QEMU loses what is before its frames", () => {
    const frame = packet(5, 1, 2, 3);
    const data = Buffer.concat([Buffer.from([1, 3, 0, 66, 5, 200, 0, 34, 0, 16, 0, 0]), frame.data]);
    expect(readPcap(writePcap([{ tUs: 5, data, length: data.length + 100 }])).packets).toEqual([frame]);
    expect(readPcap(writePcap([frame])).packets).toEqual([frame]);
  });

  test("that ends in the middle of a packet has the packets before", () => {
    const whole = recorded("debian-5.10-a.pcap");
    const { packets, damage } = readPcap(whole.subarray(0, whole.length - 3));
    expect(packets).toHaveLength(recordedCapture("debian-5.10-a").packets.length - 1);
    expect(damage).toBe("a capture that ends in the middle of a packet");
  });

  test("with an absurd length ends there", () => {
    const file = writePcap([packet(1), packet(2)]);
    file.writeUInt32LE(0xffff_fff0, 24 + 16 + 4 + 8);
    const { packets, damage } = readPcap(file);
    expect(packets.map(({ tUs }) => tUs)).toEqual([1]);
    expect(damage).toContain("packet 2 says");
  });

  test("of another kind of network, or no capture at all, is refused", () => {
    const file = writePcap([packet(1)]);
    file.writeUInt32LE(113, 20);
    expect(readPcap(file).damage).toContain("link type 113");
    expect(readPcap(Buffer.from("not a capture, but long enough to be one")).damage).toContain("do not begin like");
    expect(readPcap(Buffer.alloc(0)).packets).toEqual([]);
  });

  test("in the other byte order, with nanoseconds, is read too", () => {
    const file = writePcap([packet(3_000_007)]);
    file.swap32();
    file.writeUInt32BE(0xa1b23c4d, 0);
    file.writeUInt32BE(7000, 28);
    expect(readPcap(file).packets[0]?.tUs).toBe(3_000_007);
  });

  test("of any bytes makes nobody stumble", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), bytes => {
        const file = Buffer.concat([writePcap([packet(1)]), bytes]);
        expect(readPcap(file).packets.length).toBeLessThanOrEqual(1 + bytes.length / 16);
      }),
    );
  });

  test("in two files has each packet once", () => {
    const [one, two, three] = [packet(1), packet(2), packet(3)];
    const joined = joinCaptures(
      { packets: [one, two], damage: undefined },
      { packets: [two, three], damage: undefined },
    );
    expect(joined.packets).toEqual([one, two, three]);
  });
});
