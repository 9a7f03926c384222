import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Admission, type AdmissionOptions, type CellEnded } from "./admission.ts";

/** Two cores and plenty of memory, idle. */
const start = (options: Partial<AdmissionOptions> = {}) => {
  const admission = new Admission({ mode: "auto", cores: 2, memoryMiB: 65_536, ...options });
  admission.machine({ busy: 0.5, availableMiB: options.memoryMiB ?? 65_536, running: 0 });
  return admission;
};
const ended = (cell: Partial<CellEnded> = {}): CellEnded => ({
  kind: "cell-ended",
  worstWaitMs: 0,
  starved: false,
  peakMiB: undefined,
  ...cell,
});
const STARVED = ended({ worstWaitMs: 800, starved: true });
/** The limits after each of these cells. */
const limits = (admission: Admission, ...cells: CellEnded[]): number[] =>
  cells.map(cell => {
    admission.observe(cell);
    return admission.limit;
  });
const times = (n: number, cell: CellEnded): CellEnded[] => Array.from({ length: n }, () => cell);

describe("left to itself", () => {
  test("it begins with three labs a core", () => {
    expect([start().limit, start({ cores: 8 }).limit, start({ cores: 0 }).limit]).toEqual([6, 24, 3]);
    expect(start().why).toBe("3 for each core");
  });

  test("grows by one with each cell that did not wait, up to six a core", () => {
    const admission = start();
    expect(limits(admission, ...times(10, ended({ worstWaitMs: 499 })))).toEqual([7, 8, 9, 10, 11, 12, 12, 12, 12, 12]);
    expect(admission.why).toBe("the machine keeps up");
  });

  test.each([500, 700])("stays where it is when a node waited %d ms", worstWaitMs => {
    expect(limits(start(), ended({ worstWaitMs }))).toEqual([6]);
  });

  test("goes down by one when a node waited longer, and by no more until the cells of that time have ended", () => {
    const admission = start();
    expect(limits(admission, ...times(8, ended({ worstWaitMs: 701 })))).toEqual([5, 5, 5, 5, 5, 5, 4, 4]);
    expect(admission.why).toBe("a node waited 701 ms of a second for a CPU");
  });

  test("does not grow on a busy machine, nor on one that was not measured", () => {
    const admission = start();
    admission.machine({ busy: 0.92, availableMiB: 65_536, running: 6 });
    expect(limits(admission, ended())).toEqual([6]);
    admission.machine({ busy: 0.91, availableMiB: 65_536, running: 6 });
    expect(limits(admission, ended())).toEqual([7]);
    expect(limits(new Admission({ mode: "auto", cores: 2, memoryMiB: 65_536 }), ended())).toEqual([6]);
  });
});

describe("a starved cell", () => {
  test("leaves 85 of 100 labs, rounded down, and always one", () => {
    const admission = start({ cores: 4 });
    expect(limits(admission, STARVED)).toEqual([10]);
    expect(admission.why).toBe("a cell was starved of CPU beside 11 others");
    expect(limits(start({ cores: 1 }), ...times(6, STARVED))).toEqual([2, 2, 2, 1, 1, 1]);
  });

  test("counts once: the others that ran beside it ran under the same load", () => {
    const admission = start({ cores: 4 });
    expect(limits(admission, ...times(12, STARVED))).toEqual(times(12, STARVED).map(() => 10));
    expect(limits(admission, STARVED)).toEqual([8]);
  });

  test("keeps the limit down for the next twenty cells, and then it grows again", () => {
    const admission = start();
    expect(limits(admission, STARVED, ...times(20, ended()))).toEqual(times(21, ended()).map(() => 5));
    expect(limits(admission, ended(), ended())).toEqual([6, 7]);
  });

  test("lets it come back up to that level meanwhile", () => {
    const admission = start({ cores: 3 });
    const calm = times(8, ended());
    expect(limits(admission, STARVED, ...calm, ended({ worstWaitMs: 800 })).at(-1)).toBe(6);
    expect(limits(admission, ...calm).at(-1)).toBe(7);
  });
});

describe("memory", () => {
  test("has room for labs of 400 MiB, beside a free GiB, until one was measured", () => {
    const admission = start({ cores: 16, memoryMiB: 5024 });
    expect([admission.limit, admission.why]).toEqual([10, "memory: 400 MiB for each lab, 5024 MiB available"]);
    expect(limits(admission, ended({ peakMiB: 500 }))).toEqual([8]);
  });

  test("of a large machine stays free by a tenth", () => {
    expect(start({ cores: 100, memoryMiB: 40_000 }).limit).toBe(90);
  });

  test("that others use is not there", () => {
    const admission = start({ memoryMiB: 16_384 });
    admission.machine({ busy: 0.5, availableMiB: 1639 + 800, running: 1 });
    expect([admission.limit, admission.mayStart(2), admission.mayStart(3)]).toEqual([3, true, false]);
    admission.machine({ busy: 0.5, availableMiB: 100, running: 3 });
    expect([admission.limit, admission.mayStart(0), admission.mayStart(1)]).toEqual([1, true, false]);
  });

  test("counts by the hungriest of the last twenty labs", () => {
    const admission = start({ cores: 16, memoryMiB: 5024 });
    expect(limits(admission, ended({ peakMiB: 1000 }), ...times(19, ended({ peakMiB: 200 }))).at(-1)).toBe(4);
    expect(limits(admission, ended({ peakMiB: 200 }))).toEqual([20]);
    expect(limits(admission, ended({ peakMiB: 0 }))).toEqual([20]);
  });
});

