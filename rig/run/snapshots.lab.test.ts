import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, open, rm, stat, truncate, utimes } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wallClock } from "../core/clock.ts";
import { type Log, silentLog } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import { Scope } from "../core/scope.ts";
import { together } from "../core/together.ts";
import type { Node } from "../lab/node.ts";
import { SNAPSHOT_FILES, SNAPSHOT_KIND, snapshotKey } from "../lab/snapshot.ts";
import { openBench, setUpParts } from "../scenario/bench.ts";
import type { Bench } from "../scenario/controls.ts";
import { type LabFixture, labFixture, runOnce, runTestCell, testScenario } from "../testing/lab-fixture.ts";
import { Bays } from "./bays.ts";
import { Labs, type ReadyLab } from "./labs.ts";

/**
 * Kills the first QEMU that is there, as the container's kernel names it. It waits for one in the container itself: a restore
 * takes a seventh of a second, and from outside it is over before one has looked twice.
 */
const KILL_QEMU = `
try=0
while [ $try -lt 2000 ]; do
  try=$((try + 1))
  for comm in /proc/[0-9]*/comm; do
    read -r name < $comm 2> /dev/null || continue
    case $name in qemu-system*) pid=\${comm#/proc/}; kill -KILL \${pid%/comm} && echo killed && exit;; esac
  done
  sleep 0.005
done`;

const SCENARIO = testScenario("snapshot", async ({ ledger, path: paths }) => {
  await (await ledger.rewrite()).acknowledged();
  await paths.a.drop();
  await (await ledger.rewrite()).acknowledged();
  await paths.a.heal();
});

describe("labs from one snapshot", () => {
  let fixture: LabFixture;
  const scope = new Scope(() => undefined);
  let labs: readonly { ready: ReadyLab; bench: Bench }[];

  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
    const signal = new AbortController().signal;
    const sink = { record: () => undefined };
    labs = await together(
      ["one", "other"].map(async identity => {
        const artefacts = path.join(fixture.out, identity);
        await mkdir(artefacts);
        const bay = await fixture.bays.take();
        scope.defer("bay", () => fixture.bays.give(bay));
        const ready = await fixture.labs.ready({
          bay,
          kernel: fixture.kernel,
          scenario: SCENARIO,
          backingMiB: SCENARIO.lab.lunMiB,
          sink,
          artefacts,
          timeoutScale: 1,
          signal,
          phase: (_, work) => work(),
          onCleanupFailure: () => undefined,
        });
        scope.defer("lab", async () => ready.lab[Symbol.asyncDispose]());
        const { lab, configured } = ready;
        const bench = await openBench({
          lab,
          configured,
          scenario: SCENARIO,
          seed: 1,
          sink,
          identity,
          scale: 1,
          signal,
          scope,
        });
        ready.started();
        return { ready, bench };
      }),
    );
  });
  afterAll(async () => {
    await scope.close();
    await fixture[Symbol.asyncDispose]();
  });

  /** The same question to both labs' nodes of that name. */
  const ask = <T>(name: "target" | "initiator", question: (node: Node) => Promise<T>): Promise<T[]> =>
    Promise.all(labs.map(({ ready }) => question(ready.lab.nodes[name])));

  test("are restored, and their sessions are logged in", () => {
    expect(labs.map(({ ready }) => ready.how)).toEqual(["restored", "restored"]);
    for (const { bench } of labs)
      expect([...bench.watch.state.sessions.values()].map(({ state }) => state)).toEqual(["LOGGED_IN", "LOGGED_IN"]);
  });

  test.each(["target", "initiator"] as const)(
    "do not behave as one: randomness, identity and keys of the %s",
    async name => {
      const randoms = await ask(name, async ({ agent }) => (await agent.random(32)).toString("hex"));
      expect(new Set(randoms).size).toBe(2);
      const ids = await ask(name, async ({ ssh }) => (await ssh.execOk(["cat", "/etc/machine-id"])).stdout.trim());
      expect(new Set(ids).size).toBe(2);
      for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
      const keys = labs.map(({ ready }) => ready.lab.nodes[name].ssh.hostPublic.toString("hex"));
      expect(new Set(keys).size).toBe(2);
      const bootIds = await ask(name, ({ ssh }) => ssh.execOk(["cat", "/proc/sys/kernel/random/boot_id"]));
      expect(new Set(bootIds.map(({ stdout }) => stdout)).size).toBe(2);
    },
  );

  test("have the time of day, not that of the snapshot", async () => {
    for (const name of ["target", "initiator"] as const) {
      for (const { stdout } of await ask(name, ({ ssh }) => ssh.execOk(["date", "+%s"])))
        expect(Math.abs(Number(stdout) - wallClock().getTime() / 1000)).toBeLessThan(60);
    }
  });

  test("do not see each other's writes", async () => {
    const [one, other] = labs.map(({ bench }) => bench.ledger);
    if (one === undefined || other === undefined) throw new Error("two labs were to be there");
    await one.rewrite().acknowledged(20_000);
    await one.readBack(20_000);
    await other.readBack(20_000);
    await using image = await open(labs[1]?.ready.lab.backings[0] ?? "", "r");
    const { buffer } = await image.read(Buffer.alloc(8 * 4096), 0, 8 * 4096, 0);
    expect(buffer.every(byte => byte === 0)).toBe(true);
  });

  test("share the memory that neither has written to", async () => {
    const sizes = await Promise.all(labs.map(({ ready }) => ready.lab.memoryMiB()));
    // Two guests of 384 MiB, of which the snapshot holds about 150 each.
    for (const size of sizes) expect(size).toBeLessThan(300);
  });
});

