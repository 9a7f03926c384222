import { describe, expect, test } from "vitest";
import { run } from "../core/exec.ts";
import type { Node } from "../lab/node.ts";
import { NBD_PORT } from "../lab/qemu-argv.ts";
import { deviceSpecs } from "./devices.ts";
import { SERVE, serveDevices, syncOf } from "./serve.ts";

const SESSIONS = [
  { path: "a" as const, disks: [{ lun: 0, name: "sdb", dev: "8:16", sectors: 2048 }] },
  { path: "b" as const, disks: [{ lun: 0, name: "sda", dev: "8:0", sectors: 2048 }] },
];

/** What the programs of the script are called with, for these arguments. */
const programsOf = async (args: readonly string[]): Promise<readonly string[]> => {
  const standIns = 'dmsetup() { echo "dmsetup $*"; }; rig-nbd() { echo "rig-nbd $*"; }';
  const { stdout } = await run(["bash", "-eu", "-c", `${standIns}\n${SERVE}`, "bash", ...args]);
  return stdout.trim().split("\n");
};

const serve = async (devices: "multipath" | "paths"): Promise<readonly string[]> => {
  let asked: readonly string[] = [];
  const execOk = (argv: readonly string[]) => Promise.resolve(void (asked = argv.slice(argv.indexOf("--") + 1)));
  const specs = deviceSpecs({ luns: 1, devices, cache: "none" }, SESSIONS);
  await serveDevices({ ssh: { execOk } } as unknown as Node, specs);
  return programsOf(asked);
};

describe("serving", () => {
  test("joins the paths of a LUN first", async () => {
    const [make, server, ...others] = await serve("multipath");
    expect(make).toMatch(/^dmsetup create mp --table 0 2048 multipath /);
    expect(server).toBe(`rig-nbd /dev/mapper/mp ${NBD_PORT} rig 32`);
    expect(others).toEqual([]);
  });

  test("leaves paths that are devices by themselves as they are, each at a port of its own", async () => {
    const programs = await serve("paths");
    expect(programs).toEqual([`rig-nbd /dev/sdb ${NBD_PORT} rig 32`, `rig-nbd /dev/sda ${NBD_PORT + 1} rig 32`]);
  });
});

test("the servers of many devices keep no more between them than those of two", async () => {
  let asked: readonly string[] = [];
  const execOk = (argv: readonly string[]) => Promise.resolve(void (asked = argv.slice(argv.indexOf("--") + 1)));
  const disks = [0, 1, 2, 3].map(lun => ({ lun, name: `sd${lun}`, dev: `8:${lun}`, sectors: 2048 }));
  const sessions = (["a", "b"] as const).map(path => ({ path, disks }));
  await serveDevices(
    { ssh: { execOk } } as unknown as Node,
    deviceSpecs({ luns: 4, devices: "paths", cache: "none" }, sessions),
  );
  const servers = await programsOf(asked);
  expect(servers.map(line => line.split(" ").at(-1))).toEqual(Array.from({ length: 8 }, () => "8"));
});

test("a volatile cache is brought to the disk, whatever became of the cell; another one needs nothing", async () => {
  const calls: unknown[] = [];
  const agent = { call: (...args: readonly unknown[]) => Promise.resolve(String(calls.push(args))) };
  await syncOf({ agent }, "none")();
  expect(calls).toEqual([]);
  await syncOf({ agent }, "volatile")();
  // No signal: that of the cell has been given when the initiator is dead.
  expect(calls).toEqual([["sync", [], { timeoutMs: 30_000 }]]);
});
