import { describe, expect, test } from "vitest";
import { busyBetween, MachineLoad, parseAvailableMiB, parseCpuTicks } from "./machine-load.ts";

const stat = (...ticks: number[]) =>
  `cpu  ${ticks.join(" ")}\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1234 0 0\nctxt 99\nbtime 1700000000\n`;
const meminfo = (kib: number) =>
  `MemTotal:       24683656 kB\nMemFree:  1 kB\nMemAvailable:   ${kib} kB\nCached: 7 kB\n`;

describe("/proc/stat", () => {
  test("counts everything but idling and waiting for I/O as work, and guests once", () => {
    expect(parseCpuTicks(stat(100, 20, 30, 1000, 50, 1, 2, 3, 90, 10))).toEqual({ busy: 156, total: 1206 });
  });

  test("of an old kernel has fewer columns", () => {
    expect(parseCpuTicks(stat(1, 2, 3, 4))).toEqual({ busy: 6, total: 10 });
  });

  test.each(["", "cpu0 1 2 3 4\n", "cpu  1 2\n", "cpu  a b c d\n"])("%j is refused", text => {
    expect(() => parseCpuTicks(text)).toThrow("/proc/stat");
  });
});

test("the part that worked is between 0 and 1, and unknown without time", () => {
  expect(busyBetween({ busy: 10, total: 100 }, { busy: 40, total: 200 })).toBe(0.3);
  expect(busyBetween({ busy: 10, total: 100 }, { busy: 9, total: 110 })).toBe(0);
  expect(busyBetween({ busy: 10, total: 100 }, { busy: 30, total: 110 })).toBe(1);
  expect(busyBetween({ busy: 10, total: 100 }, { busy: 10, total: 100 })).toBeUndefined();
});

test("/proc/meminfo says what is available", () => {
  expect(parseAvailableMiB(meminfo(24_254_360))).toBe(23_685);
  expect(() => parseAvailableMiB("MemFree: 12 kB\n")).toThrow("MemAvailable");
});

describe("a sample", () => {
  test("is of the time since the one before; where none has passed, that one holds", () => {
    const stats = [stat(0, 0, 0, 0), stat(30, 0, 0, 70), stat(30, 0, 0, 70), stat(130, 0, 0, 70)];
    const load = new MachineLoad(file => (file === "/proc/stat" ? (stats.shift() ?? "") : meminfo(2048)));
    const samples = [load.sample(), load.sample(), load.sample()];
    expect(samples.map(({ busy }) => busy)).toEqual([0.3, 0.3, 1]);
    expect(samples[0]?.availableMiB).toBe(2);
  });

  test("can be taken of this machine", () => {
    const { busy, availableMiB } = new MachineLoad().sample();
    expect(busy).toBeGreaterThanOrEqual(0);
    expect(busy).toBeLessThanOrEqual(1);
    expect(availableMiB).toBeGreaterThan(0);
  });
});
