/** Zeros, which several operations may have left: never a legal history blamed, and exact where there is one candidate. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { integrityOracle } from "./integrity.ts";
import { linearizable, type Step } from "./testdata/brute-force.ts";
import { HistoryBuilder, written, zeros } from "./testdata/history-builder.ts";

const classes = (builder: HistoryBuilder): string[] =>
  integrityOracle.judge(builder.build()).findings.map(finding => finding.class);

describe("write-zeroes and discard", () => {
  const writeThen = () => new HistoryBuilder().write(1, { at: 1, ok: 2 });

  test("zeros stand where they were written", () => {
    expect(classes(writeThen().zeroes(2, { at: 3, ok: 4 }).readBack(10, 10, [zeros()]))).toEqual([]);
    expect(
      classes(
        writeThen()
          .zeroes(2, { at: 3, ok: 4 })
          .readBack(10, 10, [written(1)]),
      ),
    ).toEqual(["lost"]);
    expect(classes(writeThen().readBack(10, 10, [zeros()]))).toEqual(["lost"]);
  });

  test("a discard leaves zeros or what was there, and nothing else", () => {
    const discarded = () => writeThen().write(2, { at: 3, ok: 4 }).discard(3, { at: 5, ok: 6 });
    expect(classes(discarded().readBack(10, 10, [zeros()]))).toEqual([]);
    expect(classes(discarded().readBack(10, 10, [written(2)]))).toEqual([]);
    expect(classes(discarded().readBack(10, 10, [written(1)]))).toEqual(["lost"]);
  });

  test("what a discard left stays until the next write", () => {
    const discarded = writeThen()
      .discard(2, { at: 3, ok: 4 })
      .read(3, { at: 5, ok: 6, content: [zeros()] });
    expect(classes(discarded.readBack(10, 10, [written(1)]))).toEqual(["stale"]);
  });

  test("one stale read makes no other read illegal", () => {
    const builder = new HistoryBuilder()
      .write(1, { at: 5, ok: 6 })
      .zeroes(2, { at: 10, ok: 110 })
      .zeroes(3, { at: 11, ok: 12 })
      .write(4, { at: 13, ok: 14 })
      .read(5, { at: 111, ok: 112, content: [zeros()] })
      .read(6, { at: 200, ok: 201, content: [written(1)] })
      .readBack(7, 210, [zeros()]);
    const { findings } = integrityOracle.judge(builder.build());
    expect(findings.flatMap(({ extents }) => extents ?? [])).toMatchObject([{ found: { op: 1 } }]);
  });

  test("zeros from before a newer write are illegal, whosever they were", () => {
    const builder = writeThen()
      .zeroes(2, { at: 3, ok: 4 })
      .discard(3, { at: 5, ok: 6 })
      .write(4, { at: 7, ok: 8 })
      .read(5, { at: 9, ok: 9.5, content: [written(4)] });
    expect(classes(builder.readBack(10, 10, [zeros()]))).toEqual(["stale"]);
  });
});

interface Plan {
  readonly is: "write" | "zeroes" | "discard" | "read";
  readonly state: "ok" | "fail" | "unanswered";
  readonly start: number;
  readonly length: number;
  readonly value: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  is: fc.constantFrom("write", "write", "zeroes", "discard", "read", "read", "read"),
  state: fc.constantFrom("ok", "ok", "fail", "unanswered"),
  start: fc.nat(12),
  length: fc.nat(6),
  value: fc.nat(6),
});

/** The value that a read of the plan found, 0 for zeros. */
const found = (all: readonly Plan[], read: Plan): number => {
  const writes = all.flatMap((p, index) => (p.is === "write" ? [index + 1] : []));
  return [0, ...writes][read.value % (writes.length + 1)] ?? 0;
};

const endOf = (p: Plan): number =>
  p.state === "unanswered" && p.is !== "read" ? Number.POSITIVE_INFINITY : p.start + p.length;

const truth = (all: readonly Plan[]): boolean =>
  linearizable(
    all.map((p, index): Step => {
      const value = p.is === "read" ? found(all, p) : p.is === "write" ? index + 1 : 0;
      const optional = p.is === "discard" || (p.is !== "read" && p.state !== "ok");
      return { is: p.is === "read" ? "read" : "write", value, start: p.start, end: endOf(p), optional };
    }),
  );

const accepts = (all: readonly Plan[]): boolean => {
  const builder = new HistoryBuilder();
  all.forEach((p, index) => {
    const done = p.state === "ok" || p.is === "read" ? { ok: endOf(p) } : p.state === "fail" ? { fail: endOf(p) } : {};
    const value = found(all, p);
    const content = p.is === "read" ? { content: [value === 0 ? zeros() : written(value)] } : {};
    builder[p.is](index + 1, { at: p.start, ...done, ...content });
  });
  return integrityOracle.judge(builder.build()).findings.length === 0;
};

test("trying every order finds no legal history that is blamed, and few others that are not", () => {
  const seen = { legal: 0, illegal: 0, missed: 0 };
  fc.assert(
    fc.property(fc.array(plan, { minLength: 3, maxLength: 7 }), all => {
      const legal = truth(all);
      const accepted = accepts(all);
      seen[legal ? "legal" : "illegal"]++;
      if (legal) expect(accepted).toBe(true);
      if (!legal && accepted) seen.missed++;
    }),
    { numRuns: 3000 },
  );
  expect(Math.min(seen.legal, seen.illegal)).toBeGreaterThan(300);
  expect(seen.missed).toBeLessThan(seen.illegal / 10);
});

test("with the first content and no writer of zeros that is seen, or one that replaced it for certain, it is exact", () => {
  const seen = { legal: 0, illegal: 0 };
  const later = fc.array(plan, { minLength: 2, maxLength: 5 });
  fc.assert(
    fc.property(later, plans => {
      // A write that was over before anything else leaves one writer of zeros as the only candidate.
      const others = plans.filter(p => p.is === "write" || p.is === "read").map(p => ({ ...p, start: p.start + 6 }));
      const first: Plan = { is: "write", state: "ok", start: 0, length: 1, value: 0 };
      const zeroer: Plan = { is: "zeroes", state: "ok", start: 3, length: 8, value: 0 };
      const all = [first, zeroer, ...others];
      const legal = truth(all);
      seen[legal ? "legal" : "illegal"]++;
      expect(accepts(all)).toBe(legal);
    }),
    { numRuns: 2000 },
  );
  expect(Math.min(seen.legal, seen.illegal)).toBeGreaterThan(100);
});
