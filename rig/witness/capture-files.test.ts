import { readFile, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { readCapture, readCaptureFile, tidyCaptures } from "./capture-files.ts";
import { type Packet, readPcap, writePcap } from "./pcap.ts";

const START_S = 1_795_390_000;
const NEWER = "path-a-target.pcap";
const OLDER = "path-a-target.1.pcap";

const packet = (tUs: number): Packet => ({ tUs, data: Buffer.from([0x52, 0x54, 0, 0, 1, 2]), length: 6 });

/** A file of packets at these seconds of the lab's life, as a QEMU writes it that counts from `begunS`, last written at the last. */
const write = async (directory: string, name: string, begunS: number, atS: readonly number[]): Promise<void> => {
  const bytes = writePcap(atS.map(at => packet((START_S + begunS + at) * 1e6)));
  bytes.writeUInt32LE(66_000, 16);
  await writeFile(path.join(directory, name), bytes);
  const written = START_S + (atS.at(-1) ?? 0) + 0.004;
  await utimes(path.join(directory, name), written, written);
};

const timesOf = (packets: readonly Packet[]): readonly number[] => packets.map(({ tUs }) => tUs / 1e6 - START_S);

/** A capture that was begun anew after 70 s; two packets of the change are in both files. */
const begunAnew = async (): Promise<string> => {
  const directory = await temporaryDirectory();
  await write(directory, OLDER, 0, [1, 2.5, 70, 70.25]);
  await write(directory, NEWER, 70, [70, 70.25, 71, 93.5]);
  return directory;
};
const AFTER_JOIN = [71, 72.5, 140, 140.25, 141, 163.5];

describe("a capture that was begun anew", () => {
  test("is of one clock, though QEMU stamps the second file otherwise", async () => {
    const { capture, hostNs } = await readCapture(await begunAnew(), "target", "a");
    expect(timesOf(capture.packets)).toEqual(AFTER_JOIN);
    expect(capture.damage).toBeUndefined();
    const [first, last] = [capture.packets[0], capture.packets.at(-1)].map(one => hostNs?.(one?.tUs ?? 0) ?? 0n);
    expect(Number((last ?? 0n) - (first ?? 0n)) / 1e9).toBeCloseTo(92.5);
  });

  test("is still so when it was tidied, once or twice, whenever its files were written", async () => {
    const directory = await begunAnew();
    for (let round = 0; round < 2; round++) {
      await tidyCaptures(directory);
      expect(timesOf(readPcap(await readFile(path.join(directory, OLDER))).packets)).toEqual([71, 72.5, 140, 140.25]);
      expect(timesOf((await readCapture(directory, "target", "a")).capture.packets)).toEqual(AFTER_JOIN);
      await utimes(path.join(directory, OLDER), 5, 5);
    }
  });

  test("says that its beginning is missing where files were dropped", async () => {
    const { capture } = await readCapture(await begunAnew(), "target", "a", 2);
    expect(capture.damage).toContain("files that were dropped: 2");
    expect(capture.packets).toHaveLength(AFTER_JOIN.length);
  });
});

describe("a very long capture", () => {
  test("is read from a packet near its end, and says so", async () => {
    const directory = await temporaryDirectory();
    const all = Array.from({ length: 100_000 }, (_, at) => at);
    await write(directory, NEWER, 0, all);
    const file = path.join(directory, NEWER);
    const whole = await readCaptureFile(file, 24 + 100_000 * 22);
    expect(whole).toMatchObject({ leftOut: 0, capture: { damage: undefined } });
    const end = await readCaptureFile(file, 225);
    expect(timesOf(end?.capture.packets ?? [])).toEqual(all.slice(-10));
    expect(end?.leftOut).toBe(99_990 * 22);
    expect(end?.capture.damage).toBe("a capture of 2200024 bytes, the first 2199780 of which were not read");
  });

  test("with an absurd length is read up to there", async () => {
    const file = path.join(await temporaryDirectory(), NEWER);
    await writeFile(file, Buffer.concat([writePcap([packet(1), packet(2)]), Buffer.alloc(5000, 0xff)]));
    const read = await readCaptureFile(file, 1000);
    expect(read?.capture.damage).toContain("says that");
    expect(await readCaptureFile(`${file}.none`)).toBeUndefined();
    await writeFile(file, "no capture at all, and longer than that");
    expect((await readCaptureFile(file, 10))?.capture.damage).toContain("do not begin like a capture");
  });
});
