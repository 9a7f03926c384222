/**
 * A node's container: NET_ADMIN, /dev/net/tun and, where it works, /dev/kvm; nothing else. Its first process is the
 * microVM. Commands in it (faults on its network namespace) go through `exec`.
 */

import { PassThrough } from "node:stream";
import type Docker from "dockerode";
import { deadline, monotonicMs, orAbort } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import type { ExecResult } from "../core/exec.ts";
import type { NodeName, PathName } from "../core/names.ts";
import { lastLines } from "../core/untrusted-tail.ts";
import { demuxLog } from "./docker-log.ts";
import { type LabLabels, labelsOf } from "./labels.ts";
import type { LabNetwork } from "./network.ts";
import { type Accelerator, NODE_NUMBER } from "./qemu-argv.ts";

export interface ContainerRequest {
  readonly name: string;
  readonly image: string;
  readonly node: NodeName;
  readonly labels: LabLabels;
  readonly argv: readonly string[];
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly networks: Readonly<Record<PathName, LabNetwork>>;
  /** Host directories and files, as Docker binds. */
  readonly binds: readonly string[];
}

/** What a container needs beyond its guest's memory: QEMU's own, translated code, and page tables. */
const OVERHEAD_MIB = 768;

const device = (path: string) => ({ PathOnHost: path, PathInContainer: path, CgroupPermissions: "rwm" });

/**
 * Kills a container and waits until Docker has noticed: removed by force while it runs, its ends of the networks may stay
 * behind until Docker's own sweep a minute later.
 */
export const stopContainer = async (container: Docker.Container): Promise<void> => {
  try {
    await container.kill({ signal: "SIGKILL" });
    await container.wait();
  } catch {
    // It does not run, or is gone: what comes next will tell.
  }
};

export class Container {
  readonly id: string;
  readonly name: string;
  readonly #container: Docker.Container;
  readonly #docker: Docker;

  constructor(docker: Docker, container: Docker.Container, name: string) {
    this.#docker = docker;
    this.#container = container;
    this.id = container.id;
    this.name = name;
  }

