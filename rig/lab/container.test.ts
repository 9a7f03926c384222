import { PassThrough } from "node:stream";
import type Docker from "dockerode";
import { describe, expect, test } from "vitest";
import { Container, type ContainerRequest } from "./container.ts";

const network = (id: string) => ({ id, name: id, address: () => "10.213.0.3" });

const request = (more: Partial<ContainerRequest> = {}): ContainerRequest => ({
  name: "iscsi-rig-1-target",
  image: "iscsi-rig/node:1",
  node: "target",
  labels: { run: "r", lab: "1", owner: "o" },
  argv: ["qemu", "-m", "1"],
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
  readonly exec?: () => { stdout: string; stderr: string; status: number; hangs?: boolean };
}

interface Options {
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
    start: () => Promise.resolve(),
    inspect: () =>
      Promise.resolve({ NetworkSettings: { Networks: { bridge: { IPAddress: fakes.address ?? "172.17.0.2" } } } }),
    logs: () => Promise.resolve(Buffer.from("\u0001\u0000\u0000\u0000\u0000\u0000\u0000\u0005oops\n", "latin1")),
    remove: () => {
      asked.push("remove");
      return fakes.remove?.() ?? Promise.resolve();
    },
    exec: ({ Cmd }: { Cmd: string[] }) => {
      asked.push(Cmd.join(" "));
      const { stdout, stderr, status, hangs = false } = fakes.exec?.() ?? { stdout: "", stderr: "", status: 0 };
      const stream = new PassThrough();
      return Promise.resolve({
        start: () => {
          if (!hangs) stream.end(JSON.stringify({ stdout, stderr }));
          return Promise.resolve(stream);
        },
        inspect: () => Promise.resolve({ ExitCode: status }),
      });
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
    modem: {
      demuxStream: (stream: PassThrough, stdout: PassThrough, stderr: PassThrough) => {
        stream.on("data", (chunk: Buffer) => {
          const said = JSON.parse(chunk.toString()) as { stdout: string; stderr: string };
          stdout.write(said.stdout);
          stderr.write(said.stderr);
        });
      },
    },
  } as unknown as Docker;
  return { docker, asked, made };
};

describe("a container", () => {
  test("has the rights it needs and no others, its labels, and both paths", async () => {
    const { docker, asked, made } = daemon();
    await Container.create(docker, request());
    expect(made[0]).toMatchObject({
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
    expect(asked.at(-1)).toBe("remove");
  });

  test("that ended at once is an error with its last words", async () => {
    const { docker } = daemon({ address: "" });
    const container = await Container.create(docker, request());
    await expect(container.start()).rejects.toThrow("The container iscsi-rig-1-target ended at once:\n  oops");
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

describe("a command in a container", () => {
  test("gives its status and both outputs", async () => {
    const { docker, asked } = daemon({ exec: () => ({ stdout: "out", stderr: "err", status: 2 }) });
    const container = await Container.create(docker, request());
    expect(await container.exec(["iptables", "-L"])).toMatchObject({ exitCode: 2, stdout: "out", stderr: "err" });
    expect(asked.at(-1)).toBe("iptables -L");
    await expect(container.execOk(["iptables", "-L"])).rejects.toMatchObject({
      code: "RIG_FAULT",
      message: "In the container iscsi-rig-1-target, iptables -L: expected success, got exit status 2.\n  errout",
    });
  });

  test("that hangs is given up", async () => {
    const { docker } = daemon({ exec: () => ({ stdout: "", stderr: "", status: 0, hangs: true }) });
    const container = await Container.create(docker, request());
    await expect(container.exec(["sleep", "9"], { timeoutMs: 20 })).rejects.toMatchObject({ code: "RIG_DEADLINE" });
  });
});
