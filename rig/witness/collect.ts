/**
 * Hears the second witness at the end of a cell: takes the ring out of the target's kernel, reads the captures, and puts what they
 * say into the history. Whatever it cannot see it says so; a cell never fails for want of a witness.
 */
import { monotonicNs } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { PathName } from "../core/names.ts";
import type { HistorySink } from "../history/event.ts";
import type { GuestAgent } from "../lab/guest-agent.ts";
import { guestAddress } from "../lab/qemu-argv.ts";
import { CAPTURE_SKEW_NS, type PathCapture, readCapture } from "./capture-files.ts";
import { type Exchange, fitClock } from "./clock-fit.ts";
import type { Digests } from "./pdu.ts";
import { PROBE_NAMES, probeEvent, RING_KIB, TRACEPOINTS, TRACING } from "./probes.ts";
import { type Sightings, sightingsOf } from "./sightings.ts";
import { type CapturesTaken, type TraceTaken, testifyByCapture, testifyByTrace } from "./testimony.ts";
import { parseTraceFormat, type TraceFormat } from "./trace-format.ts";
import { readTraceRing, TRACE_PAGE } from "./trace-ring.ts";
import { type Formats, tracedCommands } from "./traced-commands.ts";

type Agent = Pick<GuestAgent, "put" | "take" | "now">;

const FIRST_MS = 3000;
const EXCHANGES = 8;
const MAX_CPUS = 8;
const MAX_FORMAT = 16_384;
/** What a CPU's ring can hold, and one page more. */
const MAX_RING = RING_KIB * 1024 + 2 * TRACE_PAGE;

/** A witness that listens, from the moment when the bench was opened. */
export interface OpenWitness {
  readonly exchanges: readonly Exchange[];
  /** Why it does not listen; undefined if it does. */
  readonly problem: string | undefined;
}

/** What the witness is asked with. */
export interface WitnessRequest {
  readonly agent: Agent;
  readonly opened: OpenWitness | undefined;
  /** The cell's directory, with the captures in it. */
  readonly directory: string;
  /** How many files of the target's capture of a path were dropped. */
  readonly dropped: (path: PathName) => number;
  /** How long the target may have stood still after the witness was opened. */
  readonly stillMs: number;
  readonly sink: HistorySink;
  /** When the history began, on the host's clock. */
  readonly startNs: bigint;
  readonly digests: Digests;
  readonly signal: AbortSignal;
}

const exchangesWith = async (agent: Agent): Promise<readonly Exchange[]> => {
  const exchanges: Exchange[] = [];
  for (let count = 0; count < EXCHANGES; count++) {
    const sentNs = monotonicNs();
    const guestNs = await agent.now();
    exchanges.push({ sentNs, receivedNs: monotonicNs(), guestNs });
  }
  return exchanges;
};

/** Empties the ring of what came before, and reads the clocks: a guest's stood still while its snapshot lay there. */
export const openWitness = async (agent: Agent, signal: AbortSignal): Promise<OpenWitness> => {
  try {
    await agent.put(`${TRACING}/trace`, "", { timeoutMs: FIRST_MS, signal });
    return { exchanges: await exchangesWith(agent), problem: undefined };
  } catch (error) {
    signal.throwIfAborted();
    return { exchanges: [], problem: messageOf(error) };
  }
};

const EVENTS: readonly (readonly [keyof Formats, string])[] = [
  ...PROBE_NAMES.map(name => [name, probeEvent(name)] as const),
  ["start", TRACEPOINTS.start],
  ["complete", TRACEPOINTS.complete],
];

const formatsOf = async (agent: Agent, signal: AbortSignal): Promise<Formats> => {
  const formats: Partial<Record<keyof Formats, TraceFormat>> = {};
  // One after another: the agent has but one file open.
  for (const [name, event] of EVENTS) {
    const text = await agent.take(`${TRACING}/events/${event}/format`, MAX_FORMAT, { signal }).catch(() => undefined);
    const format = text === undefined ? undefined : parseTraceFormat(text.toString("latin1"));
    if (format !== undefined) formats[name] = format;
  }
  return formats;
};

/** Takes the trace from the target's kernel, or throws what kept it away. */
const takeTrace = async ({ agent, opened, stillMs, signal }: WitnessRequest): Promise<TraceTaken> => {
  if (opened === undefined) throw new Error("the cell ended before anybody listened");
  if (opened.problem !== undefined) throw new Error(opened.problem);
  await agent.put(`${TRACING}/tracing_on`, "0\n", { timeoutMs: FIRST_MS, signal });
  const clock = fitClock(opened.exchanges, await exchangesWith(agent));
  if (clock === undefined) throw new Error("the guest's clock was set, or the guest was started anew");
  const formats = await formatsOf(agent, signal);
  const cpus: Buffer[] = [];
  for (let cpu = 0; cpu < MAX_CPUS; cpu++) {
    const ring = agent.take(`${TRACING}/per_cpu/cpu${cpu}/trace_pipe_raw`, MAX_RING, { signal });
    if (cpu === 0) cpus.push(await ring);
    else {
      const more = await ring.catch(() => undefined);
      if (more === undefined) break;
      cpus.push(more);
    }
  }
  const ring = readTraceRing(cpus);
  const withProbes = formats.setup !== undefined && formats.execute !== undefined;
  if (!withProbes && formats.start === undefined)
    throw new Error("this kernel has neither probes nor LIO's tracepoints");
  return {
    commands: tracedCommands(ring.records, formats),
    // Nobody knows which commands were before it.
    clock: { ...clock, skewNs: clock.skewNs + stillMs * 1e6 },
    withProbes,
    gap: ring.lost ? "the ring was full, and what came first was overwritten" : ring.damage,
  };
};

const takeCaptures = async ({ directory, dropped, digests }: WitnessRequest): Promise<CapturesTaken> => {
  const nothing: Sightings = { commands: [], whole: false };
  const one = async (path: PathName) => {
    const reading: Promise<PathCapture | undefined> = readCapture(directory, "target", path, dropped(path));
    const read = await reading.catch(() => undefined);
    const sightings = read === undefined ? nothing : sightingsOf(read.capture, guestAddress("target", path), digests);
    return { hostNs: read?.hostNs, sightings };
  };
  const [a, b] = [await one("a"), await one("b")];
  return {
    paths: { a: a.sightings, b: b.sightings },
    hostNs: { a: a.hostNs, b: b.hostNs },
    skewNs: CAPTURE_SKEW_NS,
  };
};

/** Has the witness say all that it knows. To be called while the lab still runs. */
export const collectWitness = async (request: WitnessRequest): Promise<void> => {
  const { sink, startNs, signal } = request;
  try {
    const trace = await takeTrace(request).catch((error: unknown) => messageOf(error));
    const captures = await takeCaptures(request);
    const { statements, witness } =
      typeof trace === "string" ? testifyByCapture(captures, trace, startNs) : testifyByTrace(trace, captures, startNs);
    for (const { at, command } of statements) sink.record(command, at);
    sink.record(witness);
  } catch (error) {
    if (signal.aborted) return;
    const text = `The second witness could not be heard: ${messageOf(error)}`;
    sink.record({ kind: "witness", by: "nothing", whole: false, skewNs: 0, text });
  }
};
