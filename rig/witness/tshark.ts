/**
 * The packets around a moment, in words: what Wireshark's dissectors say of them, one line a packet. It is for people, who want to
 * see at once what went over the wire when a finding came about; no verdict depends on it. Without tshark there are no words.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { run } from "../core/exec.ts";
import { labsDir } from "../core/paths.ts";
import { cleanLine } from "../core/untrusted.ts";
import { type Packet, writePcap } from "./pcap.ts";

/** What is decoded of a window: packets, and characters of a line. */
const MAX_PACKETS = 2000;
const MAX_LINE = 300;
const WITHIN_MS = 30_000;

/** Whether this machine has tshark. */
export const hasTshark = async (): Promise<boolean> => {
  try {
    return (await run(["tshark", "--version"], { timeoutMs: WITHIN_MS })).exitCode === 0;
  } catch {
    return false;
  }
};

export interface Window {
  /** On the capture's clock, in microseconds. */
  readonly fromUs: number;
  readonly toUs: number;
  /** What the times of the lines are counted from, likewise. */
  readonly zeroUs: number;
}

const seconds = (us: number): string => (us / 1e6).toFixed(6).padStart(12);

/**
 * The packets of a window, one line each: the time in seconds since `zeroUs`, and what tshark says. The middle of a window with
 * too many packets is kept. Undefined if tshark cannot say anything.
 */
export const decodeWindow = async (
  packets: readonly Packet[],
  { fromUs, toUs, zeroUs }: Window,
  signal?: AbortSignal,
): Promise<readonly string[] | undefined> => {
  const inside = packets.filter(({ tUs }) => tUs >= fromUs && tUs <= toUs);
  const skipped = Math.max(0, inside.length - MAX_PACKETS);
  const kept = inside.slice(Math.floor(skipped / 2), Math.floor(skipped / 2) + MAX_PACKETS);
  if (kept.length === 0) return [];
  // If the rig is killed meanwhile, this is removed with what its labs left.
  await mkdir(labsDir(), { recursive: true });
  const directory = await mkdtemp(path.join(labsDir(), "tshark-"));
  try {
    const file = path.join(directory, "window.pcap");
    await writeFile(file, writePcap(kept));
    const columns = ["ip.src", "ip.dst", "_ws.col.Protocol", "frame.len", "_ws.col.Info"];
    const { exitCode, stdout } = await run(
      ["tshark", "-n", "-r", file, "-T", "fields", ...columns.flatMap(column => ["-e", column])],
      { timeoutMs: WITHIN_MS, ...(signal === undefined ? {} : { signal }) },
    );
    if (exitCode !== 0 && stdout === "") return undefined;
    const said = stdout.split("\n");
    const lines = kept.map(({ tUs }, index) => {
      const [from = "", to = "", protocol = "", bytes = "", info = ""] = (said[index] ?? "").split("\t");
      const ends = from === "" ? "" : `${from} > ${to}  `;
      return `${seconds(tUs - zeroUs)}  ${cleanLine(`${ends}${protocol} ${bytes}  ${info}`, MAX_LINE)}`;
    });
    return skipped === 0 ? lines : [`(${skipped} packets of this window are left out)`, ...lines];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};
