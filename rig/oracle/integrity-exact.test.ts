/**
 * The integrity oracle against the definition: legal histories made by a simulated register must be accepted, and on any
 * small history, legal or not, the oracle must say what trying every order says.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { History } from "../history/event.ts";
import type { Extent } from "../history/extent.ts";
import { integrityOracle } from "./integrity.ts";
import { linearizable, type Step } from "./testdata/brute-force.ts";
import { HistoryBuilder, written, zeros } from "./testdata/history-builder.ts";

interface Plan {
  readonly is: "write" | "read";
  readonly state: "ok" | "fail" | "unanswered";
  readonly start: number;
  readonly length: number;
  /** Where in its time it has its effect on each sector, in thousandths; for an optional write, none at all below 0. */
  readonly points: readonly number[];
  /** The first sector and how many, of the disk's few. */
  readonly sector: number;
  readonly sectors: number;
}

const DISK = 3;
const HORIZON = 40;

const plan = (states: readonly Plan["state"][]): fc.Arbitrary<Plan> =>
  fc
    .record({
      is: fc.constantFrom("write" as const, "read" as const),
      state: fc.constantFrom(...states),
      start: fc.nat(12),
      length: fc.nat(8),
      points: fc.array(fc.integer({ min: -300, max: 1000 }), { minLength: DISK, maxLength: DISK }),
      sector: fc.nat(DISK - 1),
      sectors: fc.integer({ min: 1, max: DISK }),
    })
    .map(p => ({
      ...p,
      sectors: Math.min(p.sectors, DISK - p.sector),
      ...(p.is === "read" ? { state: "ok" as const } : {}),
    }));

const plans = fc.array(plan(["ok", "ok", "fail", "unanswered"]), { minLength: 2, maxLength: 7 });

const covers = (p: Plan, sector: number): boolean => p.sector <= sector && sector < p.sector + p.sectors;
const endOf = (p: Plan): number => (p.state === "unanswered" ? Number.POSITIVE_INFINITY : p.start + p.length);

/** When the operation has its effect on the sector, or undefined for never. */
const effect = (p: Plan, sector: number): number | undefined => {
  const point = p.points[sector] ?? 0;
  if (p.is === "write" && p.state !== "ok" && point < 0) return undefined;
  const length = p.state === "unanswered" ? HORIZON - p.start : p.length;
  return p.start + (length * Math.max(0, point)) / 1000;
};

/** What read number `reader` finds in the sector of a register that keeps its promise: the writer's number, or 0. */
const simulated = (all: readonly Plan[], reader: number, sector: number): number => {
  const at = effect(all[reader] as Plan, sector) ?? 0;
  const before = all
    .map((p, index) => ({
      p,
      op: index + 1,
      when: covers(p, sector) && p.is === "write" ? effect(p, sector) : undefined,
    }))
    .filter(({ op, when }) => when !== undefined && (when < at || (when === at && op < reader + 1)));
  return before.sort((a, b) => (a.when ?? 0) - (b.when ?? 0) || a.op - b.op).at(-1)?.op ?? 0;
};

type Values = (reader: number, sector: number) => number;

const historyOf = (all: readonly Plan[], values: Values): History => {
  const builder = new HistoryBuilder();
  all.forEach((p, index) => {
    const content: Extent[] = [];
    for (let sector = p.sector; sector < p.sector + p.sectors; sector++) {
      const op = values(index, sector);
      content.push(op === 0 ? zeros(sector) : written(op, sector, 1, sector - (all[op - 1] as Plan).sector));
    }
    const { start: at, sector, sectors } = p;
    const done = p.state === "ok" ? { ok: endOf(p) } : p.state === "fail" ? { fail: endOf(p) } : {};
    if (p.is === "write") builder.write(index + 1, { at, sector, sectors, ...done });
    else builder.read(index + 1, { at, sector, sectors, ...done, content });
  });
  return builder.build();
};

