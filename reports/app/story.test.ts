import { expect, test } from "vitest";
import { storyOf } from "./story.ts";
import { cellFixture } from "./testing.ts";

const told = (o: Parameters<typeof cellFixture>[0] = {}) => {
  const { events, operations, findings } = cellFixture(o);
  return storyOf(events, operations, findings);
};

test("the story of a stale write, in order", () => {
  const moments = told();
  const order = [
    /32 writes of generation 0 handed over, sectors 0 to 255/,
    /path-drop:a#1 takes hold/,
    /32 writes of generation 1 handed over/,
    /session of path a is FAILED/,
    /orphaned in FIN-WAIT-1 with 130 KiB still to send/,
    /dm-multipath: path a is failed/,
    /generation 1: all acknowledged, the slowest after 2.07 s/,
    /generation 2: all acknowledged/,
    /path-drop:a#1 is healed/,
    /The target executes 32 commands that came over path a, and with them the stale data/,
    /orphaned socket of path a .* has sent everything/,
    /Read back from both ends: 256 of 256 sectors hold what they must not: generation 1/,
  ];
  let from = 0;
  for (const words of order) {
    const at = moments.findIndex((m, i) => i >= from && words.test(m.text));
    expect(at, String(words)).toBeGreaterThanOrEqual(from);
    from = at;
  }
  expect(moments.filter(m => m.tone === "alarm")).toHaveLength(4);
});

test("a power cut, blocked tasks, what was left over and what stopped the cell are told in one line each", () => {
  const texts = told({ broken: false, troubled: true }).map(m => m.text);
  for (const words of [
    "The power of the target is cut",
    "On the initiator 2 tasks are blocked: multipathd, kworker/u4:2",
    "The cell was stopped: Expected every write to be answered within 8 s; 2 were not.",
    "On the initiator there are 3 sockets at the end, 2 at the beginning (new: 10.10.1.2:51990)",
  ])
    expect(texts).toContain(words);
  expect(texts.filter(text => text.includes("sessions at the end"))).toEqual([]);
});

test("a healthy kernel's story has no alarm", () => {
  const moments = told({ broken: false });
  expect(moments.filter(m => m.tone === "alarm")).toEqual([]);
  expect(moments.at(-1)?.text).toBe("Read back from both ends: nothing wrong in 256 sectors");
});

test("writes that nobody answered are said to be so", () => {
  const { events, findings, operations } = cellFixture({ broken: false });
  for (const o of operations.values()) if (o.label === "generation 2") o.outcome = "unanswered";
  expect(storyOf(events, operations, findings).map(m => m.text)).toContain("generation 2: 32 writes never answered");
});
