import { describe, expect, test } from "vitest";
import type { HistoryEvent } from "../history/event.ts";
import { errorsOracle } from "./errors.ts";
import { findingSchema } from "./finding.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";

const judge = (builder: HistoryBuilder) => {
  const judgement = errorsOracle.judge(builder.build());
  for (const finding of judgement.findings) findingSchema.parse(finding);
  expect(judgement.blind).toBeUndefined();
  return judgement.findings;
};
const wrong = (builder: HistoryBuilder): boolean => judge(builder).length === 1;

/** Commands wait 10 s for their session. */
const begin = (queues: boolean) =>
  new HistoryBuilder().limits(0, 40_000, { replacementMs: 10_000, queues }).loggedIn(0.5);
const queueing = () => begin(true);
const failing = () => begin(false);
/** Device 1 is path a alone. */
const alone = () =>
  failing().add({ t: 0, kind: "device", id: 1, name: "sda", lun: 0, sectors: 64, cache: "none", path: "a" });

const down = (builder: HistoryBuilder, path: "a" | "b", from: number, to?: number) => {
  builder.session(from, path, "FAILED");
  return to === undefined ? builder : builder.session(to, path, "LOGGED_IN");
};
const faultOn = (on: string, from: number, to?: number): HistoryEvent[] => [
  { t: from * 1e9, kind: "fault", fault: `${on}#1`, on, action: "inject", edge: "begin" },
  ...(to === undefined
    ? []
    : [{ t: to * 1e9, kind: "fault", fault: `${on}#1`, on, action: "heal", edge: "end" } as const]),
];

test("without an error there is nothing to find", () => {
  expect(judge(queueing().write(1, { at: 1, ok: 2 }).write(2, { at: 3 }))).toEqual([]);
  expect(judge(new HistoryBuilder())).toEqual([]);
});

describe("a map that queues excuses nothing", () => {
  test("neither a fault on a path, nor on both, nor iscsid's death", () => {
    const cells = [
      queueing(),
      down(queueing(), "a", 2).add(...faultOn("path a", 1)),
      down(down(queueing(), "a", 2), "b", 2).add(
        ...faultOn("path a", 1),
        ...faultOn("path b", 1),
        ...faultOn("iscsid", 1),
      ),
    ];
    for (const cell of cells) expect(wrong(cell.write(1, { at: 20, fail: 30 }))).toBe(true);
  });

  test("and the finding tells how its paths were", () => {
    const cell = down(queueing(), "a", 2, 25)
      .fault("path-drop:a#1", 1, 24)
      .write(1, { at: 11, fail: 12, error: "EIO" });
    const [finding] = judge(cell.write(2, { at: 11, fail: 13 }));
    expect(finding).toMatchObject({
      oracle: "errors",
      class: "io-error",
      title: "I/O errors that multipath had to hide",
    });
    expect(finding?.explanation).toBe(
      'Write 1 was invoked at 11.000 s and failed at 12.000 s with "EIO", 10.900 s after path-drop:a#1 was injected. ' +
        "Expected: the map keeps what finds no path until there is one; and nothing else was broken on purpose. " +
        "Meanwhile path a could carry nothing from 11.000 s to 25.000 s, and path b could carry data all the time. " +
        "2 operations failed like that.",
    );
  });
});

describe("what was broken on purpose excuses any error", () => {
  test.each([
    ["the target", faultOn("target", 5, 6)],
    ["its disk", faultOn("disk", 5)],
    ["a thing that nobody knows", faultOn("moon phase", 5, 6)],
    [
      "the target's power",
      [
        { t: 5e9, kind: "power-cut", node: "target", edge: "begin" },
        { t: 6e9, kind: "power-cut", node: "target", edge: "end" },
      ] as HistoryEvent[],
    ],
  ])("%s", (_name, events) => {
    const cell = (at: number, fail: number) =>
      queueing()
        .add(...events)
        .write(1, { at, fail });
    expect(wrong(cell(1, 4))).toBe(true);
    expect(wrong(cell(1, 5.5))).toBe(false);
    expect(wrong(cell(10, 11))).toBe(false);
  });

  test("but not for ever: what was mended is as whole as before", () => {
    expect(
      wrong(
        queueing()
          .add(...faultOn("target", 5, 6))
          .write(1, { at: 47, fail: 48 }),
      ),
    ).toBe(true);
    expect(
      wrong(
        queueing()
          .add(...faultOn("target", 5))
          .write(1, { at: 47, fail: 48 }),
      ),
    ).toBe(false);
  });
});

