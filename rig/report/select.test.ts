import { expect, test } from "vitest";
import type { HistoryEvent } from "../history/event.ts";
import { ACTION, STATE } from "../history/operations.ts";
import type { Selection } from "./bundle.ts";
import { BUDGETS, detailChooser, FULL_CELLS_OF_A_KIND, selectEvents } from "./select.ts";
import { staleWrite } from "./testdata/stale-write.ts";

const made = (o: Partial<Parameters<typeof staleWrite>[0]> = {}) =>
  staleWrite({ kernel: "debian-5.10", seed: 1, broken: true, ...o });

const select = ({ history, findings }: ReturnType<typeof made>, budget = BUDGETS.full) =>
  selectEvents(history, findings, budget);

const kinds = (selection: Selection, kind: HistoryEvent["kind"]) =>
  selection.events.filter(([, e]) => e.kind === kind).length;

test("a history within the budget is shown whole, each event with its line", () => {
  const cell = made();
  const selection = select(cell);
  expect(selection.events).toEqual(cell.events.map((event, index) => [index + 2, event]));
  expect(selection.total).toBe(cell.events.length);
  expect(selection.left).toEqual({ operations: 0, consoleLines: 0, commands: 0, others: 0 });
});

test("ten thousand events are the limit, and what is left out is counted", () => {
  const history = made({ extraReads: 9_000 });
  const { events, total, left } = select(history);
  expect(total).toBeGreaterThan(18_000);
  expect(events.length).toBeLessThanOrEqual(10_000);
  expect(events.length).toBeGreaterThan(9_900);
  expect(left.operations * 2 + left.consoleLines + left.commands + left.others).toBe(total - events.length);
});

test("what tells the story and what the findings cite stays under any pressure", () => {
  const history = made({ extraReads: 5_000 });
  const selection = select(history, { events: 400, consoleLines: 5 });
  const lines = new Set(selection.events.map(([line]) => line));
  for (const line of history.findings.flatMap(f => f.lines)) expect(lines).toContain(line);
  const all = (kind: HistoryEvent["kind"]) => history.events.filter(e => e.kind === kind).length;
  for (const kind of ["fault", "session", "socket", "multipath", "phase"] as const) {
    expect(kinds(selection, kind)).toBe(all(kind));
  }
});

test("the commands that a finding names stay, and of the others those that touched its sectors come first", () => {
  const cell = made({ extraReads: 5_000, staleSlots: 4 });
  const named = cell.findings.flatMap(f => f.extents ?? []).flatMap(e => e.commands ?? []);
  expect(named).toHaveLength(8);
  const commands = ({ events }: Selection) => events.flatMap(([, e]) => (e.kind === "command" ? [e] : []));
  const tight = select(cell, { events: 400, consoleLines: 5 });
  for (const { executedNs } of named) expect(commands(tight).map(({ t }) => t)).toContain(executedNs);
  expect(tight.left.commands).toBeGreaterThan(50);
  const room = select(made({ staleSlots: 4 }), { events: 250, consoleLines: 200 });
  expect(room.left.commands).toBeGreaterThan(0);
  expect(commands(room).filter(e => e.sector < 4 * 8)).toHaveLength(16);
});

test("a history of a million operations is no larger a page", () => {
  const { history, findings } = made();
  const { operations } = history;
  const line = history.events.length + operations.count * 2;
  const [first, count] = [operations.count + 1, 1_000_000];
  for (let op = first; op < first + count; op++) {
    operations.invoke(op, ACTION.write, 0, 0, op % 256, 1, 0, 9e9 + op, line + 2 * op);
    operations.answer(op, op % 1000 === 0 ? STATE.fail : STATE.ok, 9e9 + op + 10, line + 2 * op + 1);
  }
  const { events, total, left } = selectEvents(history, findings, BUDGETS.full);
  expect(total).toBeGreaterThan(2_000_000);
  expect(events.length).toBeLessThanOrEqual(BUDGETS.full.events);
  expect(left.operations).toBeGreaterThan(990_000);
  // Those that failed come before those that did not.
  expect(events.filter(([, e]) => e.kind === "fail")).toHaveLength(1_000);
});

test("an operation stays or goes as a whole", () => {
  const history = made({ extraReads: 500 });
  for (const events of [150, 300, 555, 900]) {
    const selection = select(history, { events, consoleLines: 3 });
    const open = new Set<number>();
    for (const [, event] of selection.events) {
      if (event.kind === "invoke") open.add(event.op);
      else if (event.kind === "ok" || event.kind === "fail") expect(open.delete(event.op)).toBe(true);
    }
    expect(open.size).toBe(0);
  }
});

test("of a long console the end stays", () => {
  const history = made({ consoleLines: Array.from({ length: 5_000 }, (_, i) => `line ${i}`) });
  const selection = selectEvents(history.history, [], BUDGETS.light);
  expect(kinds(selection, "console")).toBe(BUDGETS.light.consoleLines);
  expect(selection.events.some(([, e]) => e.kind === "console" && e.line === "line 4999")).toBe(true);
});

test("a console line is one bounded line of printable characters", () => {
  const history = made({ consoleLines: [`\u001b[31mred\u202e ${"x".repeat(5_000)}`] });
  const selection = selectEvents(history.history, [], BUDGETS.full);
  const line =
    selection.events.flatMap(([, e]) => (e.kind === "console" && e.line.includes("xxx") ? [e.line] : []))[0] ?? "";
  expect(line.startsWith("red x")).toBe(true);
  expect(line.length).toBeLessThanOrEqual(2_000);
});

test("the first failures of a kind are full, later ones and healthy cells light", () => {
  const choose = detailChooser();
  const cell = {
    scenario: "recovery/stale-write",
    kernel: "k",
    seed: 1,
    findings: [],
    phases: [],
    durationMs: 1,
    directory: "cells/x",
  };
  const details = Array.from({ length: FULL_CELLS_OF_A_KIND + 2 }, () => choose({ ...cell, status: "FAIL" }));
  expect(details).toEqual([...Array.from({ length: FULL_CELLS_OF_A_KIND }, () => "full"), "light", "light"]);
  expect(choose({ ...cell, status: "PASS" })).toBe("light");
  expect(choose({ ...cell, status: "FAIL", kernel: "other" })).toBe("full");
});
