import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { followQueuePair, type QueuePairState, queuePairsAreQuiet, requireQueuePairs } from "./queue-pair.ts";

const near = (more: Partial<QueuePairState> = {}): QueuePairState => ({
  node: "initiator",
  path: "a",
  number: 17,
  peer: 18,
  state: "RTS",
  sent: 100,
  received: 200,
  ...more,
});
const far = (more: Partial<QueuePairState> = {}): QueuePairState =>
  near({ node: "target", number: 18, peer: 17, sent: 200, received: 100, ...more });

describe("following a queue pair", () => {
  test("the furthest packet counts, across the end of the numbers too", () => {
    const furthest = (...sent: readonly number[]) =>
      sent.map(number => near({ sent: number })).reduce((known, next) => followQueuePair(known, next)).sent;
    expect(furthest(100, 104)).toBe(104);
    expect(furthest(100, 104, 101)).toBe(104);
    expect(furthest(0xfffffe, 1)).toBe(1);
    expect(furthest(1, 0xfffffe)).toBe(1);
  });

  test("another peer or another state is another count", () => {
    expect(followQueuePair(near(), near({ peer: 19, sent: 1 })).sent).toBe(1);
    expect(followQueuePair(near({ state: "INIT" }), near({ sent: 1 })).sent).toBe(1);
    expect(followQueuePair(undefined, near({ sent: 1 })).sent).toBe(1);
  });

  test("a sender that counts back never seems to have sent less", () => {
    const packet = fc.nat(0xffffff);
    fc.assert(
      fc.property(packet, fc.nat(0x7fffff), (from, count) => {
        const to = (from + count) % 2 ** 24;
        const known = near({ sent: to });
        expect(followQueuePair(known, near({ sent: from })).sent).toBe(to);
        expect(followQueuePair(near({ sent: from }), known).sent).toBe(to);
      }),
    );
  });
});

describe("queue pairs are quiet", () => {
  test.each<[string, readonly QueuePairState[], boolean]>([
    ["where there are none", [], true],
    ["when each end has what the other sent", [near(), far()], true],
    ["not when the target lacks a packet", [near({ sent: 101 }), far()], false],
    [
      "not when it lacks a packet across the end of the numbers",
      [near({ sent: 0 }), far({ received: 2 ** 24 - 1 })],
      false,
    ],
    ["not when the initiator lacks one: the target reads its memory", [near(), far({ sent: 201 })], false],
    [
      "when what is lacking belongs to an end in error, which sends no more",
      [near({ sent: 101, state: "ERR" }), far()],
      true,
    ],
    ["when the end that lacks it is in error, and takes nothing", [near({ sent: 101 }), far({ state: "ERR" })], true],
    ["when nobody is there to take what is sent again", [near({ sent: 101 })], true],
    ["when the number is another connection's", [near({ sent: 101 }), far({ peer: 99 })], true],
    ["not while the target is only ready to receive", [near({ sent: 101 }), far({ state: "RTR" })], false],
    ["not while a sender runs dry", [near({ sent: 101, state: "SQD" }), far()], false],
    [
      "not when one of two connections is not",
      [near(), far(), near({ number: 3, peer: 4, sent: 7 }), far({ number: 4, peer: 3 })],
      false,
    ],
    ["whatever the other path does", [near({ path: "b", sent: 101 }), far({ path: "b" })], true],
    ["when ends of two paths have the same numbers", [near({ sent: 101 }), far({ path: "b" })], true],
  ])("%s", (_name, pairs, quiet) => {
    expect(queuePairsAreQuiet(pairs, "a")).toBe(quiet);
    expect(queuePairsAreQuiet(pairs.toReversed(), "a")).toBe(quiet);
  });
});

describe("queue pairs before the first fault", () => {
  const all = [near(), far(), near({ path: "b" }), far({ path: "b" })];

  test("are there, at both ends of both paths", () => {
    requireQueuePairs(all);
  });

  test.each([0, 1, 2, 3])("are missed where one is not, or not connected: %d", index => {
    const { node, path } = all[index] ?? near();
    const words = `Expected the ${node} to have a queue pair in state RTS on path ${path}`;
    expect(() => requireQueuePairs(all.toSpliced(index, 1))).toThrow(words);
    expect(() => requireQueuePairs(all.with(index, { ...(all[index] ?? near()), state: "ERR" }))).toThrow(words);
  });
});
