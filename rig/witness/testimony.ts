/**
 * What the second witness says, as events of the history: a `command` for each that was executed, in the order of execution, and
 * last a `witness` that says what this is worth. From the trace of LIO's probes if there is one, else from the captures.
 */
import { PATH_NAMES, type PathName } from "../core/names.ts";
import type { EventOf, Unstamped } from "../history/event.ts";
import { requestOf } from "./cdb.ts";
import type { ClockFit } from "./clock-fit.ts";
import { matchConnections, type Named, nameConnections } from "./match.ts";
import type { Sightings } from "./sightings.ts";
import type { TargetCommand, TracedCommand } from "./target-command.ts";

type CommandEvent = Unstamped<EventOf<"command">>;

export interface Statement {
  /** When it was executed, on the host's clock, in ns. */
  readonly at: bigint;
  readonly command: CommandEvent;
}

export interface Testimony {
  readonly statements: readonly Statement[];
  readonly witness: Unstamped<EventOf<"witness">>;
}

export interface TraceTaken {
  readonly commands: readonly TracedCommand[];
  readonly clock: ClockFit;
  /** From probes, or from LIO's two tracepoints alone. */
  readonly withProbes: boolean;
  /** Why the trace is not whole; undefined if it is. */
  readonly gap: string | undefined;
}

export interface CapturesTaken {
  readonly paths: Readonly<Record<PathName, Sightings>>;
  /** The host's time, in ns, of a moment on a path's capture clock, in microseconds; undefined where nobody knows. */
  readonly hostNs: Readonly<Record<PathName, ((tUs: number) => bigint) | undefined>>;
  readonly skewNs: number;
}

const sum = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? "" : "s"}`;

const commandEvent = (
  command: TargetCommand,
  named: Named | undefined,
  times: { readonly receivedNs: number; readonly doneNs?: number | undefined; readonly status?: number | undefined },
): CommandEvent => {
  const { action, sector, sectors, fua } = requestOf(command.cdb);
  return {
    ...{ kind: "command", action, lun: command.lun, sector, sectors },
    ...(fua ? { fua } : {}),
    ...(named === undefined ? {} : { path: named.path, session: named.session }),
    tag: command.tag,
    ...(command.cmdSN === undefined ? {} : { cmdSN: command.cmdSN }),
    receivedNs: times.receivedNs,
    ...(times.doneNs === undefined ? {} : { doneNs: times.doneNs }),
    ...(times.status === undefined ? {} : { status: times.status }),
  };
};

/** What a trace says. `startNs` is when the history began, on the host's clock. */
export const testifyByTrace = (trace: TraceTaken, captures: CapturesTaken, startNs: bigint): Testimony => {
  const { commands, clock, withProbes, gap } = trace;
  const { names, contradictory, unseen } = matchConnections(commands, captures.paths);
  const since = (guestNs: number) => Math.max(0, Number(clock.hostNs(guestNs) - startNs));
  const executed = commands
    .filter(command => command.executedNs !== undefined)
    .toSorted((a, b) => (a.executedNs ?? 0) - (b.executedNs ?? 0));
  const statements = executed.map(command => ({
    at: clock.hostNs(command.executedNs ?? command.receivedNs),
    command: commandEvent(command, names.get(command.connection), {
      receivedNs: since(command.receivedNs),
      doneNs: command.doneNs === undefined ? undefined : since(command.doneNs),
      status: command.status,
    }),
  }));
  const never = commands.length - executed.length;
  const text = [
    withProbes
      ? `The target's kernel told of ${sum(executed.length, "command")} that it executed.`
      : `The target's kernel told of ${sum(executed.length, "command")}; it has no probes, so the time of each is when it was understood, which is before its data had come.`,
    ...(never === 0 ? [] : [`${sum(never, "more command")} came and never reached the disk.`]),
    ...(contradictory === 0
      ? []
      : [`The captures contradict each other on the path of ${sum(contradictory, "connection")}.`]),
    ...(unseen === 0 ? [] : [`The captures show nothing of ${sum(unseen, "connection")}, so its path is not known.`]),
    ...(gap === undefined ? [] : [`It is not all: ${gap}.`]),
  ].join(" ");
  return {
    statements,
    witness: { kind: "witness", by: "tracepoints", whole: gap === undefined, skewNs: Math.ceil(clock.skewNs), text },
  };
};

/** What captures say where there is no trace. `why` is what kept the trace away. */
export const testifyByCapture = (captures: CapturesTaken, why: string, startNs: bigint): Testimony => {
  const statements = PATH_NAMES.flatMap(path => {
    const hostNs = captures.hostNs[path];
    const { commands } = captures.paths[path];
    if (hostNs === undefined) return [];
    const names = nameConnections(
      commands.map(({ connection }) => connection),
      () => path,
    );
    return commands.map(command => {
      const at = hostNs(command.tUs);
      const receivedNs = Math.max(0, Number(at - startNs));
      return { at, command: commandEvent(command, names.get(command.connection), { receivedNs }) };
    });
  }).toSorted((a, b) => Number(a.at - b.at));
  const whole = PATH_NAMES.every(path => captures.paths[path].whole);
  const text = [
    `Packet captures show ${sum(statements.length, "command")} that reached the target; the time of each is that of its packet, and whether it was executed nobody saw.`,
    `The kernel's own trace was not to be had: ${why}.`,
    ...(whole ? [] : ["Some bytes of the captures could not be followed, so there may have been more."]),
  ].join(" ");
  const by = statements.length === 0 ? "nothing" : "capture";
  return {
    statements,
    witness: { kind: "witness", by, whole: whole && by === "capture", skewNs: captures.skewNs, text },
  };
};
