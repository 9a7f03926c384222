import { expect, test } from "vitest";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { timelineOf } from "./lanes.ts";
import { cellFixture } from "./testing.ts";

const timeline = (o: Parameters<typeof cellFixture>[0] = {}) => {
  const { events, operations, findings } = cellFixture(o);
  return timelineOf(events, operations, findings);
};
const lanesOf = (group: string, o: Parameters<typeof cellFixture>[0] = {}) =>
  timeline(o).groups.find(g => g.title === group)?.lanes ?? [];

test("each generation of writes has a lane, and says what the findings say of it", () => {
  const lanes = lanesOf("I/O");
  expect(lanes.map(l => l.label)).toEqual(["generation 0", "generation 1", "generation 2", "reads", "backing reads"]);
  expect(lanes[1]?.note).toEqual({ text: "found in 256 sectors", tone: "alarm" });
  expect(lanes[2]?.note).toEqual({ text: "should be in 256 sectors", tone: "good" });
  expect(lanes[1]?.rows).toBe(32);
});

test("the orphaned socket stands out, and ends when it is gone", () => {
  const socket = lanesOf("path a").find(l => l.label === "socket");
  expect(socket?.bars.map(b => [b.text, b.tone])).toEqual([
    ["ESTAB", "good"],
    ["ESTAB, 130 KiB unsent", "warn"],
    ["orphan FIN-WAIT-1, 130 KiB unsent", "alarm"],
    ["orphan FIN-WAIT-2", "alarm"],
  ]);
  expect(socket?.bars.at(-1)?.open).toBe(false);
  expect(lanesOf("path a", { broken: false }).flatMap(l => l.bars.filter(b => b.tone === "alarm"))).toEqual([]);
});

test("what the target executed has a lane a path, and the commands that a finding names stand out", () => {
  const lanes = lanesOf("target executes", { staleSlots: 10 });
  expect(lanes.map(l => [l.label, l.bars.length, l.rows, l.note?.text])).toEqual([
    ["path a", 42, 1, "10 commands named"],
    ["path b", 64, 1, undefined],
  ]);
  expect(lanes[0]?.bars.filter(b => b.tone === "culprit")).toHaveLength(10);
  expect(lanes[0]?.bars.at(-1)?.detail).toMatch(
    /^the target executes write of LUN 0, sectors 72 to 79 \(a#1, CmdSN 145, tag 0x309\), < 1 ms after it came in, done < 1 ms later$/,
  );
  expect(lanesOf("target executes", { broken: false }).flatMap(l => l.bars.filter(b => b.tone === "culprit"))).toEqual(
    [],
  );
});

test("a power cut is a bar of its node, and blocked tasks are marks", () => {
  const lanes = lanesOf("nodes", { troubled: true });
  const power = lanes.find(l => l.label === "target's power")?.bars;
  expect(power?.map(b => [b.text, b.open])).toEqual([["cut", false]]);
  const blocked = lanes.find(l => l.label === "blocked tasks")?.bars;
  expect(blocked?.map(b => b.detail)).toEqual([
    "initiator: multipathd (pid 211) is blocked in io_schedule, blk_mq_get_tag, __blk_mq_alloc_requests, blk_mq_submit_bio and 1 more",
    expect.stringContaining("kworker/u4:2 (pid 230)"),
  ]);
});

test("a fault is shaded while it is in force, and to the edge if it never was healed", () => {
  const { events, operations } = cellFixture();
  const healed = timelineOf(events, operations, []);
  expect(healed.faults.map(f => [f.text, f.open])).toEqual([
    ["iscsid-kill#1", false],
    ["path-drop:a#1", false],
  ]);
  const unhealed = events.filter(([, e]) => !(e.kind === "fault" && e.action === "heal"));
  const open = timelineOf(unhealed, operations, []).faults[1];
  expect(open).toMatchObject({ open: true, to: healed.end });
});

test("the first view begins just before the first fault", () => {
  const { focus, faults, end } = timeline();
  expect(focus[0]).toBeLessThan(faults[0]?.from ?? 0);
  expect(focus[0]).toBeGreaterThan(3);
  expect(focus[1]).toBe(end);
});

test("the proof's marks are numbered as the finding numbers them", () => {
  const proof = lanesOf("cell").find(l => l.label === "proof");
  const { findings } = cellFixture();
  expect(proof?.bars.map(b => [b.text, b.line])).toEqual(findings[0]?.lines.map((line, i) => [String(i + 1), line]));
});

test("ten thousand writes with names of their own share one lane", () => {
  const events = Array.from({ length: 20_000 }, (_, i): NumberedEvent => {
    const op = i >> 1;
    return i % 2 === 0
      ? [i + 2, { t: i * 1000, kind: "invoke", op, action: "write", via: "initiator", sector: op, sectors: 1 }]
      : [i + 2, { t: i * 1000, kind: "ok", op }];
  });
  const { operations } = cellFixture();
  const many = new Map(
    [...Array(10_000).keys()].map(op => [op, { ...operations.get(1), op, from: op, to: op + 1 } as never]),
  );
  const names = new Map([...many].map(([op, o]) => [op, Object.assign(o, { label: `operation ${String(op)}` })]));
  const lanes = timelineOf(events, names, []).groups.find(g => g.title === "I/O")?.lanes;
  expect(lanes?.map(l => [l.label, l.rows])).toEqual([["writes", 1]]);
});

test("a history whose last line is not its last moment is drawn to the latest", () => {
  const { events, operations, findings } = cellFixture();
  const late: NumberedEvent = [9_999, { t: 1e9, kind: "note", text: "decoded afterwards" }];
  expect(timelineOf([...events, late], operations, findings).end).toBe(timelineOf(events, operations, findings).end);
});

test("an empty history has an empty timeline", () => {
  expect(timelineOf([], new Map(), [])).toMatchObject({ groups: [], faults: [] });
});
