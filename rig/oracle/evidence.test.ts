import { describe, expect, test } from "vitest";
import type { HistoryEvent } from "../history/event.ts";
import { evidenceProblems } from "./evidence.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";

const problems = (builder: HistoryBuilder) => evidenceProblems(builder.build());
const busy = () => new HistoryBuilder().write(1, { at: 1, ok: 50 });
const edge = (t: number, action: "inject" | "heal", end: "begin" | "end"): HistoryEvent => ({
  t: t * 1e9,
  kind: "fault",
  fault: "drop#1",
  action,
  edge: end,
  on: "path a",
});

describe("nothing to object to", () => {
  test("where the fault bit, is gone, and something was under way", () => {
    expect(problems(busy().fault("drop#1", 2, 5))).toEqual([]);
  });

  test("where nothing was broken at all", () => {
    expect(problems(busy())).toEqual([]);
  });

  test("where evidence was taken more than once and the last word is good", () => {
    const builder = busy()
      .add(edge(2, "inject", "begin"), edge(3, "inject", "end"))
      .evidence("drop#1", 4, { bit: true, gone: false })
      .add(edge(5, "heal", "begin"), edge(6, "heal", "end"))
      .evidence("drop#1", 7, { bit: false, gone: true });
    expect(problems(builder)).toEqual([]);
  });

  test("where one of two faults struck something", () => {
    const builder = new HistoryBuilder().write(1, { at: 1, ok: 3 }).fault("drop#1", 2, 5).fault("kill#1", 7, 8);
    expect(problems(builder)).toEqual([]);
  });
});

describe("a cell proves nothing", () => {
  test.each<[string, HistoryBuilder, string, string]>([
    [
      "where the fault left no evidence",
      busy().add(
        edge(2, "inject", "begin"),
        edge(3, "inject", "end"),
        edge(4, "heal", "begin"),
        edge(5, "heal", "end"),
      ),
      "drop#1 left no evidence",
      "no-bite",
    ],
    [
      "where it did not bite",
      busy()
        .add(edge(2, "inject", "begin"), edge(4, "heal", "end"))
        .evidence("drop#1", 5, { bit: false, gone: true }),
      "drop#1 did not bite: 12 packets dropped.",
      "no-bite",
    ],
    [
      "where it is not gone",
      busy()
        .add(edge(2, "inject", "begin"), edge(4, "heal", "end"))
        .evidence("drop#1", 5, { bit: true, gone: false }),
      "drop#1 was healed and is not gone",
      "not-gone",
    ],
    [
      "where it was never healed",
      busy().fault("drop#1", 2).evidence("drop#1", 3, { bit: true, gone: false }),
      "never healed",
      "not-gone",
    ],
    [
      "where nothing was ever invoked",
      new HistoryBuilder().fault("drop#1", 2, 5),
      "No operation was under way",
      "idle",
    ],
    [
      "where all was over before",
      new HistoryBuilder().write(1, { at: 1, ok: 2 }).fault("drop#1", 2, 5),
      "No operation",
      "idle",
    ],
    [
      "where all came after",
      new HistoryBuilder().write(1, { at: 5, ok: 6 }).fault("drop#1", 2, 5),
      "No operation",
      "idle",
    ],
  ])("%s", (_name, builder, words, kind) => {
    const found = problems(builder);
    expect(found).toHaveLength(1);
    expect(found[0]?.text).toContain(words);
    expect(found[0]?.kind).toBe(kind);
  });

  test("where the only reads were of the target's disk image", () => {
    const builder = new HistoryBuilder().read(1, { at: 1, ok: 9, via: "backing" }).fault("drop#1", 2, 5);
    expect(problems(builder).map(({ kind }) => kind)).toEqual(["idle"]);
  });

  test("where several faults struck nothing, each by its name", () => {
    const builder = new HistoryBuilder().write(1, { at: 1, ok: 2 }).fault("drop#1", 2, 5).fault("kill#1", 7, 8);
    expect(problems(builder)).toEqual([
      {
        kind: "idle",
        text: "No operation was under way while drop#1 or kill#1 was in force, so nothing was put to the test.",
      },
    ]);
  });

  test("an operation that nobody answered counts as under way", () => {
    expect(problems(new HistoryBuilder().write(1, { at: 1 }).fault("drop#1", 2, 5))).toEqual([]);
  });

  test("every objection is told", () => {
    const builder = new HistoryBuilder().add(edge(2, "inject", "begin"));
    expect(problems(builder)).toHaveLength(3);
  });
});
