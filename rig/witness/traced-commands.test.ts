import { describe, expect, test } from "vitest";
import { requestOf } from "./cdb.ts";
import { formatsOf, LABS, recorded, recordedCommands } from "./testdata/recorded.ts";
import type { TraceFormat } from "./trace-format.ts";
import { readTraceRing, type TraceRecord } from "./trace-ring.ts";
import { tracedCommands } from "./traced-commands.ts";

describe("the commands of a trace", () => {
  test.each(LABS)("of %s were received, executed and answered in this order", lab => {
    const commands = recordedCommands(lab).filter(({ executedNs }) => executedNs !== undefined);
    expect(commands.length).toBeGreaterThan(90);
    for (const { receivedNs, executedNs, doneNs, status } of commands) {
      expect(executedNs).toBeGreaterThanOrEqual(receivedNs);
      expect(doneNs).toBeGreaterThan(executedNs ?? Number.POSITIVE_INFINITY);
      expect(status).toBe(0);
    }
    expect(new Set(commands.map(({ connection }) => connection)).size).toBe(2);
  });

  test.each(LABS)("of %s have numbers that follow one another on each connection", lab => {
    for (const connection of new Set(recordedCommands(lab).map(command => command.connection))) {
      const numbers = recordedCommands(lab)
        .filter(command => command.connection === connection)
        .map(({ cmdSN }) => cmdSN ?? 0);
      expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
    }
  });

  test("show the dead path's writes executed after the living one's, on a kernel that lets them", () => {
    const commands = recordedCommands("debian-5.10").filter(({ executedNs }) => executedNs !== undefined);
    const [first] = commands;
    const last = commands.findLast(
      ({ connection, cdb }) => connection === first?.connection && requestOf(cdb).action === "write",
    );
    const newer = commands.filter(
      ({ connection, cdb }) => connection !== first?.connection && last !== undefined && cdb.equals(last.cdb),
    );
    expect(newer.length).toBeGreaterThan(0);
    expect(newer.every(({ executedNs }) => (executedNs ?? 0) < (last?.executedNs ?? 0))).toBe(true);
  });

  test("that never reached the disk have no time of execution", () => {
    // The connection was closed in the middle of the last write's data.
    const without = recordedCommands("debian-5.10").filter(({ executedNs }) => executedNs === undefined);
    expect(without).toHaveLength(1);
    expect(without[0]).toMatchObject({ doneNs: undefined, status: undefined });
  });

  test("of memory that another connection got are that one's", () => {
    const formats = formatsOf("debian-5.10");
    const { records } = readTraceRing([recorded("debian-5.10.ring")]);
    const [first, second] = records.filter(({ id }) => id === formats.setup?.id);
    const { close, setup } = formats;
    if (first === undefined || second === undefined || close === undefined || setup === undefined)
      throw new Error("no setup");
    const data = Buffer.alloc(24);
    first.data.copy(
      data,
      close.fields.get("conn")?.offset ?? 0,
      setup.fields.get("conn")?.offset,
      (setup.fields.get("conn")?.offset ?? 0) + 8,
    );
    const closing: TraceRecord = { guestNs: first.guestNs + 1, id: close.id, pid: 1, data };
    const [before, after] = tracedCommands([first, closing, second], formats);
    expect(before?.connection).not.toBe(after?.connection);
    const [one, other] = tracedCommands([first, second], formats);
    expect(one?.connection).toBe(other?.connection);
  });
});

/** The two tracepoints, as a kernel without probes has them. */
const POINTS = (id: number, more: Readonly<Record<string, readonly [number, number]>> = {}): TraceFormat => ({
  id,
  fields: new Map(
    Object.entries({ unpacked_lun: [8, 4], tag: [16, 8], cdb: [24, 32], ...more }).map(
      ([name, [offset, size]]) => [name, { offset: offset ?? 0, size: size ?? 0 }] as const,
    ),
  ),
});
const record = (id: number, pid: number, guestNs: number, tag: number, sector: number, status = 0): TraceRecord => {
  const data = Buffer.alloc(60);
  data.writeUInt32BE(tag, 16);
  data.writeUInt8(0x2a, 24);
  data.writeUInt32BE(sector, 26);
  data.writeUInt8(status, 56);
  return { guestNs, id, pid, data };
};

describe("a kernel without probes", () => {
  const formats = { start: POINTS(1), complete: POINTS(2, { scsi_status: [56, 1] }) };

  test("tells of commands by thread, and when they were understood", () => {
    const [command] = tracedCommands([record(1, 7, 10, 0x2b000000, 8), record(2, 9, 30, 0x2b000000, 8, 2)], formats);
    expect(command).toMatchObject({
      tag: 0x2b000000,
      cmdSN: undefined,
      connection: "thread 7",
      executedNs: 10,
      doneNs: 30,
    });
    expect(command?.status).toBe(2);
  });

  test("does not say which of two alike was answered", () => {
    const commands = tracedCommands([record(1, 7, 10, 1, 8), record(1, 8, 11, 1, 8), record(2, 9, 30, 1, 8)], formats);
    expect(commands.map(({ doneNs }) => doneNs)).toEqual([undefined, undefined]);
  });
});

test("records that are too short, or of no known event, are no commands", () => {
  const { setup } = formatsOf("debian-5.10");
  const short: TraceRecord = { guestNs: 1, id: setup?.id ?? 0, pid: 1, data: Buffer.alloc(20) };
  expect(tracedCommands([short, { ...short, id: 9 }], formatsOf("debian-5.10"))).toEqual([]);
});
