import { describe, expect, test } from "vitest";
import { findingSchema } from "./finding.ts";
import { sessionOracle } from "./session.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";

const judge = (builder: HistoryBuilder) => {
  const { findings, blind } = sessionOracle.judge(builder.build());
  expect(blind).toBeUndefined();
  for (const finding of findings) findingSchema.parse(finding);
  return findings;
};
const unnoticed = (builder: HistoryBuilder) => judge(builder).filter(({ class: name }) => name === "unnoticed");

/** A dead connection is noticed in 2 s; with 10 s to spare that makes 12. */
const limited = (more: { noopMs?: number }) =>
  new HistoryBuilder().limits(0, 40_000, { noticeMs: 2000, ...more }).loggedIn(0.5);
const start = () => limited({ noopMs: 1000 });
const cut = (from: number, to: number) => start().fault("path-drop:a#1", from, to).note(99);

describe("a dead connection that nobody noticed", () => {
  test("is a finding once the time is over", () => {
    const [finding, ...rest] = unnoticed(cut(1, 20));
    expect(rest).toEqual([]);
    expect(finding?.title).toBe("a dead connection was not noticed");
    expect(finding?.explanation).toBe(
      "path-drop:a#1 let nothing through on path a from 1.100 s to 20.000 s. Expected: the kernel takes session 1 of path a " +
        "down within 12.000 s, for the configuration has it notice a dead connection in 2000 ms. It was not.",
    );
  });

  test("is one too if it was noticed much too late", () => {
    const [finding] = unnoticed(cut(1, 20).session(18, "a", "FAILED").session(21, "a", "LOGGED_IN"));
    expect(finding?.explanation).toContain("It was only at 18.000 s.");
  });
});

describe("nothing went unnoticed", () => {
  test.each<[string, HistoryBuilder]>([
    ["where it was noticed in time", cut(1, 20).session(3, "a", "FAILED").session(21, "a", "LOGGED_IN")],
    ["where the path was cut for too short a time", cut(1, 12)],
    ["where the session was down already", cut(3, 20).session(2, "a", "FAILED").session(21, "a", "LOGGED_IN")],
    ["where it was logged out", cut(1, 20).logout(5, 6, 0).session(6, "a", "gone")],
    ["where nobody asks: NOP-Outs are off", limited({}).fault("path-drop:a#1", 1, 20).note(99)],
    ["where an instrument holds it up", cut(1, 20).add({ t: 0, kind: "instrument", name: "slow-stop", ms: 9000 })],
    ["where the fault lets something through", start().fault("path-delay:a#1", 1, 20).note(99)],
    ["where the history does not say by when", new HistoryBuilder().loggedIn(0.5).fault("path-drop:a#1", 1, 20)],
    [
      "where nothing was dropped",
      start()
        .fault("path-drop:a#1", 1)
        .add({ t: 20e9, kind: "fault", fault: "path-drop:a#1", action: "heal", edge: "begin", on: "path a" })
        .evidence("path-drop:a#1", 20.1, { bit: false, gone: true }),
    ],
  ])("%s", (_name, builder) => {
    expect(unnoticed(builder)).toEqual([]);
  });
});