  /** Makes the container and joins it to the paths' networks; it does not run yet. */
  static async create(docker: Docker, request: ContainerRequest): Promise<Container> {
    const { networks, node } = request;
    const paths = Object.entries(networks).map(([name, network]) => `${name}=${network.address(node)}`);
    try {
      const container = await docker.createContainer({
        name: request.name,
        Image: request.image,
        Hostname: node,
        Cmd: [...request.argv],
        Env: [`RIG_PATHS=${paths.join(" ")}`, `RIG_NODE_NUMBER=${NODE_NUMBER[node]}`],
        Labels: labelsOf(request.labels),
        StopSignal: "SIGKILL",
        HostConfig: {
          NetworkMode: "bridge",
          CapDrop: ["ALL"],
          CapAdd: ["NET_ADMIN"],
          SecurityOpt: ["no-new-privileges"],
          Devices: [device("/dev/net/tun"), ...(request.accelerator === "kvm" ? [device("/dev/kvm")] : [])],
          // Lets iptables see what is bridged, in this network namespace only.
          Sysctls: { "net.bridge.bridge-nf-call-iptables": "1", "net.ipv6.conf.all.disable_ipv6": "1" },
          Binds: [...request.binds],
          Memory: (request.memoryMiB + OVERHEAD_MIB) * 2 ** 20,
          PidsLimit: 256,
          ReadonlyRootfs: true,
          Tmpfs: { "/run": "rw,size=1m", "/tmp": "rw,size=16m" },
          LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "1" } },
        },
      });
      const made = new Container(docker, container, request.name);
      try {
        for (const network of Object.values(networks)) {
          await docker.getNetwork(network.id).connect({
            Container: container.id,
            EndpointConfig: { IPAMConfig: { IPv4Address: network.address(node) } },
          });
        }
      } catch (error) {
        await made.remove();
        throw error;
      }
      return made;
    } catch (error) {
      throw new RigError(
        "RIG_LAB_CONTAINER",
        `Docker could not make the container ${request.name}: ${messageOf(error)}. Look with: rig doctor`,
        {
          blame: "environment",
          cause: error,
        },
      );
    }
  }

  /** Starts it and returns its management address. */
  async start(): Promise<string> {
    try {
      await this.#container.start();
      const facts = await this.#container.inspect();
      const address = facts.NetworkSettings.Networks["bridge"]?.IPAddress ?? "";
      if (address !== "") return address;
    } catch (error) {
      throw new RigError(
        "RIG_LAB_CONTAINER",
        `The container ${this.name} did not start: ${messageOf(error)}. Look with: rig doctor`,
        {
          blame: "environment",
          cause: error,
        },
      );
    }
    throw new RigError("RIG_LAB_CONTAINER", `The container ${this.name} ended at once:\n${await this.logs()}`, {
      blame: "environment",
    });
  }

  /** Resolves with the exit status when the container has ended. */
  async ended(): Promise<number> {
    const answer = (await this.#container.wait()) as { StatusCode: number };
    return answer.StatusCode;
  }

  /** The end of what its first process printed: QEMU's complaints. */
  async logs(): Promise<string> {
    try {
      const raw = await this.#container.logs({ stdout: true, stderr: true, tail: 20 });
      return demuxLog(Buffer.from(raw))
        .slice(-10)
        .map(line => `  ${line}`)
        .join("\n");
    } catch {
      return "  (no log)";
    }
  }

  /** Runs a command in the container's namespaces. */
  async exec(
    argv: readonly string[],
    options: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
  ): Promise<ExecResult> {
    const started = monotonicMs();
    using limit = deadline(
      options.timeoutMs ?? 15_000,
      `"${argv.join(" ").slice(0, 120)}" in the container ${this.name} to end`,
      options.signal,
    );
    const exec = await orAbort(this.#container.exec({ Cmd: [...argv], AttachStdout: true, AttachStderr: true }), limit);
    const stream = await orAbort(exec.start({ hijack: true, stdin: false }), limit);
    const texts = { stdout: "", stderr: "" };
    const outs = { stdout: new PassThrough(), stderr: new PassThrough() };
    for (const name of ["stdout", "stderr"] as const) {
      outs[name].on("data", (chunk: Buffer) => {
        if (texts[name].length < 1_000_000) texts[name] += chunk.toString();
      });
    }
    this.#docker.modem.demuxStream(stream, outs.stdout, outs.stderr);
    const end = Promise.withResolvers<undefined>();
    stream.on("end", () => end.resolve(undefined));
    stream.on("close", () => end.resolve(undefined));
    stream.on("error", error => end.reject(error));
    try {
      await orAbort(end.promise, limit);
      const facts = await orAbort(exec.inspect(), limit);
      return { argv, exitCode: facts.ExitCode ?? -1, ...texts, durationMs: monotonicMs() - started };
    } finally {
      stream.destroy();
    }
  }

  /** As `exec`; a command that fails is an error that quotes what it said. */
  async execOk(
    argv: readonly string[],
    options: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
  ): Promise<ExecResult> {
    const result = await this.exec(argv, options);
    if (result.exitCode === 0) return result;
    throw new RigError(
      "RIG_FAULT",
      `In the container ${this.name}, ${argv.join(" ").slice(0, 200)}: expected success, got exit status ${result.exitCode}.\n${lastLines(result.stderr + result.stdout, 8)}`,
      { blame: "environment" },
    );
  }

  /** Ends and removes it; one that is gone already is no error. */
  async remove(): Promise<void> {
    await stopContainer(this.#container);
    try {
      await this.#container.remove({ force: true, v: true });
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      if (statusCode !== 404 && statusCode !== 409) throw error;
    }
  }
}
