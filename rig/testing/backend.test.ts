import { describe, expect, test } from "vitest";
import { type BackendFault, backendTable } from "./backend.ts";

describe("the table of a disk", () => {
  test.each<[BackendFault, string]>([
    [{ kind: "none" }, "0 2048 linear /dev/vdc 0"],
    [{ kind: "drop-writes" }, "0 2048 flakey /dev/vdc 0 0 3600 1 drop_writes"],
    [{ kind: "error" }, "0 2048 error"],
    [{ kind: "delay", ms: 70 }, "0 2048 delay /dev/vdc 0 0 /dev/vdc 0 70"],
  ])("with $kind in all of it", (fault, table) => {
    expect(backendTable(2048, "/dev/vdc", fault)).toBe(table);
  });

  test("with a fault in a stretch is sound before and after it", () => {
    const shift = { kind: "shift", sectors: -8 } as const;
    expect(backendTable(2048, "/dev/vdd", shift, { sector: 16, sectors: 8 }).split("\n")).toEqual([
      "0 16 linear /dev/vdd 0",
      "16 8 linear /dev/vdd 8",
      "24 2024 linear /dev/vdd 24",
    ]);
    expect(backendTable(32, "/dev/vdd", { kind: "error" }, { sector: 0, sectors: 8 })).toBe(
      "0 8 error\n8 24 linear /dev/vdd 8",
    );
    expect(backendTable(32, "/dev/vdd", { kind: "error" }, { sector: 24, sectors: 8 })).toBe(
      "0 24 linear /dev/vdd 0\n24 8 error",
    );
  });
});
