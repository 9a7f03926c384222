import { describe, expect, test } from "vitest";
import { NODE_NAMES } from "../core/names.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LabHost } from "./host.ts";
import { loadState, microVm, snapshotKey } from "./snapshot.ts";
import { CAPABILITIES, migratingQemu } from "./testdata/migrating-qemu.ts";

const hostOf = (
  more: { image?: string; root?: string; accelerator?: "kvm" | "tcg"; qemu?: string; why?: string } = {},
) =>
  ({
    docker: {},
    image: { key: more.image ?? "image", tag: `iscsi-rig/node:${more.image ?? "image"}` },
    root: { key: more.root ?? "root", image: "/somewhere/root.erofs" },
    accelerator: {
      accelerator: more.accelerator ?? "tcg",
      qemu: more.qemu ?? "7.2",
      why: more.why ?? "KVM hangs",
      factor: 1,
    },
  }) as unknown as LabHost;

const kernelOf = (bundle: string, name = "6.1"): Kernel => ({ name, bundle: { key: bundle } }) as unknown as Kernel;

describe("the key of a snapshot", () => {
  const key = snapshotKey(hostOf(), kernelOf("bundle"), ["64", "script"]);

  test.each<[string, string]>([
    ["the node image", snapshotKey(hostOf({ image: "other" }), kernelOf("bundle"), ["64", "script"])],
    ["the guest root", snapshotKey(hostOf({ root: "other" }), kernelOf("bundle"), ["64", "script"])],
    ["the accelerator", snapshotKey(hostOf({ accelerator: "kvm" }), kernelOf("bundle"), ["64", "script"])],
    ["the version of QEMU", snapshotKey(hostOf({ qemu: "7.3" }), kernelOf("bundle"), ["64", "script"])],
    ["the kernel's bundle", snapshotKey(hostOf(), kernelOf("other"), ["64", "script"])],
    ["a parameter", snapshotKey(hostOf(), kernelOf("bundle"), ["128", "script"])],
    ["a script", snapshotKey(hostOf(), kernelOf("bundle"), ["64", "script "])],
    ["a script more", snapshotKey(hostOf(), kernelOf("bundle"), ["64", "script", ""])],
    ["a LUN more", snapshotKey(hostOf(), kernelOf("bundle"), ["64", "script"], { luns: 2, devices: 1 })],
    ["a device more", snapshotKey(hostOf(), kernelOf("bundle"), ["64", "script"], { luns: 1, devices: 2 })],
    ["where one script ends and the next begins", snapshotKey(hostOf(), kernelOf("bundle"), ["64s", "cript"])],
  ])("is another one with another %s", (_what, other) => {
    expect(other).toMatch(/^[0-9a-f]{24}$/);
    expect(other).not.toBe(key);
  });

  test("is the same for what shapes no guest: the kernel's name, a reason, where files are", () => {
    expect(snapshotKey(hostOf(), kernelOf("bundle", "another name"), ["64", "script"])).toBe(key);
    expect(snapshotKey(hostOf({ why: "no /dev/kvm" }), kernelOf("bundle"), ["64", "script"])).toBe(key);
    const moved: LabHost = { ...hostOf(), root: { key: "root", image: "/elsewhere/root.erofs" } };
    expect(snapshotKey(moved, kernelOf("bundle"), ["64", "script"])).toBe(key);
  });
});

test("the microVMs of a snapshot differ in what a device needs: the target has the disks, the initiator serves", () => {
  const places = { lab: "/lab", bundle: "/bundle" };
  const both = (luns: number, devices: number) =>
    NODE_NAMES.map(node => microVm(node, hostOf(), { places }, { luns, devices }));
  expect(both(2, 4)).toMatchObject([
    { disks: 2, exports: 0 },
    { disks: 0, exports: 4 },
  ]);
  expect(NODE_NAMES.map(node => microVm(node, hostOf(), { places }))).toEqual(both(1, 1));
});

describe("loading a node's state", () => {
  test("leaves memory where it is, and is over when QEMU says so", async () => {
    const { qmp, asked } = migratingQemu();
    await loadState("target", qmp, "/snapshots/k/devices-target");
    expect(asked).toEqual([CAPABILITIES, 'migrate-incoming {"uri":"exec:cat /snapshots/k/devices-target"}']);
  });

  test("that QEMU refuses is told in its words", async () => {
    const { qmp } = migratingQemu({ refuses: { "migrate-incoming": "'-incoming' was not specified" } });
    await expect(loadState("target", qmp, "/s")).rejects.toMatchObject({
      code: "RIG_LAB_SNAPSHOT",
      message: "migrate-incoming of the target: QEMU refused migrate-incoming: '-incoming' was not specified",
      cause: { code: "RIG_QMP" },
    });
  });

  test.each<[string, unknown, string]>([
    ["in QEMU's words", { status: "failed", "error-desc": "unknown ramblock 'ram'" }, "unknown ramblock 'ram'"],
    ["without a reason where QEMU has none", {}, "QEMU gives no reason"],
  ])("that fails on the way is told %s", async (_how, answer, why) => {
    const { qmp } = migratingQemu({ statuses: ["setup", "failed"], answer });
    await expect(loadState("initiator", qmp, "/s")).rejects.toMatchObject({
      code: "RIG_LAB_SNAPSHOT",
      message: `migrate-incoming of the initiator failed: ${why}.`,
    });
  });

  test("that fails, with QEMU gone before it could be asked why, is told all the same", async () => {
    const { qmp } = migratingQemu({ statuses: ["failed"], refuses: { "query-migrate": "gone" } });
    await expect(loadState("initiator", qmp, "/s")).rejects.toThrow("failed: QEMU gives no reason.");
  });

  test("by a QEMU that dies is told as such", async () => {
    const { qmp } = migratingQemu({ dies: true });
    await expect(loadState("target", qmp, "/s")).rejects.toMatchObject({
      code: "RIG_LAB_SNAPSHOT",
      message: expect.stringContaining("waited for the state of the target's microVM to be moved") as string,
    });
  });
});
