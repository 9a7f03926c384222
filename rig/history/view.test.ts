import { describe, expect, test } from "vitest";
import { historyOf as historyOfEvents } from "./collect.ts";
import type { HistoryEvent } from "./event.ts";
import { HEADER } from "./testdata/histories.ts";
import { endedNs, endNs, eventsOf, faultsOf, heldUpNs, phaseOf, seconds } from "./view.ts";

const historyOf = (...events: HistoryEvent[]) => historyOfEvents(HEADER, events);
const fault = (t: number, name: string, action: "inject" | "heal", edge: "begin" | "end"): HistoryEvent => ({
  t,
  kind: "fault",
  fault: name,
  action,
  edge,
  on: "path a",
});

describe("faults", () => {
  test("are joined from their edges and evidence", () => {
    const history = historyOf(
      fault(1, "drop#1", "inject", "begin"),
      fault(2, "drop#1", "inject", "end"),
      fault(3, "kill#1", "inject", "begin"),
      fault(7, "drop#1", "heal", "begin"),
      fault(8, "drop#1", "heal", "end"),
      { t: 9, kind: "evidence", fault: "drop#1", bit: true, gone: true, text: "7 packets", counters: { packets: 7 } },
    );
    const [drop, kill, ...rest] = faultsOf(history);
    expect(rest).toEqual([]);
    expect(drop).toMatchObject({ fault: "drop#1", on: "path a", injectBegin: { line: 2 }, healEnd: { line: 6 } });
    expect(drop?.evidence).toHaveLength(1);
    expect(kill).toMatchObject({ fault: "kill#1", healBegin: undefined, evidence: [] });
  });
});

test("phases, the end, and events of a kind", () => {
  const history = historyOf(
    { t: 4, kind: "phase", name: "read-back", edge: "begin" },
    { t: 9, kind: "phase", name: "read-back", edge: "end" },
    { t: 6, kind: "phase", name: "collect", edge: "begin" },
  );
  expect(phaseOf(history, "read-back")).toEqual({ beginNs: 4, endNs: 9 });
  expect(phaseOf(history, "collect")).toEqual({ beginNs: 6, endNs: Number.POSITIVE_INFINITY });
  expect(phaseOf(history, "lab")).toBeUndefined();
  expect(endNs(history)).toBe(9);
  expect(eventsOf(history, "phase").map(({ line }) => line)).toEqual([2, 3, 4]);
  expect(seconds(12_345_678_901)).toBe("12.346 s");
});

test("events of a kind come with their lines, operations between them or not", () => {
  const history = historyOf(
    { t: 1, kind: "note", text: "one" },
    { t: 2, kind: "invoke", op: 1, action: "flush", via: "initiator", sector: 0, sectors: 0 },
    { t: 3, kind: "ok", op: 1 },
    { t: 4, kind: "note", text: "two" },
  );
  expect(eventsOf(history, "note")).toEqual([
    { event: { t: 1, kind: "note", text: "one" }, line: 2 },
    { event: { t: 4, kind: "note", text: "two" }, line: 5 },
  ]);
});

test("the end is the last event, invocation or answer", () => {
  const note: HistoryEvent = { t: 5, kind: "note", text: "x" };
  const invoke: HistoryEvent = {
    t: 7,
    kind: "invoke",
    op: 1,
    action: "flush",
    via: "initiator",
    sector: 0,
    sectors: 0,
  };
  expect(endNs(historyOf())).toBe(0);
  expect(endNs(historyOf(note))).toBe(5);
  expect(endNs(historyOf(note, invoke))).toBe(7);
  expect(endNs(historyOf(note, invoke, { t: 9, kind: "ok", op: 1 }))).toBe(9);
});

test("nodes that ended before the device was opened do not count", () => {
  const off = (t: number, node: "initiator" | "target"): HistoryEvent => ({ t, kind: "node", node, state: "off" });
  const open: HistoryEvent = { t: 5, kind: "phase", name: "open", edge: "begin" };
  const history = historyOf(off(1, "target"), open, off(6, "target"), off(7, "initiator"));
  expect(endedNs(history)).toEqual([6, 7]);
  expect(endedNs(history, "initiator")).toEqual([7]);
});

test("instruments hold up by the most that each was set to, together", () => {
  const set = (t: number, name: string, ms: number): HistoryEvent => ({ t, kind: "instrument", name, ms });
  const history = historyOf(set(1, "x", 5), set(2, "y", 1), set(3, "x", 2), set(9, "y", 50));
  expect(heldUpNs(history, 0)).toBe(0);
  expect(heldUpNs(history, 3)).toBe(6e6);
  expect(heldUpNs(history, 9)).toBe(55e6);
});
