/**
 * Puts the packets around a finding beside it: for every command that a finding names, what tshark says of the tenth of a second on
 * either side, path by path, into `path-X-iscsi.txt`. A capture has a clock of its own; commands that the history has too tell
 * how far it is from the history's, so this can be done from a stored cell at any time.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { PATH_NAMES, type PathName } from "../core/names.ts";
import type { EventOf, PlainEvent } from "../history/event.ts";
import { guestAddress } from "../lab/qemu-argv.ts";
import type { Finding } from "../oracle/finding.ts";
import { readCapture } from "./capture-files.ts";
import { requestOf } from "./cdb.ts";
import type { Digests } from "./pdu.ts";
import { type Sighting, sightingsOf } from "./sightings.ts";
import { decodeWindow, hasTshark } from "./tshark.ts";

const AROUND_NS = 100_000_000;
/** Windows of a path that are decoded. */
const MAX_WINDOWS = 8;

export interface Span {
  readonly fromNs: number;
  readonly toNs: number;
}

/** When the commands that findings name were executed, on each path, with what lies around; in order, and none overlaps another. */
export const windowsOf = (findings: readonly Finding[]): Readonly<Record<PathName, readonly Span[]>> => {
  const commands = findings.flatMap(({ extents = [] }) => extents.flatMap(({ commands: named = [] }) => named));
  const of = (name: PathName): readonly Span[] => {
    const times = commands
      .filter(command => command.path === undefined || command.path === name)
      .map(({ executedNs }) => executedNs)
      .toSorted((a, b) => a - b);
    const spans: Span[] = [];
    for (const time of times) {
      const last = spans.at(-1);
      const [fromNs, toNs] = [Math.max(0, time - AROUND_NS), time + AROUND_NS];
      if (last !== undefined && last.toNs >= fromNs) spans[spans.length - 1] = { fromNs: last.fromNs, toNs };
      else spans.push({ fromNs, toNs });
    }
    return spans.slice(0, MAX_WINDOWS);
  };
  return { a: of("a"), b: of("b") };
};

const keyOf = (command: { tag: number; cmdSN?: number | undefined; sector: number; sectors: number }): string =>
  `${command.tag}:${command.cmdSN ?? ""}:${command.sector}:${command.sectors}`;

/**
 * The history's time, in microseconds, of the capture's zero. A packet comes before its command is met, so of all the differences the least
 * is the truest. Undefined where history and capture have no command in common.
 */
export const captureZero = (
  sightings: readonly Sighting[],
  events: readonly EventOf<"command">[],
): number | undefined => {
  const received = new Map(events.map(event => [keyOf(event), event.receivedNs ?? event.t]));
  // Microseconds since the epoch are too long for nanoseconds in a double: the first sighting's are taken off on both sides.
  const baseUs = sightings[0]?.tUs ?? 0;
  let least: number | undefined;
  for (const sighting of sightings) {
    const { sector, sectors } = requestOf(sighting.cdb);
    const at =
      received.get(keyOf({ tag: sighting.tag, cmdSN: sighting.cmdSN, sector, sectors })) ??
      received.get(keyOf({ tag: sighting.tag, sector, sectors }));
    if (at === undefined) continue;
    const difference = at - (sighting.tUs - baseUs) * 1000;
    least = least === undefined ? difference : Math.min(least, difference);
  }
  return least === undefined ? undefined : least / 1000 - baseUs;
};

export interface PacketWordsRequest {
  /** The cell's directory. */
  readonly directory: string;
  readonly events: readonly PlainEvent[];
  readonly findings: readonly Finding[];
  readonly digests: Digests;
  readonly signal?: AbortSignal | undefined;
}

/** Writes the files; returns what is worth a line in the log, such as that tshark is missing. */
export const writePacketWords = async (request: PacketWordsRequest): Promise<string | undefined> => {
  const { directory, digests, signal } = request;
  const windows = windowsOf(request.findings.filter(({ oracle }) => oracle === "integrity"));
  if (PATH_NAMES.every(name => windows[name].length === 0)) return undefined;
  if (!(await hasTshark())) return "tshark is not installed, so no packets are put into words. Run: make setup";
  const events = request.events.filter(event => event.kind === "command");
  for (const name of PATH_NAMES) {
    if (windows[name].length === 0) continue;
    const { capture } = await readCapture(directory, "target", name);
    const { commands } = sightingsOf(capture, guestAddress("target", name), digests);
    const ofPath = events.filter(event => event.path === undefined || event.path === name);
    // In microseconds, as the capture counts.
    const zeroUs = captureZero(commands, ofPath);
    if (zeroUs === undefined) continue;
    const text = [
      `Packets of path ${name} at the target, around the commands that the findings name. Seconds are those of the history.`,
    ];
    for (const { fromNs, toNs } of windows[name]) {
      const window = { fromUs: fromNs / 1000 - zeroUs, toUs: toNs / 1000 - zeroUs, zeroUs: -zeroUs };
      const lines = await decodeWindow(capture.packets, window, signal);
      text.push("", ...(lines ?? ["tshark could not read these packets."]));
    }
    await writeFile(path.join(directory, `path-${name}-iscsi.txt`), `${text.join("\n")}\n`);
  }
  return undefined;
};
