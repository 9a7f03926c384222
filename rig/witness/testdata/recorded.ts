/** What was recorded in labs, for tests: rings as `trace_pipe_raw` gave them, the formats of their events, and captures. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { type Capture, readPcap } from "../pcap.ts";
import { PROBE_NAMES, probeEvent, TRACEPOINTS } from "../probes.ts";
import { parseTraceFormat } from "../trace-format.ts";
import { readTraceRing } from "../trace-ring.ts";
import { type Formats, tracedCommands } from "../traced-commands.ts";

export const LABS = ["debian-5.10", "debian-6.1", "iser-6.1"] as const;
export type RecordedLab = (typeof LABS)[number];

export const recorded = (name: string): Buffer => readFileSync(path.join(import.meta.dirname, name));

/** The text of each event's format, by the event's name without its group. */
export const recordedFormats = (lab: RecordedLab): ReadonlyMap<string, string> =>
  new Map(
    recorded(`${lab}.formats`)
      .toString()
      .split(/^(?=name: )/m)
      .map(text => [/^name: (\S+)/.exec(text)?.[1] ?? "", text]),
  );

const NAMES: readonly (readonly [keyof Formats, string])[] = [
  ...PROBE_NAMES.map(name => [name, probeEvent(name)] as const),
  ["complete", TRACEPOINTS.complete],
];

export const formatsOf = (lab: RecordedLab): Formats => {
  const texts = recordedFormats(lab);
  const formats = NAMES.map(
    ([name, event]) => [name, parseTraceFormat(texts.get(event.slice(event.indexOf("/") + 1)) ?? "")] as const,
  );
  return Object.fromEntries(formats.filter(([, format]) => format !== undefined));
};

export const recordedCommands = (lab: RecordedLab) =>
  tracedCommands(readTraceRing([recorded(`${lab}.ring`)]).records, formatsOf(lab));

export const recordedCapture = (name: string): Capture => readPcap(recorded(`${name}.pcap`));
