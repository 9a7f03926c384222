/**
 * The packet captures of a lab, as files in the cell's directory. QEMU writes one for each node and path; one that grew too
 * large was put aside as `.1` and begun anew. When QEMU has ended they are written again without what only QEMU understands.
 */
import { type FileHandle, open, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { monotonicNs, wallClock } from "../core/clock.ts";
import { NODE_NAMES, type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import { captureFile } from "../lab/captures.ts";
import { type Capture, isTidy, joinCaptures, PcapHeaders, readPcap, shifted, writePcap } from "./pcap.ts";

/** What is read of one file, the end of it. QEMU is told to begin anew long before, but may not answer. */
const MAX_BYTES = 256 * 2 ** 20;
/** What is read at once to find where packets begin. */
const WINDOW_BYTES = 2 ** 20;

/** How far the host's time of a packet may be off: a file's time counts in ticks of the kernel, and the rig's own wall clock in ms. */
export const CAPTURE_SKEW_NS = 10_000_000;

const NONE: Capture = { packets: [], damage: undefined };

interface CaptureFile {
  readonly capture: Capture;
  /** When it was written last, in ms since the epoch. */
  readonly writtenMs: number;
  /** It was written by the rig, not by QEMU. */
  readonly isTidy: boolean;
  /** Bytes of packets in the beginning that were not read. */
  readonly leftOut: number;
}

const readAt = async (handle: FileHandle, at: number, bytes: number): Promise<Buffer> => {
  const buffer = Buffer.alloc(bytes);
  let length = 0;
  while (length < bytes) {
    const { bytesRead } = await handle.read(buffer, length, bytes - length, at + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
};

/** Where the first packet begins from which on there are no more than `max` bytes; as far as headers make sense. */
const tailFrom = async (handle: FileHandle, size: number, max: number, headers: PcapHeaders): Promise<number> => {
  let [at, from] = [PcapHeaders.BYTES, 0];
  let window = Buffer.alloc(0);
  while (size - at > max) {
    if (at + PcapHeaders.OF_PACKET > from + window.length) {
      from = at;
      window = Buffer.from(await readAt(handle, from, WINDOW_BYTES));
    }
    const bytes = headers.packetBytes(window, at - from);
    if (bytes === undefined) break;
    at += bytes;
  }
  return at;
};

/** Reads a file, of a very long one only the end. */
export const readCaptureFile = async (file: string, max = MAX_BYTES): Promise<CaptureFile | undefined> => {
  try {
    await using handle = await open(file, "r");
    const { size, mtimeMs } = await handle.stat();
    const first = await readAt(handle, 0, PcapHeaders.BYTES);
    const headers = PcapHeaders.of(first);
    const from = headers === undefined || size <= max ? first.length : await tailFrom(handle, size, max, headers);
    const rest = await readAt(handle, from, Math.min(size - from, max));
    const { packets, damage } = readPcap(Buffer.concat([first, rest]));
    const leftOut = from - first.length;
    const unread =
      leftOut === 0 ? undefined : `a capture of ${size} bytes, the first ${leftOut} of which were not read`;
    return { capture: { packets, damage: damage ?? unread }, writtenMs: mtimeMs, isTidy: isTidy(first), leftOut };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
};

interface Pair {
  readonly older: CaptureFile | undefined;
  readonly newer: CaptureFile | undefined;
}

/**
 * Both files of a capture, on one clock. QEMU counts a file's packets from the second in which it began the file, though its own
 * clock goes on: so the older file's times are whole seconds off, by what the times of both files' last writing tell. Only files
 * as QEMU wrote them have that in them.
 */
const readPair = async (directory: string, node: NodeName, name: PathName): Promise<Pair> => {
  const at = (isOlder: boolean) => path.join(directory, captureFile(name, node, isOlder));
  const [older, newer] = [await readCaptureFile(at(true)), await readCaptureFile(at(false))];
  const [olderLast, newerLast] = [older?.capture.packets.at(-1), newer?.capture.packets.at(-1)];
  if (older === undefined || newer === undefined || older.isTidy || newer.isTidy) return { older, newer };
  if (olderLast === undefined || newerLast === undefined) return { older, newer };
  const expectedUs = newerLast.tUs - (newer.writtenMs - older.writtenMs) * 1000;
  const shiftUs = Math.round((expectedUs - olderLast.tUs) / 1e6) * 1e6;
  return { older: { ...older, capture: shifted(older.capture, shiftUs) }, newer };
};

export interface PathCapture {
  readonly capture: Capture;
  /** The host's time, in ns, of a moment on the capture's clock, in microseconds; undefined for a capture without packets. */
  readonly hostNs: ((tUs: number) => bigint) | undefined;
}

/**
 * A node's capture of a path, of which so many files were dropped. Its clock is the host's but for a constant: the last packet
 * was put down when the file was written.
 */
export const readCapture = async (
  directory: string,
  node: NodeName,
  name: PathName,
  dropped = 0,
): Promise<PathCapture> => {
  const { older, newer } = await readPair(directory, node, name);
  if (newer === undefined) {
    const damage = `there is no ${captureFile(name, node, false)}`;
    return { capture: { packets: older?.capture.packets ?? [], damage }, hostNs: undefined };
  }
  // One that has only just been begun may have no packet yet.
  const latest = newer.capture.packets.length === 0 && older !== undefined ? older : newer;
  const last = latest.capture.packets.at(-1);
  const awayNs = monotonicNs() - BigInt(Math.round(wallClock().getTime() * 1e6));
  const lastNs = awayNs + BigInt(Math.round(latest.writtenMs * 1e6));
  const { packets, damage } = joinCaptures(older?.capture ?? NONE, newer.capture);
  const missing = dropped === 0 ? undefined : `the beginning is missing, files that were dropped: ${dropped}`;
  return {
    capture: { packets, damage: damage ?? missing },
    hostNs: last === undefined ? undefined : tUs => lastNs - BigInt(Math.round((last.tUs - tUs) * 1000)),
  };
};

const tidy = async (file: string, read: CaptureFile | undefined): Promise<void> => {
  // One that was not read as a whole stays as it is: nothing is to be lost by this.
  if (read === undefined || read.isTidy || read.leftOut > 0 || read.capture.packets.length === 0) return;
  const next = `${file}.new`;
  try {
    await writeFile(next, writePcap(read.capture.packets));
    await rename(next, file);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
};

/** Writes every capture of a lab that has ended so that any reader of captures understands it. */
export const tidyCaptures = async (directory: string): Promise<void> => {
  for (const node of NODE_NAMES) {
    for (const name of PATH_NAMES) {
      const { older, newer } = await readPair(directory, node, name);
      await tidy(path.join(directory, captureFile(name, node, true)), older);
      await tidy(path.join(directory, captureFile(name, node, false)), newer);
    }
  }
};
