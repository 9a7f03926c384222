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
    /orphaned socket of path a .* has sent everything/,
    /Read back from both ends: 256 of 256 sectors hold what they must not: generation 1/,
  ];
  let from = 0;
  for (const words of order) {
    const at = moments.findIndex((m, i) => i >= from && words.test(m.text));
    expect(at, String(words)).toBeGreaterThanOrEqual(from);
    from = at;
  }
  expect(moments.filter(m => m.tone === "alarm")).toHaveLength(3);
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