const truth = (all: readonly Plan[], values: Values): boolean =>
  [0, 1, 2].every(sector => {
    const steps = all.flatMap((p, index): Step[] => {
      if (!covers(p, sector)) return [];
      const value = p.is === "write" ? index + 1 : values(index, sector);
      return [{ is: p.is, value, start: p.start, end: endOf(p), optional: p.is === "write" && p.state !== "ok" }];
    });
    return linearizable(steps);
  });

const accepts = (history: History): boolean => integrityOracle.judge(history).findings.length === 0;

describe("the integrity oracle decides exactly", () => {
  test("every history of a register that keeps its promise is accepted", () => {
    fc.assert(
      fc.property(plans, all => {
        expect(accepts(historyOf(all, (reader, sector) => simulated(all, reader, sector)))).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  test("a legal history with one read changed is judged as trying every order judges it", () => {
    const seen = { legal: 0, illegal: 0 };
    fc.assert(
      fc.property(plans, fc.nat(6), fc.nat(DISK - 1), fc.nat(6), (all, who, where, what) => {
        const changed = who % all.length;
        const choices = [0, ...all.flatMap((p, index) => (p.is === "write" && covers(p, where) ? [index + 1] : []))];
        fc.pre(all[changed]?.is === "read" && covers(all[changed], where));
        const values: Values = (reader, sector) =>
          reader === changed && sector === where
            ? (choices[what % choices.length] ?? 0)
            : simulated(all, reader, sector);
        const legal = truth(all, values);
        seen[legal ? "legal" : "illegal"]++;
        expect(accepts(historyOf(all, values))).toBe(legal);
      }),
      { numRuns: 1500 },
    );
    expect(Math.min(seen.legal, seen.illegal)).toBeGreaterThan(100);
  });

  test("a history of arbitrary reads is judged as trying every order judges it", () => {
    const seen = { legal: 0, illegal: 0 };
    const noise = fc.array(fc.nat(6), { minLength: 7 * DISK, maxLength: 7 * DISK });
    fc.assert(
      fc.property(plans, noise, (all, numbers) => {
        const values: Values = (reader, sector) => {
          const choices = [0, ...all.flatMap((p, index) => (p.is === "write" && covers(p, sector) ? [index + 1] : []))];
          return choices[(numbers[reader * DISK + sector] ?? 0) % choices.length] ?? 0;
        };
        const legal = truth(all, values);
        seen[legal ? "legal" : "illegal"]++;
        expect(accepts(historyOf(all, values))).toBe(legal);
      }),
      { numRuns: 1500 },
    );
    expect(Math.min(seen.legal, seen.illegal)).toBeGreaterThan(100);
  });

  test("many reads of few writes, where the zones are dense, are judged alike", () => {
    const seen = { legal: 0, illegal: 0 };
    const time = { start: fc.nat(10), length: fc.nat(6) };
    const write = fc.record({
      ...time,
      state: fc.constantFrom("ok" as const, "ok" as const, "fail" as const, "unanswered" as const),
    });
    const read = fc.record({ ...time, value: fc.nat(3) });
    fc.assert(
      fc.property(
        fc.array(write, { minLength: 1, maxLength: 3 }),
        fc.array(read, { minLength: 2, maxLength: 4 }),
        (writes, reads) => {
          const one = { points: [0, 0, 0], sector: 0, sectors: 1 };
          const all: Plan[] = [
            ...writes.map(w => ({ is: "write" as const, ...w, ...one })),
            ...reads.map(r => ({ is: "read" as const, state: "ok" as const, ...r, ...one })),
          ];
          const values: Values = reader => (reads[reader - writes.length]?.value ?? 0) % (writes.length + 1);
          const legal = truth(all, values);
          seen[legal ? "legal" : "illegal"]++;
          expect(accepts(historyOf(all, values))).toBe(legal);
        },
      ),
      { numRuns: 3000 },
    );
    expect(Math.min(seen.legal, seen.illegal)).toBeGreaterThan(200);
  });
});
