import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CELLS_BETWEEN, type CellName, MAX_ATTEMPTS, orderCells, Schedule } from "./schedule.ts";

const planOf = (scenarios: readonly string[], seeds: readonly number[], kernels: readonly string[]): CellName[] =>
  scenarios.flatMap(scenario => seeds.flatMap(seed => kernels.map(kernel => ({ scenario, kernel, seed }))));
const words = ({ scenario, kernel, seed }: CellName): string => `${scenario} ${kernel} ${seed}`;
const unit = ({ scenario, seed }: CellName): string => `${scenario} ${seed}`;
const KERNELS = ["base", "head"];

describe("the order", () => {
  test("has the longest pairs first, then scenarios as given, then seeds", () => {
    const ms: Record<string, number> = { short: 10, long: 30, also: 10 };
    const cells = planOf(["short", "long", "also"], [2, 1], ["6.1", "6.2"]);
    expect(orderCells(cells, scenario => ms[scenario]).map(words)).toEqual([
      ...["long 6.1 1", "long 6.2 1", "long 6.1 2", "long 6.2 2"],
      ...["short 6.1 1", "short 6.2 1", "short 6.1 2", "short 6.2 2"],
      ...["also 6.1 1", "also 6.2 1", "also 6.1 2", "also 6.2 2"],
    ]);
  });

  test("takes what is unknown for the longest, even of one kernel", () => {
    const cells = planOf(["a", "b", "c"], [1], KERNELS);
    const order = orderCells(cells, (scenario, kernel) =>
      scenario === "a" ? 900 : scenario === "b" && kernel === "base" ? 1 : undefined,
    );
    expect(order.map(({ scenario }) => scenario)).toEqual(["b", "b", "c", "c", "a", "a"]);
  });

  test("counts both of a pair", () => {
    const ms: Record<string, number> = { "a base": 50, "a head": 1, "b base": 30, "b head": 30 };
    const order = orderCells(planOf(["a", "b"], [1], KERNELS), (scenario, kernel) => ms[`${scenario} ${kernel}`]);
    expect(order.map(({ scenario }) => scenario)).toEqual(["b", "b", "a", "a"]);
  });
});

describe("a starved cell", () => {
  const all = planOf(["a", "b", "c", "d", "e", "f"], [1], KERNELS);
  /** Runs one cell at a time; of those in `starved` only the last try ends well. */
  const runAll = (cells: readonly CellName[], starved: (cell: CellName) => boolean): string[] => {
    const schedule = new Schedule(cells);
    const order: string[] = [];
    for (let cell = schedule.next(); cell !== undefined && cell !== "wait"; cell = schedule.next()) {
      order.push(words(cell));
      if (!starved(cell) || !schedule.again(cell)) schedule.done(cell);
    }
    return order;
  };

  test("runs again a few cells later, not between the two of a pair, and at last after all others", () => {
    const names = all.map(words);
    // After the first cell the queue begins with its mate, so the fourth place would part a pair.
    const second = 1 + CELLS_BETWEEN + 1;
    expect(runAll(all, cell => words(cell) === "a base 1")).toEqual([
      ...names.slice(0, second),
      "a base 1",
      ...names.slice(second),
      "a base 1",
    ]);
  });

  test("runs again at the end where few are left", () => {
    expect(runAll(all.slice(0, 2), cell => cell.kernel === "base")).toEqual([
      "a base 1",
      "a head 1",
      "a base 1",
      "a base 1",
    ]);
  });

  test("runs its last time alone", () => {
    const [x, y] = planOf(["x", "y"], [1], ["k"]) as [CellName, CellName];
    const schedule = new Schedule([x, y]);
    expect(schedule.next()).toBe(x);
    expect(schedule.again(x)).toBe(true);
    expect(schedule.next()).toBe(y);
    expect(schedule.next()).toBe(x);
    expect(schedule.next()).toBe("wait");
    expect(schedule.again(x)).toBe(true);
    expect(schedule.next()).toBe("wait");
    expect(schedule.again(y)).toBe(true);
    expect(schedule.next()).toBe(y);
    schedule.done(y);
    expect(schedule.next()).toBe(x);
    expect([schedule.attempts(x), schedule.running]).toEqual([3, 1]);
    expect(schedule.next()).toBe("wait");
    expect(schedule.again(x)).toBe(false);
    expect(schedule.next()).toBe("wait");
    schedule.done(x);
    expect(schedule.next()).toBeUndefined();
  });

  test("is one that runs", () => {
    const schedule = new Schedule(all);
    for (const end of [(cell: CellName) => schedule.done(cell), (cell: CellName) => schedule.again(cell)])
      expect(() => end(all[0] as CellName)).toThrow("does not run");
  });
});

