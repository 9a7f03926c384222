import type Docker from "dockerode";
import { describe, expect, test, vi } from "vitest";
import { RigError } from "../core/errors.ts";
import { NODE_AGENT } from "../image/node-image.ts";
import { Container, type ContainerRequest } from "./container.ts";

const network = (id: string) => ({ id, name: id, address: () => "10.213.0.3" });

const request = (more: Partial<ContainerRequest> = {}): ContainerRequest => ({
  name: "iscsi-rig-1-target",
  image: "iscsi-rig/node:1",
  node: "target",
  labels: { run: "r", lab: "1", owner: "o" },
  socket: { here: "/here/agent.sock", there: "/lab/agent.sock" },
  accelerator: "tcg",
  memoryMiB: 100,
  networks: { a: network("net-a"), b: network("net-b") },
  binds: ["/x:/lab"],
  ...more,
});

interface Fakes {
  readonly connect?: () => Promise<void>;
  readonly address?: string;
  readonly remove?: () => Promise<void>;
  readonly start?: () => Promise<void>;
}

interface Options {
  readonly Cmd: readonly string[];
  readonly HostConfig: Record<string, unknown> & { Devices: readonly { PathOnHost: string }[] };
  readonly Env: readonly string[];
  readonly Labels: Record<string, string>;
}

/** A Docker daemon that does as told and remembers what it was asked. */
const daemon = (fakes: Fakes = {}) => {
  const asked: string[] = [];
  const made: Options[] = [];
  const container = {
    id: "c1",
    start: () => {
      asked.push("start");
      return fakes.start?.() ?? Promise.resolve();
    },
    kill: ({ signal }: { signal: string }) => {
      asked.push(signal);
      return Promise.resolve();
    },
    wait: () => {
      asked.push("wait");
      return Promise.resolve({ StatusCode: 137 });
    },
    inspect: () =>
      Promise.resolve({ NetworkSettings: { Networks: { bridge: { IPAddress: fakes.address ?? "172.17.0.2" } } } }),
    logs: () => Promise.resolve(Buffer.from("\u0001\u0000\u0000\u0000\u0000\u0000\u0000\u0005oops\n", "latin1")),
    remove: () => {
      asked.push("remove");
      return fakes.remove?.() ?? Promise.resolve();
    },
  };
  const docker = {
    createContainer: (options: Options) => {
      made.push(options);
      return Promise.resolve(container);
    },
    getNetwork: (id: string) => ({
      connect: () => {
        asked.push(`connect ${id}`);
        return fakes.connect?.() ?? Promise.resolve();
      },
    }),
  } as unknown as Docker;
  return { docker, asked, made };
};

describe("a container", () => {
  test("has the rights it needs and no others, its labels, and both paths", async () => {
    const { docker, asked, made } = daemon();
    await Container.create(docker, request());
    expect(made[0]).toMatchObject({
      Cmd: [NODE_AGENT, "/lab/agent.sock"],
      Labels: { "org.iscsi-rig": "lab", "org.iscsi-rig.lab": "1" },
      Env: ["RIG_PATHS=a=10.213.0.3 b=10.213.0.3", "RIG_NODE_NUMBER=2"],
      HostConfig: { CapDrop: ["ALL"], CapAdd: ["NET_ADMIN"], ReadonlyRootfs: true, Binds: ["/x:/lab"] },
    });
    expect(made[0]?.HostConfig["Privileged"]).toBeUndefined();
    expect(made[0]?.HostConfig.Devices.map(device => device.PathOnHost)).toEqual(["/dev/net/tun"]);
    expect(asked).toEqual(["connect net-a", "connect net-b"]);
  });

  test("gets /dev/kvm only where that is used", async () => {
    const { docker, made } = daemon();
    await Container.create(docker, request({ accelerator: "kvm" }));
    expect(made[0]?.HostConfig.Devices.map(device => device.PathOnHost)).toEqual(["/dev/net/tun", "/dev/kvm"]);
  });

  test("that cannot join a path is removed again, and the error says why", async () => {
    const { docker, asked } = daemon({ connect: () => Promise.reject(new Error("no such network")) });
    await expect(Container.create(docker, request())).rejects.toMatchObject({
      code: "RIG_LAB_CONTAINER",
      blame: "environment",
      message: expect.stringContaining("no such network") as string,
    });
    expect(asked.slice(-3)).toEqual(["SIGKILL", "wait", "remove"]);
  });

  test("has started when its agent answers, and is told by its management address", async () => {
    const { docker, asked } = daemon();
    const container = await Container.create(docker, request());
    const ready = vi.spyOn(container.agent, "ready").mockImplementation(() => {
      asked.push("ready");
      return Promise.resolve();
    });
    const { signal } = new AbortController();
    expect(await container.start(5000, signal)).toBe("172.17.0.2");
    expect(ready).toHaveBeenCalledWith(5000, signal);
    expect(asked.slice(-2)).toEqual(["start", "ready"]);
  });

  test("that does not start, or whose agent does not answer, is an error with the reason and its last words", async () => {
    const refused = await Container.create(
      daemon({ start: () => Promise.reject(new Error("no tun")) }).docker,
      request(),
    );
    await expect(refused.start(5000)).rejects.toMatchObject({
      code: "RIG_LAB_CONTAINER",
      blame: "environment",
      message: "The container iscsi-rig-1-target did not start: no tun. It said:\n  oops\nLook with: rig doctor",
    });
    const mute = await Container.create(daemon().docker, request());
    vi.spyOn(mute.agent, "ready").mockRejectedValue(new RigError("RIG_DEADLINE", "Expected an answer"));
    await expect(mute.start(5000)).rejects.toThrow("did not start: Expected an answer. It said:\n  oops\n");
  });

  test("whose start is given up ends with the caller's reason", async () => {
    const container = await Container.create(daemon().docker, request());
    vi.spyOn(container.agent, "ready").mockRejectedValue(new Error("cut short"));
    const signal = AbortSignal.abort(new Error("the other node died"));
    await expect(container.start(5000, signal)).rejects.toThrow("the other node died");
  });

  test("that ended at once is an error with its last words", async () => {
    const container = await Container.create(daemon({ address: "" }).docker, request());
    vi.spyOn(container.agent, "ready").mockResolvedValue();
    await expect(container.start(5000)).rejects.toThrow("The container iscsi-rig-1-target ended at once:\n  oops");
  });

  test("tells how it ended", async () => {
    expect(await (await Container.create(daemon().docker, request())).ended()).toBe(137);
  });

  test.each([
    [404, "is gone already", true],
    [409, "is being removed already", true],
    [500, "cannot be removed", false],
  ])("removing one answers %i: it %s", async (statusCode, _what, fine) => {
    const { docker } = daemon({ remove: () => Promise.reject(Object.assign(new Error("no"), { statusCode })) });
    const removing = (await Container.create(docker, request())).remove();
    if (fine) await removing;
    else await expect(removing).rejects.toThrow("no");
  });
});