describe("as many as were asked for", () => {
  test("is what it stays at, whatever the cells say", () => {
    const admission = start({ mode: 7 });
    expect(limits(admission, STARVED, ended(), ended({ worstWaitMs: 900 }))).toEqual([7, 7, 7]);
    expect(admission.why).toBe("as asked");
  });

  test("is refused by memory, down to one", () => {
    const admission = start({ mode: 7, memoryMiB: 3024 });
    expect([admission.limit, admission.why]).toEqual([5, "memory: 400 MiB for each lab, 3024 MiB available"]);
    expect(start({ mode: 7, memoryMiB: 512 }).limit).toBe(1);
  });
});

describe("whatever is measured", () => {
  const measured = fc.oneof(
    fc.record({
      kind: fc.constant("cell-ended" as const),
      worstWaitMs: fc.nat(1000),
      starved: fc.boolean(),
      peakMiB: fc.option(fc.nat(2000), { nil: undefined }),
    }),
    fc.record({
      kind: fc.constant("machine" as const),
      busy: fc.double({ min: 0, max: 1, noNaN: true }),
      free: fc.double({ min: 0, max: 1, noNaN: true }),
      running: fc.nat(60),
    }),
  );
  const options = fc.record({
    mode: fc.oneof(fc.constant("auto" as const), fc.integer({ min: 1, max: 100 })),
    cores: fc.integer({ min: 1, max: 64 }),
    memoryMiB: fc.integer({ min: 256, max: 100_000 }),
  });
  const run = (
    admission: Admission,
    { memoryMiB }: AdmissionOptions,
    all: (typeof measured extends fc.Arbitrary<infer T> ? T : never)[],
  ) => {
    const peaks: number[] = [];
    let machine: { availableMiB: number; running: number } | undefined;
    for (const one of all) {
      if (one.kind === "machine") {
        machine = { availableMiB: one.free * memoryMiB, running: one.running };
        admission.machine({ ...machine, busy: one.busy });
      } else {
        if (one.peakMiB !== undefined && one.peakMiB > 0) peaks.push(one.peakMiB);
        admission.observe(one);
      }
    }
    return { machine, labMiB: peaks.length === 0 ? 400 : Math.max(...peaks.slice(-20)) };
  };

  test("one lab may always run, no more than memory has room for, and no more than six a core or as asked", () => {
    fc.assert(
      fc.property(options, fc.array(measured, { maxLength: 60 }), (o, all) => {
        const admission = new Admission(o);
        const { machine, labMiB } = run(admission, o, all);
        const { limit } = admission;
        const freeMiB = Math.max(1024, o.memoryMiB / 10);
        expect(Number.isInteger(limit)).toBe(true);
        expect(limit).toBeGreaterThanOrEqual(1);
        expect(limit).toBeLessThanOrEqual(o.mode === "auto" ? 6 * o.cores : o.mode);
        expect([admission.mayStart(0), admission.mayStart(limit - 1), admission.mayStart(limit)]).toEqual([
          true,
          true,
          false,
        ]);
        expect(admission.why).not.toBe("");
        if (limit === 1) return;
        expect(limit * labMiB + freeMiB).toBeLessThanOrEqual(o.memoryMiB);
        if (machine !== undefined)
          expect((limit - machine.running) * labMiB).toBeLessThanOrEqual(machine.availableMiB - freeMiB);
      }),
      { numRuns: 500 },
    );
  });

  test("it recovers: once all is calm it reaches the most that is allowed", () => {
    fc.assert(
      fc.property(options, fc.array(measured, { maxLength: 60 }), (o, all) => {
        const admission = new Admission({ ...o, mode: "auto" });
        run(admission, o, all);
        admission.machine({ busy: 0, availableMiB: o.memoryMiB, running: 0 });
        for (let n = 0; n < 800; n++) admission.observe(ended({ peakMiB: 100 }));
        const fitting = Math.floor((o.memoryMiB - Math.max(1024, o.memoryMiB / 10)) / 100);
        expect(admission.limit).toBe(Math.max(1, Math.min(6 * o.cores, fitting)));
      }),
    );
  });
});