describe("a map that does not queue", () => {
  const both = (a: [number, number?], b: [number, number?]) => down(down(failing(), "a", ...a), "b", ...b);

  test.each<[string, HistoryBuilder, boolean]>([
    ["where both paths are in order", failing(), true],
    ["where one path is", down(failing(), "a", 2), true],
    ["where both have been lost for too short a time", both([15], [15]), true],
    ["where one has", both([2], [15]), true],
    ["where both have been lost for long", both([5], [5]), false],
    ["where they were never lost at the same time", both([2, 14], [14, 30]), true],
    ["where they were, before", both([1, 15], [1, 15]), true],
    ["where one is back but not in use", both([1, 15], [5]).multipath(2, "a", "failed"), false],
    ["where it is in use again", both([1, 15], [5]).multipath(2, "a", "failed").multipath(16, "a", "active"), true],
    ["where one was logged out, and the other lost", down(failing(), "a", 5).session(5, "b", "gone"), false],
  ])("%s", (_name, builder, expected) => {
    expect(wrong(builder.write(1, { at: 20, fail: 21 }))).toBe(expected);
  });

  test("of which the history does not say whether it queues is judged as one that does not", () => {
    const unknown = down(down(new HistoryBuilder().limits(0, 40_000).loggedIn(0.5), "a", 2), "b", 2);
    expect(wrong(unknown.write(1, { at: 20, fail: 21 }))).toBe(false);
  });
});

describe("a path alone", () => {
  test.each<[string, HistoryBuilder, boolean]>([
    ["in order", alone(), true],
    ["while the other one is lost", down(alone(), "b", 2), true],
    ["lost for too short a time", down(alone(), "a", 15), true],
    ["lost, and back in time", down(alone(), "a", 2, 9), true],
    ["lost for long", down(alone(), "a", 5), false],
    ["lost for long, and back before", down(alone(), "a", 2, 15), true],
    ["whose device is offline", alone().session(19, "a", "LOGGED_IN", "offline"), false],
    [
      "whose device is running again",
      alone().session(5, "a", "FAILED", "transport-offline").session(15, "a", "LOGGED_IN"),
      true,
    ],
    ["logged out", alone().session(19, "a", "gone"), false],
  ])("%s", (_name, builder, expected) => {
    expect(wrong(builder.write(1, { at: 20, fail: 21, device: 1 }))).toBe(expected);
  });

  test("may have been told of a moment after the error: the watch is late", () => {
    const seen = (at: number) => alone().write(1, { at: 20, fail: 21, device: 1 }).session(at, "a", "FREE", "offline");
    expect(wrong(seen(21.5))).toBe(false);
    expect(wrong(seen(21.6))).toBe(true);
  });

  test("says that the recovery timeout had to hide it", () => {
    const [finding] = judge(alone().write(1, { at: 20, fail: 21, device: 1 }));
    expect(finding?.title).toBe("I/O errors that the recovery timeout had to hide");
    expect(finding?.explanation).toContain(
      "the session of path a has been lost for as long as its commands wait for it",
    );
  });
});

describe("no I/O error is", () => {
  test.each<[string, HistoryBuilder]>([
    ["a failed read of the disk image", queueing().read(1, { at: 1, fail: 2, via: "backing" })],
    [
      "a failed read of the final read-back: that is unreadable",
      queueing().fault("x#1", 1).phase("read-back", 4, 9).read(1, { at: 5, fail: 6 }),
    ],
    [
      "a discard that the device does not know",
      queueing().add(
        { t: 1e9, kind: "invoke", op: 1, action: "discard", via: "initiator", sector: 0, sectors: 8 },
        { t: 2e9, kind: "fail", op: 1, error: "ENOTSUP" },
      ),
    ],
    ["the NBD server's own end", queueing().write(1, { at: 1, fail: 2, error: "ESHUTDOWN" })],
    [
      "what comes after a node died",
      queueing().add({ t: 1.5e9, kind: "node", node: "target", state: "off" }).write(1, { at: 1, fail: 2 }),
    ],
  ])("%s", (_name, builder) => {
    expect(judge(builder)).toEqual([]);
  });

  test("but a write that is not supported is one, and so is a read while something is broken", () => {
    expect(wrong(queueing().write(1, { at: 1, fail: 2, error: "ENOTSUP" }))).toBe(true);
    expect(wrong(queueing().fault("x#1", 1, 9).read(1, { at: 2, fail: 3 }))).toBe(true);
  });

  test("nor is a read that fails after everything was healed, unless its path is not back yet", () => {
    const healed = () => down(alone(), "a", 2, 17).fault("path-drop:a#1", 1, 10).phase("read-back", 20, 21);
    expect(wrong(healed().read(1, { at: 14, fail: 15, device: 1 }))).toBe(false);
    expect(wrong(healed().read(1, { at: 18, fail: 19, device: 1 }))).toBe(true);
  });
});
