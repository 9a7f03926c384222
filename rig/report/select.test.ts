import { expect, test } from "vitest";
import type { HistoryEvent } from "../history/event.ts";
import type { Selection } from "./bundle.ts";
import { BUDGETS, detailChooser, FULL_CELLS_OF_A_KIND, selectEvents } from "./select.ts";
import { staleWrite } from "./testdata/stale-write.ts";

const made = (o: Partial<Parameters<typeof staleWrite>[0]> = {}) =>
  staleWrite({ kernel: "debian-5.10", seed: 1, broken: true, ...o });

const kinds = (selection: Selection, kind: HistoryEvent["kind"]) =>
  selection.events.filter(([, e]) => e.kind === kind).length;

test("a history within the budget is shown whole, each event with its line", () => {
  const history = made();
  const selection = selectEvents(history, history.findings, BUDGETS.full);
  expect(selection.events).toHaveLength(history.events.length);
  expect(selection.events[0]?.[0]).toBe(2);
  expect(selection.total).toBe(history.events.length);
  expect(selection.left).toEqual({ operations: 0, consoleLines: 0, others: 0 });
});

test("ten thousand events are the limit, and what is left out is counted", () => {
  const history = made({ extraReads: 9_000 });
  const { events, total, left } = selectEvents(history, history.findings, BUDGETS.full);
  expect(total).toBeGreaterThan(18_000);
  expect(events.length).toBeLessThanOrEqual(10_000);
  expect(events.length).toBeGreaterThan(9_900);
  expect(left.operations * 2 + left.consoleLines + left.others).toBe(total - events.length);
});

test("what tells the story and what the findings cite stays under any pressure", () => {
  const history = made({ extraReads: 5_000 });
  const selection = selectEvents(history, history.findings, { events: 400, consoleLines: 5 });
  const lines = new Set(selection.events.map(([line]) => line));
  for (const line of history.findings.flatMap(f => f.lines)) expect(lines).toContain(line);
  const all = (kind: HistoryEvent["kind"]) => history.events.filter(e => e.kind === kind).length;
  for (const kind of ["fault", "session", "socket", "multipath", "phase"] as const) {
    expect(kinds(selection, kind)).toBe(all(kind));
  }
});

test("an operation stays or goes as a whole", () => {
  const history = made({ extraReads: 500 });
  for (const events of [150, 300, 555, 900]) {
    const selection = selectEvents(history, history.findings, { events, consoleLines: 3 });
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
  const selection = selectEvents(history, [], BUDGETS.light);
  expect(kinds(selection, "console")).toBe(BUDGETS.light.consoleLines);
  expect(selection.events.some(([, e]) => e.kind === "console" && e.line === "line 4999")).toBe(true);
});

test("a console line is one bounded line of printable characters", () => {
  const history = made({ consoleLines: [`\u001b[31mred\u202e ${"x".repeat(5_000)}`] });
  const selection = selectEvents(history, [], BUDGETS.full);
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
