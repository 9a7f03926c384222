import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diagnose } from "./diagnosis.ts";
import { INITIAL, type RegisterRead, type RegisterWrite } from "./register.ts";
import { isLinearizable } from "./register-executions.ts";
import { linearizable, type Step } from "./testdata/brute-force.ts";

const never = Number.POSITIVE_INFINITY;
const write = (id: number, startNs: number, endNs: number, required = true): RegisterWrite => ({
  id,
  startNs,
  endNs,
  required,
});
const read = (of: number, startNs: number, endNs: number): RegisterRead => ({ id: 100 + startNs, of, startNs, endNs });

describe("a register", () => {
  test.each<[string, boolean, RegisterWrite[], RegisterRead[]]>([
    ["nothing", true, [], []],
    ["zeros before any write", true, [write(1, 5, 6)], [read(INITIAL, 1, 2)]],
    ["zeros after an acknowledged write", false, [write(1, 1, 2)], [read(INITIAL, 3, 4)]],
    ["zeros while a write is under way", true, [write(1, 1, 9)], [read(INITIAL, 3, 4)]],
    ["the newest write", true, [write(1, 1, 2), write(2, 3, 4)], [read(2, 5, 6)]],
    ["an older write", false, [write(1, 1, 2), write(2, 3, 4)], [read(1, 5, 6)]],
    ["either of two that were under way together", true, [write(1, 1, 4), write(2, 2, 3)], [read(1, 5, 6)]],
    ["first one, then the other of two", true, [write(1, 1, 9), write(2, 1, 9)], [read(1, 2, 3), read(2, 4, 5)]],
    ["there and back again", true, [write(1, 1, 9), write(2, 1, 9)], [read(1, 2, 3), read(2, 4, 5), read(1, 6, 7)]],
    [
      "there and back again after its acknowledgement",
      false,
      [write(1, 1, 5), write(2, 1, 9)],
      [read(1, 2, 3), read(2, 6, 7), read(1, 8, 9)],
    ],
    [
      "executed again over one that was acknowledged meanwhile, and acknowledged then",
      true,
      [write(1, 1, 9), write(2, 4, 5)],
      [read(1, 2, 3), read(2, 6, 7), read(1, 20, 21)],
    ],
    [
      "executed again over one that was read after its acknowledgement",
      false,
      [write(1, 1, 9), write(2, 4, 5)],
      [read(1, 2, 3), read(2, 10, 11), read(1, 20, 21)],
    ],
    [
      "executed again before its error",
      true,
      [write(1, 1, 9, false), write(2, 4, 5)],
      [read(1, 2, 3), read(2, 6, 7), read(1, 20, 21)],
    ],
    [
      "executed again after its error",
      false,
      [write(1, 1, 9, false), write(2, 10, 11)],
      [read(1, 2, 3), read(1, 20, 21)],
    ],
    ["an unanswered write late", true, [write(1, 1, never, false), write(2, 3, 4)], [read(2, 5, 6), read(1, 7, 8)]],
    [
      "an unanswered write come and gone",
      true,
      [write(1, 1, never, false), write(2, 3, 4)],
      [read(1, 3, 3), read(2, 5, 6)],
    ],
    [
      "an unanswered write come, gone and come again",
      true,
      [write(1, 1, never, false), write(2, 4, 5)],
      [read(1, 2, 3), read(2, 6, 7), read(1, 8, 9)],
    ],
    ["a failed write that had its effect", true, [write(1, 1, 2, false)], [read(1, 3, 4)]],
    ["a failed write that had none", true, [write(1, 1, 2, false)], [read(INITIAL, 3, 4)]],
    ["a failed write after its error", false, [write(1, 1, 2, false)], [read(INITIAL, 3, 4), read(1, 5, 6)]],
    ["a write read before it began", false, [write(1, 5, 6)], [read(1, 1, 2)]],
    [
      "an answer and an invocation at one moment leave both orders open",
      true,
      [write(1, 1, 2), write(2, 2, 3)],
      [read(1, 4, 5)],
    ],
  ])("%s: %s", (_name, legal, writes, reads) => {
    expect(isLinearizable(writes, reads)).toBe(legal);
  });

  test("a read of a write nobody knows is never legal", () => {
    expect(isLinearizable([], [read(7, 1, 2)])).toBe(false);
  });
});

const writeSpec = fc.record({
  start: fc.nat(10),
  length: fc.nat(6),
  state: fc.constantFrom("ok", "ok", "fail", "none"),
});
const readSpec = fc.record({ start: fc.nat(12), length: fc.nat(5), value: fc.nat(3) });
const small = fc
  .record({ writes: fc.array(writeSpec, { maxLength: 3 }), reads: fc.array(readSpec, { minLength: 1, maxLength: 4 }) })
  .map(({ writes, reads }) => ({
    writes: writes.map((w, i) =>
      write(i + 1, w.start, w.state === "none" ? never : w.start + w.length, w.state === "ok"),
    ),
    reads: reads
      .map(r => ({ ...r, of: r.value % (writes.length + 1) }))
      .map((r, i) => ({ id: i, of: r.of === 0 ? INITIAL : r.of, startNs: r.start, endNs: r.start + r.length })),
  }));

const steps = (writes: readonly RegisterWrite[], reads: readonly RegisterRead[]): Step[] => [
  ...writes.map(w => ({ is: "write" as const, value: w.id, start: w.startNs, end: w.endNs, optional: !w.required })),
  ...reads.map(r => ({
    is: "read" as const,
    value: r.of === INITIAL ? 0 : r.of,
    start: r.startNs,
    end: r.endNs,
    optional: false,
  })),
];

const possible = (writes: readonly RegisterWrite[], reads: readonly RegisterRead[]): RegisterRead[] =>
  reads.filter(r => r.of === INITIAL || r.endNs >= (writes[r.of - 1]?.startNs ?? 0));

test("the decision by zones agrees with trying every order", () => {
  fc.assert(
    fc.property(small, ({ writes, reads }) => {
      expect(isLinearizable(writes, reads)).toBe(linearizable(steps(writes, reads)));
    }),
    { numRuns: 4000 },
  );
});

test("there is a culprit exactly where there is no order, and without the culprits there is one", () => {
  fc.assert(
    fc.property(small, ({ writes, reads }) => {
      const believable = possible(writes, reads);
      const { culprits } = diagnose(writes, believable);
      expect(culprits.length === 0).toBe(linearizable(steps(writes, believable)));
      const rest = believable.filter(r => !culprits.some(culprit => culprit.read === r));
      expect(linearizable(steps(writes, rest))).toBe(true);
      for (const culprit of culprits) expect(culprit.rivals.length).toBeGreaterThan(0);
    }),
    { numRuns: 2000 },
  );
});

test("the legal values are those that trying every order allows, and there is always one", () => {
  fc.assert(
    fc.property(small, fc.nat(14), fc.nat(4), ({ writes, reads }, start, length) => {
      const diagnosis = diagnose(writes, possible(writes, reads));
      const { culprits } = diagnosis;
      const believed = possible(writes, reads).filter(r => !culprits.some(culprit => culprit.read === r));
      const all = [INITIAL, ...writes.map(({ id }) => id)];
      const expected = all.filter(of =>
        linearizable(steps(writes, [...believed, { id: 99, of, startNs: start, endNs: start + length }])),
      );
      expect(diagnosis.legalAt(start, start + length).toSorted()).toEqual(expected.toSorted());
      expect(expected.length).toBeGreaterThan(0);
    }),
    { numRuns: 1000 },
  );
});
