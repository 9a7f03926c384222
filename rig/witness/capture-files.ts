/**
 * The packet captures of a lab, as files in the cell's directory. QEMU writes one for each node and path; one that grew too
 * large was put aside as `.1` and begun anew. When QEMU has ended they are written again without what only QEMU understands.
 */
import { open, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { monotonicNs, wallClock } from "../core/clock.ts";
import { NODE_NAMES, type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import { CAPTURE_BYTES, captureFile } from "../lab/captures.ts";
import { type Capture, joinCaptures, readPcap, writePcap } from "./pcap.ts";

/** What is read of one file: QEMU is told to begin anew a little late. */
const MAX_BYTES = 4 * CAPTURE_BYTES;

/** How far the host's time of a packet may be off: a file's time counts in ticks of the kernel, and the rig's own wall clock in ms. */
export const CAPTURE_SKEW_NS = 10_000_000;

const NONE: Capture = { packets: [], damage: undefined };

interface CaptureFile {
  readonly capture: Capture;
  /** When it was written last, in ms since the epoch. */
  readonly writtenMs: number;
}

const readFile = async (file: string): Promise<CaptureFile | undefined> => {
  try {
    await using handle = await open(file, "r");
    const { size, mtimeMs } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(size, MAX_BYTES));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return { capture: readPcap(bytes.subarray(0, bytesRead)), writtenMs: mtimeMs };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
};

export interface PathCapture {
  readonly capture: Capture;
  /** The host's time, in ns, of a moment on the capture's clock, in microseconds; undefined for a capture without packets. */
  readonly hostNs: ((tUs: number) => bigint) | undefined;
}

/** A node's capture of a path. Its clock is the host's but for a constant: the last packet was put down when the file was written. */
export const readCapture = async (directory: string, node: NodeName, name: PathName): Promise<PathCapture> => {
  const at = (older: boolean) => path.join(directory, captureFile(name, node, older));
  const [older, newer] = [await readFile(at(true)), await readFile(at(false))];
  if (newer === undefined) {
    const damage = `there is no ${captureFile(name, node, false)}`;
    return { capture: { packets: older?.capture.packets ?? [], damage }, hostNs: undefined };
  }
  // One that has only just been begun may have no packet yet.
  const latest = newer.capture.packets.length === 0 && older !== undefined ? older : newer;
  const last = latest.capture.packets.at(-1);
  const awayNs = monotonicNs() - BigInt(Math.round(wallClock().getTime() * 1e6));
  const lastNs = awayNs + BigInt(Math.round(latest.writtenMs * 1e6));
  return {
    capture: joinCaptures(older?.capture ?? NONE, newer.capture),
    hostNs: last === undefined ? undefined : tUs => lastNs - BigInt(Math.round((last.tUs - tUs) * 1000)),
  };
};

/** Writes every capture of a lab that has ended so that any reader of captures understands it. */
export const tidyCaptures = async (directory: string): Promise<void> => {
  for (const node of NODE_NAMES) {
    for (const name of PATH_NAMES) {
      for (const older of [false, true]) {
        const file = path.join(directory, captureFile(name, node, older));
        const read = await readFile(file);
        if (read === undefined || read.capture.packets.length === 0) continue;
        const next = `${file}.new`;
        try {
          await writeFile(next, writePcap(read.capture.packets));
          await rename(next, file);
        } catch (error) {
          await rm(next, { force: true });
          throw error;
        }
      }
    }
  }
};
