import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type Docker from "dockerode";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { ownCache, temporaryDirectory } from "../testing/bench-dir.ts";
import { chooseAccelerator } from "./accelerator.ts";

const kvm = vi.hoisted(() => ({ there: true }));
vi.mock("node:fs", async importOriginal => {
  const fs = await importOriginal<typeof import("node:fs")>();
  return { ...fs, existsSync: (file: string) => (file === "/dev/kvm" ? kvm.there : fs.existsSync(file)) };
});

const IMAGE = { key: "k1", tag: "iscsi-rig/node:k1" };
/** What QEMU's isa-debug-exit makes of the value that the boot sector writes. */
const ANSWERED = 0x2a * 2 + 1;
/** What the work printed, in microseconds. */
const TIMES = "85 700000\n85 640000\n85 900000\n";

interface Asked {
  readonly Cmd: readonly string[];
  readonly HostConfig: {
    readonly Binds: readonly string[];
    readonly Devices: readonly unknown[];
    readonly CapDrop: readonly string[];
  };
}

/** A Docker whose containers are QEMU: one prints its version, the other runs the probe guest, or does not. */
const dockerThat = (probe: () => Promise<{ status: number; said?: string }>) => {
  const asked: Asked[] = [];
  let removed = 0;
  const piece = (text: string) => Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
  const createContainer = async (options: Asked) => {
    asked.push(options);
    const isVersion = options.Cmd.includes("--version");
    if (!isVersion) {
      const [dir = ""] = (options.HostConfig.Binds[0] ?? "").split(":");
      for (const name of ["boot.img", "work.img"]) {
        const sector = await readFile(path.join(dir, name));
        expect(sector).toHaveLength(512);
        expect(sector.toString("hex", 510)).toBe("55aa");
      }
    }
    const isWork = options.Cmd.includes("sh");
    let said = "QEMU emulator version 7.2.19 (Debian)\n";
    return {
      start: () => Promise.resolve(),
      wait: async () => {
        if (isVersion) return { StatusCode: 0 };
        if (isWork) {
          said = TIMES;
          return { StatusCode: 0 };
        }
        const answer = await probe();
        said = answer.said ?? "";
        return { StatusCode: answer.status };
      },
      logs: () => Promise.resolve(piece(said)),
      remove: () => {
        removed++;
        return Promise.resolve();
      },
    };
  };
  return { docker: { createContainer } as unknown as Docker, asked, removed: () => removed };
};

beforeEach(async () => {
  await ownCache();
  vi.stubEnv("RIG_LABS_DIR", await temporaryDirectory());
  vi.stubEnv("RIG_ACCEL", undefined);
  kvm.there = true;
  onTestFinished(() => void vi.unstubAllEnvs());
});

describe("the accelerator", () => {
  test("is KVM where the probe guest answers, and the answer is kept", async () => {
    const { docker, asked, removed } = dockerThat(() => Promise.resolve({ status: ANSWERED }));
    expect(await chooseAccelerator(docker, IMAGE)).toEqual({
      accelerator: "kvm",
      why: "/dev/kvm runs a guest",
      qemu: "7.2.19",
      factor: 1.3,
    });
    expect(await chooseAccelerator(docker, IMAGE)).toMatchObject({ factor: 1.3 });
    expect([asked.length, removed()]).toEqual([3, 3]);
    expect(asked[1]?.HostConfig).toMatchObject({ CapDrop: ["ALL"], Devices: [{ PathOnHost: "/dev/kvm" }] });
  });

  test("is asked for again with another image, or where the kept answer is damaged", async () => {
    const { docker, asked } = dockerThat(() => Promise.resolve({ status: ANSWERED }));
    await chooseAccelerator(docker, IMAGE);
    await chooseAccelerator(docker, { ...IMAGE, key: "k2" });
    expect(asked).toHaveLength(6);
    const file = path.join(process.env["XDG_CACHE_HOME"] ?? "", "iscsi-rig/accelerator.json");
    expect(existsSync(file)).toBe(true);
    await writeFile(file, "{");
    await chooseAccelerator(docker, { ...IMAGE, key: "k2" });
    expect(asked).toHaveLength(9);
  });

  test("is TCG where there is no /dev/kvm, without a probe", async () => {
    kvm.there = false;
    const { docker, asked } = dockerThat(() => Promise.reject(new Error("no probe")));
    expect(await chooseAccelerator(docker, IMAGE)).toMatchObject({ accelerator: "tcg", why: "there is no /dev/kvm" });
    expect(asked).toHaveLength(2);
    expect(asked[1]?.HostConfig.Devices).toEqual([]);
  });

  test("is TCG where /dev/kvm is there and does not run a guest, with QEMU's own words", async () => {
    const said = "Could not access KVM kernel module: Permission denied\n";
    const { docker, removed } = dockerThat(() => Promise.resolve({ status: 1, said }));
    const { accelerator, why } = await chooseAccelerator(docker, IMAGE);
    expect(accelerator).toBe("tcg");
    expect(why).toContain("status 1");
    expect(why).toContain("Permission denied");
    expect(removed()).toBe(3);
  });

  test("is TCG where the probe cannot run", async () => {
    const { docker, removed } = dockerThat(() => Promise.reject(new Error("the daemon went away")));
    expect(await chooseAccelerator(docker, IMAGE)).toMatchObject({
      accelerator: "tcg",
      why: "/dev/kvm is there but its guest did not answer: the daemon went away",
    });
    expect(removed()).toBe(3);
  });

  test("can be forced to TCG, which is not kept", async () => {
    const { docker } = dockerThat(() => Promise.resolve({ status: ANSWERED }));
    vi.stubEnv("RIG_ACCEL", "tcg");
    expect(await chooseAccelerator(docker, IMAGE)).toMatchObject({ accelerator: "tcg", why: "RIG_ACCEL=tcg" });
    vi.stubEnv("RIG_ACCEL", undefined);
    expect((await chooseAccelerator(docker, IMAGE)).accelerator).toBe("kvm");
  });
});
