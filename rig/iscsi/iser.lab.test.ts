import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODE_NAMES, PATH_NAMES } from "../core/names.ts";
import { Scope } from "../core/scope.ts";
import { PathDrop } from "../fault/path-drop.ts";
import type { EventOf } from "../history/event.ts";
import { readHistory } from "../history/reader.ts";
import { openBench } from "../scenario/bench.ts";
import { type Bench, isQuiet } from "../scenario/controls.ts";
import { type LabFixture, labFixture, runTestCell, testScenario } from "../testing/lab-fixture.ts";

const LAB = { paths: 2, transport: "iser", multipath: "failover" } as const;

describe("iser over rxe", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  test("a dropped path fails over and comes back, and a healthy kernel passes", async () => {
    const cell = await runTestCell(
      fixture,
      testScenario(
        "iser-recovery",
        async ({ ledger, path: paths, session, recovered }) => {
          await (await ledger.rewrite()).acknowledged();
          await paths.a.drop();
          const stuck = await ledger.rewrite();
          await session("a").failed();
          await stuck.acknowledged();
          await (await ledger.rewrite()).acknowledged();
          await paths.a.heal();
          await recovered();
          await paths.a.quiet();
          await (await ledger.rewrite()).acknowledged();
        },
        { lab: LAB },
      ),
    );
    expect([cell.status, cell.reason, cell.findings]).toEqual(["PASS", undefined, []]);
    expect(cell.lab?.how).toBe("restored");
    expect(cell.sessions.map(one => [one.path, one.values["proc_name"]])).toEqual(
      PATH_NAMES.map(one => [one, "iscsi_iser"]),
    );
    expect(cell.faults).toMatchObject([{ fault: "path-drop:a#1", bit: true, gone: true }]);
    expect(cell.faults[0]?.counters["packets"]).toBeGreaterThan(0);
    const directory = path.join(fixture.out, "cells/test/iser-recovery/debian-6.1/1");
    const { events } = await readHistory(path.join(directory, "history.ndjson"));
    const pairs = events.filter((event): event is EventOf<"queue-pair"> => event.kind === "queue-pair");
    // Nothing of iSCSI went by TCP, and path a had a connection before the fault and another one after it.
    expect(events.filter(event => event.kind === "socket")).toEqual([]);
    for (const node of NODE_NAMES)
      expect(new Set(pairs.filter(one => one.node === node && one.path === "a").map(one => one.number)).size).toBe(2);
    expect(await readFile(path.join(directory, "console-initiator.log"), "utf8")).not.toContain("iSCSI/TCP");
  });

  describe("a lab", () => {
    const scope = new Scope(() => undefined);
    let bench: Bench;
    // Nobody gives a connection up here: what was sent stays to be sent again.
    const scenario = testScenario("iser-quiet", () => Promise.resolve(), {
      lab: LAB,
      timing: { noopInterval: 20, noopTimeout: 20, targetNopinTimeout: 0 },
    });
    beforeAll(async () => {
      const bay = await fixture.bays.take();
      scope.defer("bay", () => fixture.bays.give(bay));
      const artefacts = path.join(fixture.out, "quiet");
      await mkdir(artefacts);
      const signal = new AbortController().signal;
      const common = { scenario, sink: { record: () => undefined }, signal };
      const ready = await fixture.labs.ready({
        ...common,
        bay,
        kernel: fixture.kernel,
        backingMiB: scenario.lab.lunMiB,
        artefacts,
        timeoutScale: 1,
        phase: (_, work) => work(),
        onCleanupFailure: () => undefined,
      });
      scope.defer("lab", async () => ready.lab[Symbol.asyncDispose]());
      const { lab, configured } = ready;
      bench = await openBench({ ...common, lab, configured, seed: 1, identity: "iser", scale: 1, scope });
      ready.started();
    });
    afterAll(() => scope.close());

    const initiator = async (...argv: readonly string[]) =>
      (await bench.lab.nodes.initiator.ssh.execOk(argv)).stdout.trim();

    test("has its sessions over RDMA and no TCP connection, after a restore too", async () => {
      expect(await initiator("sh", "-c", "cat /sys/class/iscsi_session/session*/device/../scsi_host/*/proc_name")).toBe(
        "iscsi_iser\niscsi_iser",
      );
      expect(await initiator("ls", "/sys/class/iscsi_transport")).toContain("iser");
      expect(await initiator("iscsiadm", "-m", "session")).toMatch(/^iser: .*\niser: /);
      expect(bench.watch.state.sockets.size).toBe(0);
      const pairs = [...bench.watch.state.queuePairs.values()].filter(({ state }) => state === "RTS");
      expect(pairs.map(pair => `${pair.node} ${pair.path}`).toSorted()).toEqual([
        "initiator a",
        "initiator b",
        "target a",
        "target b",
      ]);
    });

    test("is not quiet while a dropped path owes something, and is when that has arrived", async () => {
      const { watch, ledger } = bench;
      const signal = new AbortController().signal;
      await ledger.rewrite().acknowledged(20_000);
      await watch.until(state => isQuiet(state, "a"), "the path to be quiet", 20_000, signal);
      const drop = new PathDrop(bench.lab.nodes.target.container, "a", 1);
      await drop.inject();
      const stuck = ledger.rewrite();
      await watch.until(state => !isQuiet(state, "a"), "the path to owe something", 20_000, signal);
      expect(isQuiet(watch.state, "b")).toBe(true);
      expect(stuck.inFlight).toBeGreaterThan(0);
      await drop.heal();
      await watch.until(state => isQuiet(state, "a"), "the path to be quiet again", 20_000, signal);
      await stuck.acknowledged(20_000);
      await ledger.readBack(20_000);
    });
  });
});
