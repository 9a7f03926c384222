/**
 * From trace records to commands. A probe at the beginning of a function knows only its arguments, so the records of one command
 * are joined by pointers: the header's record has the iSCSI command's, the others that of the SCSI command inside of it. How
 * far the one lies behind the other differs from kernel to kernel; the records themselves tell, for a thread that has just
 * set up a command mostly hands on that very one.
 */

import { lunOf } from "./cdb.ts";
import type { ProbeName } from "./probes.ts";
import type { TracedCommand } from "./target-command.ts";
import { fieldOf, type TraceFormat } from "./trace-format.ts";
import type { TraceRecord } from "./trace-ring.ts";

/** The formats of the events that were traced. */
export type Formats = Readonly<Partial<Record<ProbeName | "start" | "complete", TraceFormat>>>;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Low 48 bits of a pointer: the upper ones of a kernel's are all ones. */
const pointerOf = (bytes: Buffer | undefined): number | undefined =>
  bytes === undefined || bytes.length < 6 ? undefined : bytes.readUIntLE(0, 6);

const numberOf = (bytes: Buffer | undefined): number | undefined =>
  bytes === undefined || bytes.length === 0 || bytes.length > 6 ? undefined : bytes.readUIntLE(0, bytes.length);

const wireNumber = (bytes: Buffer | undefined): number | undefined =>
  bytes === undefined || bytes.length === 0 || bytes.length > 6 ? undefined : bytes.readUIntBE(0, bytes.length);

/** A se_cmd is this near to the beginning of its iscsi_cmd, at most. */
const MAX_DISTANCE = 8192;

/** The distance that most records agree on; undefined where there is nothing to go by. */
const distanceOf = (records: readonly TraceRecord[], { setup, execute }: Formats): number | undefined => {
  if (setup === undefined || execute === undefined) return undefined;
  const latest = new Map<number, number>();
  const votes = new Map<number, number>();
  for (const { id, pid, data } of records) {
    const pointer =
      id === setup.id || id === execute.id
        ? pointerOf(fieldOf(id === setup.id ? setup : execute, data, "cmd"))
        : undefined;
    if (pointer === undefined) continue;
    if (id === setup.id) latest.set(pid, pointer);
    else {
      const distance = pointer - (latest.get(pid) ?? Number.NaN);
      if (distance >= 0 && distance < MAX_DISTANCE) votes.set(distance, (votes.get(distance) ?? 0) + 1);
    }
  }
  return [...votes].toSorted(([, a], [, b]) => b - a)[0]?.[0];
};

const setUp = (
  format: TraceFormat,
  { data, guestNs }: TraceRecord,
  connection: string,
): Mutable<TracedCommand> | undefined => {
  const field = (name: string) => fieldOf(format, data, name);
  const [cdb0, cdb1] = [field("cdb0"), field("cdb1")];
  const [tag, cmdSN, lun] = [wireNumber(field("itt")), wireNumber(field("cmdsn")), wireNumber(field("lun"))];
  if (cdb0 === undefined || cdb1 === undefined || tag === undefined || cmdSN === undefined || lun === undefined)
    return undefined;
  const cdb = Buffer.concat([cdb0, cdb1]);
  return {
    ...{ tag, cmdSN, lun: lunOf(lun), cdb, connection, receivedNs: guestNs },
    ...{ executedNs: undefined, doneNs: undefined, status: undefined },
  };
};

/** What probes saw. */
const fromProbes = (records: readonly TraceRecord[], formats: Formats): readonly TracedCommand[] => {
  const { setup, execute, close, complete } = formats;
  const distance = distanceOf(records, formats);
  const commands: TracedCommand[] = [];
  const live = new Map<number, Mutable<TracedCommand>>();
  const ends = new Map<number, number>();
  const failures = new Map<number, number>();
  const commandOf = (format: TraceFormat, data: Buffer) => {
    const pointer = pointerOf(fieldOf(format, data, "cmd"));
    return pointer === undefined || distance === undefined ? undefined : live.get(pointer - distance);
  };
  for (const record of records) {
    const { id, pid, data, guestNs } = record;
    if (id === setup?.id) {
      const pointer = pointerOf(fieldOf(setup, data, "cmd"));
      const conn = pointerOf(fieldOf(setup, data, "conn"));
      const command = setUp(setup, record, `${conn}.${ends.get(conn ?? 0) ?? 0}`);
      if (pointer === undefined || conn === undefined || command === undefined) continue;
      live.set(pointer, command);
      commands.push(command);
    } else if (id === execute?.id) {
      const command = commandOf(execute, data);
      if (command !== undefined) command.executedNs ??= guestNs;
    } else if (id === complete?.id) {
      // The thread that says this queues the answer next.
      failures.set(pid, numberOf(fieldOf(complete, data, "scsi_status")) ?? 0);
    } else if (id === close?.id) {
      const conn = pointerOf(fieldOf(close, data, "conn"));
      if (conn !== undefined) ends.set(conn, (ends.get(conn) ?? 0) + 1);
    } else {
      const format =
        id === formats.status?.id ? formats.status : id === formats.datain?.id ? formats.datain : undefined;
      const command = format === undefined ? undefined : commandOf(format, data);
      if (command !== undefined && command.doneNs === undefined) {
        command.doneNs = guestNs;
        command.status = failures.get(pid) ?? 0;
      }
      failures.delete(pid);
    }
  }
  return commands;
};

/** What the two tracepoints saw: no CmdSN, one thread for each connection, and the moment when the CDB was understood. */
const fromTracepoints = (records: readonly TraceRecord[], { start, complete }: Formats): readonly TracedCommand[] => {
  const commands: TracedCommand[] = [];
  const open = new Map<string, Mutable<TracedCommand>[]>();
  for (const { id, pid, data, guestNs } of records) {
    const format = id === start?.id ? start : id === complete?.id ? complete : undefined;
    if (format === undefined) continue;
    const cdb = fieldOf(format, data, "cdb")?.subarray(0, 16);
    // LIO keeps the tag's four bytes as they came.
    const tag = wireNumber(fieldOf(format, data, "tag")?.subarray(0, 4));
    if (cdb === undefined || tag === undefined) continue;
    const mark = `${tag}:${cdb.toString("hex")}`;
    const same = open.get(mark) ?? [];
    if (format === start) {
      const lun = numberOf(fieldOf(format, data, "unpacked_lun")) ?? 0;
      const command: Mutable<TracedCommand> = {
        ...{ tag, cmdSN: undefined, lun, cdb, connection: `thread ${pid}`, receivedNs: guestNs, executedNs: guestNs },
        ...{ doneNs: undefined, status: undefined },
      };
      commands.push(command);
      open.set(mark, [...same, command]);
    } else {
      // Of two sessions' commands with one mark nobody can tell which one this is.
      const [only, another] = same;
      if (only !== undefined && another === undefined) {
        only.doneNs = guestNs;
        only.status = numberOf(fieldOf(format, data, "scsi_status"));
      }
      open.delete(mark);
    }
  }
  return commands;
};

/** All commands of a trace, in the order in which they were received. */
export const tracedCommands = (records: readonly TraceRecord[], formats: Formats): readonly TracedCommand[] =>
  formats.setup !== undefined && formats.execute !== undefined
    ? fromProbes(records, formats)
    : fromTracepoints(records, formats);
