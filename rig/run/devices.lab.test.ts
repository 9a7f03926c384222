import { open } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { monotonicMs } from "../core/clock.ts";
import { PATH_NAMES } from "../core/names.ts";
import { Scope } from "../core/scope.ts";
import type { EventOf, Unstamped } from "../history/event.ts";
import type { WatchState } from "../iscsi/watch.ts";
import { type Bench, recover, timelineContext } from "../scenario/controls.ts";
import type { Device } from "../scenario/devices.ts";
import { holdBackend, releaseBackend, setBackend } from "../testing/backend.ts";
import { type LabFixture, labFixture, openLab, TEST_LAB, testScenario } from "../testing/lab-fixture.ts";

/** Several LUNs, paths without dm-multipath, caches that forget, and disks that misbehave: that a lab has what it was asked for. */

const BLOCK = 4096;
const filled = (byte: number): Buffer => Buffer.alloc(BLOCK, byte);

/** What the image behind a device has at a block. */
const imageAt = async ({ backing }: Device, block: number): Promise<number> => {
  await using image = await open(backing, "r");
  const { buffer } = await image.read(Buffer.alloc(BLOCK), 0, BLOCK, block * BLOCK);
  const [first = -1] = buffer;
  return buffer.every(byte => byte === first) ? first : -1;
};

const readAt = async ({ nbd }: Device, block: number): Promise<number> =>
  (await nbd.read(block * BLOCK, BLOCK))[0] ?? -1;

const deviceOf = (bench: Bench, name: string): Device => {
  const found = bench.devices.find(device => device.name === name);
  if (found === undefined) throw new Error(`no device ${name}`);
  return found;
};

let fixture: LabFixture;
beforeAll(async () => {
  fixture = await labFixture("debian-6.1");
});
afterAll(() => fixture[Symbol.asyncDispose]());

describe("two LUNs with a volatile cache, each path a device of its own", () => {
  const scope = new Scope(() => undefined);
  const events: Unstamped[] = [];
  let bench: Bench;
  let devices: { readonly a: Device; readonly b: Device; readonly otherA: Device };
  beforeAll(async () => {
    const lab = { ...TEST_LAB, luns: 2, devices: "paths", cache: "volatile", lunMiB: 16 } as const;
    const ledger = { slots: 8, slotBytes: 4096, connections: 2 };
    const scenario = testScenario("volatile-paths", () => Promise.resolve(), { lab, ledger });
    bench = await openLab(fixture, scenario, scope, { record: event => void events.push(event) });
    devices = { a: deviceOf(bench, "lun0-a"), b: deviceOf(bench, "lun0-b"), otherA: deviceOf(bench, "lun1-a") };
  });
  afterAll(() => scope.close());

  test("are four devices, and the history is told of them", () => {
    const sectors = (16 * 2 ** 20) / 512;
    const told = events.filter((event): event is Unstamped<EventOf<"device">> => event.kind === "device");
    const disk = { kind: "device", sectors, cache: "volatile" };
    expect(told).toEqual([
      { ...disk, id: 0, name: "lun0-a", lun: 0, path: "a" },
      { ...disk, id: 1, name: "lun0-b", lun: 0, path: "b" },
      { ...disk, id: 2, name: "lun1-a", lun: 1, path: "a" },
      { ...disk, id: 3, name: "lun1-b", lun: 1, path: "b" },
    ]);
    for (const { nbd } of bench.devices) expect(nbd.sizeBytes).toBe(sectors * 512);
  });

  test("what went over one path is there over the other, and on no other LUN", async () => {
    const { a, b, otherA } = devices;
    await a.nbd.write(0, filled(1));
    await otherA.nbd.write(BLOCK, filled(2));
    expect([await readAt(b, 0), await readAt(b, 1), await readAt(otherA, 0), await readAt(otherA, 1)]).toEqual([
      1, 0, 0, 2,
    ]);
  });

  test("an acknowledged write is on the disk only after a flush, FUA or a look at the image", async () => {
    const { a, otherA } = devices;
    expect([await imageAt(a, 0), await imageAt(otherA, 1)]).toEqual([0, 0]);
    await a.nbd.flush();
    expect([await imageAt(a, 0), await imageAt(otherA, 1)]).toEqual([1, 0]);
    await a.nbd.write(2 * BLOCK, filled(3), { fua: true });
    expect(await imageAt(a, 2)).toBe(3);
    await otherA.syncBacking();
    expect(await imageAt(otherA, 1)).toBe(2);
  });

  test("a path that drops fails its own devices and no other", async () => {
    const { path } = timelineContext(bench);
    await path.a.drop();
    await expect(devices.a.nbd.write(0, filled(4))).rejects.toThrow("EIO");
    await devices.b.nbd.write(0, filled(5));
    await path.a.heal();
    await recover(bench);
    expect(await readAt(devices.a, 0)).toBe(5);
  });

  test("a target that loses its power forgets what no flush covered", async () => {
    const { b } = devices;
    await b.nbd.flush();
    await b.nbd.write(0, filled(6));
    await b.nbd.write(3 * BLOCK, filled(6));
    await bench.lab.nodes.target.process[Symbol.asyncDispose]();
    expect([await imageAt(b, 0), await imageAt(b, 2), await imageAt(b, 3)]).toEqual([5, 3, 0]);
  });
});