describe("a snapshot", () => {
  let fixture: LabFixture;
  const said: string[] = [];
  const log: Log = { ...silentLog, say: text => void said.push(text) };
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  const fileOf = (name: string): string => {
    const key = snapshotKey(fixture.host, fixture.kernel, [String(SCENARIO.lab.lunMiB), ...setUpParts(SCENARIO)]);
    return path.join(cacheDir(), SNAPSHOT_KIND, key, name);
  };
  const labs = () => new Labs({ log, snapshots: true });
  const run = async (own: Labs) => {
    said.length = 0;
    const cell = await runTestCell(fixture, SCENARIO, { labs: own });
    // The next cell is the same one: its place must be free.
    await rm(path.join(fixture.out, "cells"), { recursive: true });
    return { status: cell.status, reason: cell.reason, how: cell.lab?.how };
  };
  const PASSED = { status: "PASS", reason: undefined, how: "restored" };

  test("that was cut short is noticed, thrown away and made again", async () => {
    expect(await run(labs())).toEqual(PASSED);
    await truncate(fileOf(SNAPSHOT_FILES.memory("initiator")), 1 << 20);
    expect(await run(labs())).toEqual(PASSED);
    expect(said.join("\n")).toContain("is damaged: memory-initiator has 1048576 bytes");
  });

  test("whose content QEMU does not take is thrown away and made again", async () => {
    const file = fileOf(SNAPSHOT_FILES.devices("target"));
    const { atime, mtime, size } = await stat(file);
    await using handle = await open(file, "r+");
    await handle.write(Buffer.alloc(4096, 0x5a), 0, 4096, Math.floor(size / 2));
    await utimes(file, atime, mtime);
    expect(await run(labs())).toEqual(PASSED);
    expect(said.join("\n")).toMatch(/could not be restored.*thrown away and made again/s);
  });

  test("whose restore is killed is thrown away and made again, and the cell still tells the truth", async () => {
    const bay = await fixture.bays.take();
    // The first QEMU that is there in the container of the target dies while it reads the snapshot.
    const killer = bay.containers.target.exec(["sh", "-c", KILL_QEMU], { timeoutMs: 60_000 });
    await fixture.bays.give(bay);
    try {
      expect(await run(labs())).toEqual(PASSED);
    } finally {
      expect((await killer).stdout).toContain("killed");
    }
    expect(said.join("\n")).toMatch(/could not be restored|No snapshot/);
  });

  test("that cannot be made, for a device that cannot be saved, is done without, and the cell says so", async () => {
    // QEMU's NVMe controller cannot be migrated (hw/nvme/ctrl.c).
    const host = { ...fixture.host, devices: ["nvme,serial=rig"] };
    const request = { host, run: "test", out: fixture.out, timeoutScale: 1, onCleanupFailure: () => undefined };
    await using bays = new Bays(request, silentLog);
    said.length = 0;
    const cell = await runTestCell({ ...fixture, bays, labs: labs() }, SCENARIO);
    expect([cell.status, cell.lab?.how]).toEqual(["PASS", "cold"]);
    expect(cell.lab?.why).toMatch(/No snapshot of debian-6.1 could be made: .*nvme/s);
    expect(said.filter(text => text.includes("Its labs are booted instead"))).toHaveLength(1);
  });
});

describe("a lab that gets no CPU", () => {
  let fixture: LabFixture;
  const hogs: ChildProcess[] = [];
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(async () => {
    for (const hog of hogs) hog.kill("SIGKILL");
    await fixture[Symbol.asyncDispose]();
  });

  test("has no verdict: the cell is ERROR, and says that it was starved", async () => {
    const { cell, starved } = await runOnce(
      fixture,
      testScenario("starved", async ({ ledger }) => {
        // Each in a session of its own: the scheduler shares the CPUs among sessions.
        for (let i = 0; i < 32; i++)
          hogs.push(spawn("sh", ["-c", "while :; do :; done"], { detached: true, stdio: "ignore" }));
        try {
          for (let i = 0; i < 20; i++) await (await ledger.rewrite()).acknowledged();
        } finally {
          for (const hog of hogs) hog.kill("SIGKILL");
        }
      }),
    );
    expect([starved, cell.status, cell.findings]).toEqual([true, "ERROR", []]);
    expect(cell.reason).toContain("starved: ");
  });
});
