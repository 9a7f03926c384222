import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import type { History, HistoryEvent } from "./event.ts";
import { allHealedNs, endNs, eventsOf, faultsOf, operationsOf, phaseOf, seconds } from "./view.ts";

const historyOf = (...events: HistoryEvent[]): History => ({
  header: {
    kind: "header",
    version: 1,
    run: "r",
    scenario: "s",
    kernel: "k",
    seed: 1,
    startedAt: "2024-01-01T00:00:00Z",
    monotonicStartNs: "0",
  },
  events,
});
const invoke = (t: number, op: number): HistoryEvent => ({
  t,
  kind: "invoke",
  op,
  action: "write",
  via: "initiator",
  sector: 8,
  sectors: 8,
  label: "generation 1",
});
const fault = (t: number, name: string, action: "inject" | "heal", edge: "begin" | "end"): HistoryEvent => ({
  t,
  kind: "fault",
  fault: name,
  action,
  edge,
  on: "path a",
});

describe("operations", () => {
  test("are joined from their events, with their lines", () => {
    const history = historyOf(
      { t: 0, kind: "note", text: "hello" },
      invoke(1, 1),
      invoke(2, 2),
      invoke(3, 3),
      { t: 4, kind: "ok", op: 2 },
      { t: 5, kind: "fail", op: 1, error: "I/O error" },
    );
    const operations = operationsOf(history);
    expect([...operations.keys()]).toEqual([1, 2, 3]);
    expect(operations.get(1)).toMatchObject({
      state: "fail",
      invokeLine: 3,
      doneLine: 7,
      doneNs: 5,
      error: "I/O error",
    });
    expect(operations.get(2)).toMatchObject({
      state: "ok",
      invokeNs: 2,
      doneNs: 4,
      doneLine: 6,
      label: "generation 1",
    });
    expect(operations.get(3)).toMatchObject({ state: "unanswered", doneNs: Number.POSITIVE_INFINITY, fua: false });
  });

  test.each<[string, HistoryEvent[]]>([
    ["a number used twice", [invoke(1, 1), invoke(2, 1)]],
    ["an answer to nothing", [{ t: 1, kind: "ok", op: 1 }]],
    ["a second answer", [invoke(1, 1), { t: 2, kind: "ok", op: 1 }, { t: 3, kind: "fail", op: 1, error: "x" }]],
    ["an answer before the question", [invoke(5, 1), { t: 2, kind: "ok", op: 1 }]],
  ])("%s is a contradiction", (_name, events) => {
    expect(() => operationsOf(historyOf(...events))).toThrow(RigError);
  });
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
    expect(allHealedNs(faultsOf(history))).toBe(Number.POSITIVE_INFINITY);
    expect(allHealedNs(drop === undefined ? [] : [drop])).toBe(8);
    expect(allHealedNs([])).toBe(Number.NEGATIVE_INFINITY);
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
