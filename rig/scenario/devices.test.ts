import { describe, expect, test } from "vitest";
import { NBD_PORT } from "../lab/qemu-argv.ts";
import { deviceSpecs, mapsOf, shapeOf } from "./devices.ts";

const disk = (lun: number, name: string, minor: number) => ({ lun, name, dev: `8:${minor}`, sectors: 2048 });
const SESSIONS = [
  { path: "a" as const, disks: [disk(0, "sdb", 16), disk(1, "sdc", 32)] },
  { path: "b" as const, disks: [disk(0, "sda", 0), disk(1, "sdd", 48)] },
];

describe("the devices under test", () => {
  test("are one over dm-multipath where nothing else is asked for", () => {
    const lab = { luns: 1, devices: "multipath", cache: "none" } as const;
    expect(deviceSpecs(lab, SESSIONS)).toEqual([
      {
        id: 0,
        name: "mp",
        lun: 0,
        sectors: 2048,
        cache: "none",
        block: "/dev/mapper/mp",
        table: "0 2048 multipath 1 queue_if_no_path 0 2 1 round-robin 0 1 1 8:16 1000 round-robin 0 1 1 8:0 1000",
        port: NBD_PORT,
      },
    ]);
    expect([shapeOf(lab), mapsOf(lab)]).toEqual([{ luns: 1, devices: 1 }, ["mp"]]);
  });

  test("are one for each LUN, each with its own paths", () => {
    const lab = { luns: 2, devices: "multipath", cache: "volatile" } as const;
    const specs = deviceSpecs(lab, SESSIONS);
    expect(specs.map(({ id, name, lun, cache, port }) => [id, name, lun, cache, port])).toEqual([
      [0, "mp", 0, "volatile", NBD_PORT],
      [1, "mp1", 1, "volatile", NBD_PORT + 1],
    ]);
    expect(specs[1]?.table).toContain("8:32 1000 round-robin 0 1 1 8:48 1000");
    expect([shapeOf(lab), mapsOf(lab)]).toEqual([{ luns: 2, devices: 2 }, ["mp", "mp1"]]);
  });

  test("are each path's own disk where dm-multipath is left out", () => {
    const lab = { luns: 2, devices: "paths", cache: "none" } as const;
    const specs = deviceSpecs(lab, SESSIONS);
    expect(specs.map(({ id, name, lun, path, block }) => [id, name, lun, path, block])).toEqual([
      [0, "lun0-a", 0, "a", "/dev/sdb"],
      [1, "lun0-b", 0, "b", "/dev/sda"],
      [2, "lun1-a", 1, "a", "/dev/sdc"],
      [3, "lun1-b", 1, "b", "/dev/sdd"],
    ]);
    expect(new Set(specs.map(({ port }) => port)).size).toBe(4);
    expect(specs.every(({ table }) => table === undefined)).toBe(true);
    expect([shapeOf(lab), mapsOf(lab)]).toEqual([{ luns: 2, devices: 4 }, []]);
  });
});