describe("however many run at once, and whichever are starved", () => {
  const small = fc.integer({ min: 1, max: 4 });
  /** A run: how many may run at once, and for each end which of the running cells it is and whether it was starved. */
  const spec = fc.record({
    scenarios: small,
    seeds: small,
    kernels: fc.constantFrom(["only"], KERNELS),
    jobs: fc.integer({ min: 1, max: 6 }),
    ends: fc.array(fc.record({ which: fc.nat(), starved: fc.boolean() }), { maxLength: 60 }),
    rest: fc.boolean(),
    expected: fc.array(fc.option(fc.nat(3), { nil: undefined }), { minLength: 4, maxLength: 4 }),
  });

  test("every cell runs to a result, the last try alone, pairs stay together, and nobody waits for nothing", () => {
    fc.assert(
      fc.property(spec, ({ scenarios, seeds, kernels, jobs, ends, rest, expected }) => {
        const names = Array.from({ length: scenarios }, (_, i) => `s${i}`);
        const plan = planOf(
          names,
          Array.from({ length: seeds }, (_, i) => i),
          kernels,
        );
        const cells = orderCells(plan, scenario => expected[names.indexOf(scenario)]);
        expect(new Set(cells)).toEqual(new Set(plan));
        const schedule = new Schedule(cells);
        const running: CellName[] = [];
        const results = new Map<CellName, number>();
        const starts: CellName[] = [];
        const putBackAt = new Map<CellName, number>();
        const tries = new Map<CellName, number>();
        let over = false;
        for (let n = 0; !over; ) {
          while (running.length < jobs) {
            const cell = schedule.next();
            if (cell === "wait") {
              expect(running.length, "waits for one that runs").toBeGreaterThan(0);
              break;
            }
            if (cell === undefined) {
              expect(running).toEqual([]);
              over = true;
              break;
            }
            expect(running).not.toContain(cell);
            expect(results.has(cell), "has no result yet").toBe(false);
            expect(
              running.some(other => tries.get(other) === MAX_ATTEMPTS),
              "nothing beside a last try",
            ).toBe(false);
            tries.set(cell, (tries.get(cell) ?? 0) + 1);
            if (tries.get(cell) === MAX_ATTEMPTS) expect(running, "a last try is alone").toEqual([]);
            const since = putBackAt.get(cell);
            const others = cells.filter(other => (tries.get(other) ?? 0) === 0).length;
            if (since !== undefined)
              expect(starts.length - since >= CELLS_BETWEEN || others === 0, "others go before it").toBe(true);
            starts.push(cell);
            running.push(cell);
          }
          expect(schedule.running).toBe(running.length);
          if (over) break;
          const end = ends[n] ?? { which: 0, starved: rest };
          n++;
          const [cell] = running.splice(end.which % running.length, 1);
          if (cell === undefined) throw new Error("nothing runs");
          if (end.starved && schedule.again(cell)) putBackAt.set(cell, starts.length);
          else {
            if (end.starved) expect(tries.get(cell)).toBe(MAX_ATTEMPTS);
            schedule.done(cell);
            results.set(cell, tries.get(cell) ?? 0);
          }
          expect(n).toBeLessThanOrEqual(cells.length * MAX_ATTEMPTS);
        }
        expect(new Set(results.keys())).toEqual(new Set(cells));
        for (const cell of cells) expect(schedule.attempts(cell)).toBe(results.get(cell));
        // A pair's first tries follow each other.
        const [, second] = kernels;
        if (second !== undefined) {
          for (const cell of cells.filter(({ kernel }) => kernel === kernels[0])) {
            const next = starts[starts.indexOf(cell) + 1];
            expect([next && unit(next), next?.kernel]).toEqual([unit(cell), second]);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
