import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deadline, orAbort } from "../core/clock.ts";
import type { HistoryEvent, Unstamped } from "../history/event.ts";
import { type LabFixture, labFixture } from "../testing/lab-fixture.ts";
import { type MachineState, machineIsBackTo, machineState } from "../testing/machine-state.ts";
import type { Bay } from "./bay.ts";
import { makeClientKey, makeHostKey } from "./keys.ts";
import { bootLab, type Lab } from "./lab.ts";
import { SSH_PORT } from "./qemu-argv.ts";
import { Ssh } from "./ssh.ts";

describe("a lab", () => {
  let fixture: LabFixture;
  let before: MachineState;
  let artefacts: string;
  let bay: Bay;
  let lab: Lab;
  const events: Unstamped[] = [];
  const troubles: string[] = [];

  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
    before = await machineState();
    bay = await fixture.bays.take();
    artefacts = path.join(fixture.out, "lab");
    await mkdir(artefacts);
    lab = await bootLab({
      bay,
      kernel: fixture.kernel,
      backingMiB: 16,
      sink: { record: event => events.push(event) },
      artefacts,
      timeoutScale: 1,
      onCleanupFailure: what => troubles.push(what),
    });
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await fixture[Symbol.asyncDispose]();
  });

  test("boots the kernel under test on both nodes", async () => {
    for (const node of Object.values(lab.nodes)) {
      expect((await node.ssh.execOk(["uname", "-r"])).stdout.trim()).toBe(fixture.kernel.identity.release);
    }
  });

  test("connects the guests over both paths, at addresses that are the same in every lab", async () => {
    const answer = await lab.nodes.initiator.ssh.exec([
      "sh",
      "-c",
      'for p in 1 2; do timeout 5 bash -c "</dev/tcp/10.$p.0.2/22" && echo path $p; done',
    ]);
    expect(answer.stdout).toBe("path 1\npath 2\n");
  });

  test("gives its containers NET_ADMIN and /dev/net/tun and nothing more", async () => {
    for (const node of Object.values(lab.nodes)) {
      const { HostConfig } = await fixture.host.docker.getContainer(node.container.id).inspect();
      expect([HostConfig.Privileged, HostConfig.CapDrop, HostConfig.CapAdd]).toEqual([false, ["ALL"], ["NET_ADMIN"]]);
      const devices = (HostConfig.Devices as { PathOnHost: string }[]).map(device => device.PathOnHost);
      expect(devices).toEqual(
        fixture.host.accelerator.accelerator === "kvm" ? ["/dev/net/tun", "/dev/kvm"] : ["/dev/net/tun"],
      );
    }
  });

  test("refuses a node that shows another host key", async () => {
    const { address: host } = lab.nodes.target;
    const { clientKey } = makeClientKey();
    const target = { name: "target", host, port: SSH_PORT, clientKey, hostPublic: makeHostKey().hostPublic };
    await expect(Ssh.connect(target, 10_000)).rejects.toMatchObject({ code: "RIG_LAB_SSH" });
  });

  test("ends a command that does not end, at its deadline", async () => {
    await expect(lab.nodes.target.ssh.exec(["sleep", "60"], { timeoutMs: 500 })).rejects.toMatchObject({
      code: "RIG_DEADLINE",
    });
    expect((await lab.nodes.target.ssh.exec(["echo", "still here"])).stdout).toBe("still here\n");
  });

  test("records the console of both nodes from the first line on", () => {
    const lines = events.filter(
      (event): event is Extract<HistoryEvent, { kind: "console" }> => event.kind === "console",
    );
    for (const node of ["target", "initiator"])
      expect(lines.some(event => event.node === node && event.line.includes("rig-init: up"))).toBe(true);
  });

  test("says at once that a node is lost, and why", async () => {
    const lost = Promise.withResolvers<unknown>();
    lab.nodeLost.addEventListener("abort", () => lost.resolve(lab.nodeLost.reason));
    await lab.nodes.target.qmp.execute("quit").catch(() => undefined);
    using limit = deadline(10_000, "the lost node to be noticed");
    expect(await orAbort(lost.promise, limit)).toMatchObject({
      code: "RIG_LAB_CONTAINER",
      message: expect.stringContaining("target's microVM ended") as string,
    });
  });

  test("leaves nothing but its bay, and that leaves nothing at all", async () => {
    await lab[Symbol.asyncDispose]();
    expect(await readdir(path.join(bay.directory, "target"))).toEqual(["agent.sock"]);
    await fixture.bays.give(bay);
    expect(await fixture.bays.take()).toBe(bay);
    await bay.containers.target.execOk(["iptables", "-w", "5", "-A", "FORWARD", "-j", "DROP"]);
    expect(await bay.changed()).toContain("-A FORWARD -j DROP");
    await bay[Symbol.asyncDispose]();
    expect(troubles).toEqual([]);
    await machineIsBackTo(before);
  });
});
