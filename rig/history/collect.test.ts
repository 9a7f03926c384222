import { expect, test } from "vitest";
import { historyOf } from "./collect.ts";
import type { HistoryEvent } from "./event.ts";
import { HEADER } from "./testdata/histories.ts";

const invoke = (
  t: number,
  op: number,
  more: Partial<Extract<HistoryEvent, { kind: "invoke" }>> = {},
): HistoryEvent => ({
  t,
  kind: "invoke",
  op,
  action: "write",
  via: "initiator",
  sector: 8,
  sectors: 8,
  ...more,
});

test("operations are joined from their events, with their lines; all others keep their order", () => {
  const history = historyOf(HEADER, [
    { t: 0, kind: "note", text: "hello" },
    invoke(1, 1, { label: "generation 1", fua: true }),
    invoke(2, 2, { action: "read", via: "backing", device: 3 }),
    invoke(3, 3),
    { t: 4, kind: "ok", op: 2, content: [{ is: "foreign", at: 8, n: 8, head: "00" }] },
    { t: 5, kind: "fail", op: 1, error: "I/O error" },
    { t: 6, kind: "note", text: "bye" },
  ]);
  expect(history).toMatchObject({ header: HEADER, lines: [2, 8], damage: [], truncated: false });
  expect(history.events.map(({ t }) => t)).toEqual([0, 6]);
  const [first, second, third, ...rest] = history.operations;
  expect(rest).toEqual([]);
  expect(first).toMatchObject({ state: "fail", invokeLine: 3, doneLine: 7, doneNs: 5, error: "I/O error", fua: true });
  expect(first?.label).toBe("generation 1");
  expect(second).toMatchObject({ state: "ok", invokeNs: 2, doneNs: 4, doneLine: 6, via: "backing", device: 3 });
  expect(second?.content).toEqual([{ is: "foreign", at: 8, n: 8, head: "00" }]);
  expect(third).toMatchObject({ state: "unanswered", doneNs: Number.POSITIVE_INFINITY, fua: false, device: 0 });
});

test.each<[string, HistoryEvent[], number, RegExp]>([
  ["a number used twice", [invoke(1, 1), invoke(2, 1)], 3, /^invokes operation 1 a second time/],
  ["an answer to nothing", [{ t: 1, kind: "ok", op: 1 }], 2, /^answers operation 1, which was never invoked$/],
  [
    "a second answer",
    [invoke(1, 1), { t: 2, kind: "ok", op: 1 }, { t: 3, kind: "fail", op: 1, error: "x" }],
    4,
    /^answers operation 1 a second time$/,
  ],
  ["an answer before the question", [invoke(5, 1), { t: 2, kind: "ok", op: 1 }], 3, /before its invocation$/],
  ["an address that there cannot be", [invoke(1, 1, { sector: 2 ** 40 })], 2, /beyond the last sector/],
])("%s is damage, and is left out", (_name, events, line, problem) => {
  const history = historyOf(HEADER, [...events, { t: 9, kind: "note", text: "after" }]);
  expect(history.damage).toEqual([{ line, problem: expect.stringMatching(problem) as string }]);
  expect(history.events).toHaveLength(1);
  expect(history.operations.contents.count).toBe(0);
});