describe("two LUNs over dm-multipath, on disks that can misbehave", () => {
  const scope = new Scope(() => undefined);
  const events: Unstamped[] = [];
  let bench: Bench;
  let devices: { readonly first: Device; readonly second: Device };
  beforeAll(async () => {
    const lab = { ...TEST_LAB, luns: 2, mapper: true, discard: true, lunMiB: 16 } as const;
    const scenario = testScenario("mapped", () => Promise.resolve(), { lab });
    bench = await openLab(fixture, scenario, scope, { record: event => void events.push(event) });
    devices = { first: deviceOf(bench, "mp"), second: deviceOf(bench, "mp1") };
  });
  afterAll(() => scope.close());

  test("have their own paths, which fail and come back", async () => {
    const { path } = timelineContext(bench);
    events.length = 0;
    await path.a.drop();
    await Promise.all([devices.first.nbd.write(0, filled(1)), devices.second.nbd.write(0, filled(2))]);
    await path.a.heal();
    await recover(bench);
    const told = events.flatMap(event => (event.kind === "multipath" ? [`${event.device} ${event.state}`] : []));
    expect(told.toSorted()).toEqual(["mp active", "mp failed", "mp1 active", "mp1 failed"]);
    expect([await imageAt(devices.first, 0), await imageAt(devices.second, 0)]).toEqual([1, 2]);
  });

  test("discards reach the disk", async () => {
    const { stdout } = await bench.lab.nodes.initiator.ssh.execOk(["cat", "/sys/block/dm-0/queue/discard_max_bytes"]);
    expect(Number(stdout)).toBeGreaterThan(0);
  });

  test("a disk that drops writes has the old data, and that it does is told nobody", async () => {
    const { target } = bench.lab.nodes;
    await devices.first.nbd.write(BLOCK, filled(3));
    await setBackend(target, { kind: "drop-writes" }, { sector: 8, sectors: 8 });
    await Promise.all([0, 1].map(block => devices.first.nbd.write(block * BLOCK, filled(4))));
    expect([await imageAt(devices.first, 0), await imageAt(devices.first, 1)]).toEqual([4, 3]);
    await setBackend(target, { kind: "none" });
    await devices.first.nbd.write(BLOCK, filled(4));
    expect(await readAt(devices.first, 1)).toBe(4);
  });

  test("a disk may go astray, be slow, fail, or not answer", async () => {
    const { target } = bench.lab.nodes;
    const { second } = devices;
    await setBackend(target, { kind: "shift", sectors: 8 }, { sector: 8, sectors: 8 }, 1);
    await second.nbd.write(BLOCK, filled(5));
    expect([await imageAt(second, 1), await imageAt(second, 2)]).toEqual([0, 5]);
    await setBackend(target, { kind: "delay", ms: 400 }, undefined, 1);
    const began = monotonicMs();
    await second.nbd.write(0, filled(6));
    expect(monotonicMs() - began).toBeGreaterThan(390);
    await setBackend(target, { kind: "none" }, undefined, 1);
    await holdBackend(target, 1);
    let isAnswered = false;
    const held = second.nbd.write(0, filled(7)).finally(() => {
      isAnswered = true;
    });
    await devices.first.nbd.write(0, filled(7));
    expect(isAnswered).toBe(false);
    await releaseBackend(target, 1);
    await held;
    await setBackend(target, { kind: "error" }, undefined, 1);
    const failing = second.nbd.write(0, filled(8));
    // LIO calls it a failure of communication, so dm-multipath tries every path, and then waits for one.
    const bothFailed = ({ multipath }: WatchState) => PATH_NAMES.every(path => multipath.get(path) === "failed");
    await bench.watch.until(bothFailed, "every path to be failed", 20_000);
    await setBackend(target, { kind: "none" }, undefined, 1);
    await recover(bench);
    await failing;
    expect(await imageAt(second, 0)).toBe(8);
  });
});
