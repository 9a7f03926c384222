/**
 * A node's container: NET_ADMIN, /dev/net/tun and, where it works, /dev/kvm; nothing else. Its first process is the rig's
 * agent, which starts microVMs, one after another, and runs what faults do to the container's network namespace.
 */
import type Docker from "dockerode";
import { messageOf, RigError } from "../core/errors.ts";
import type { ExecResult } from "../core/exec.ts";
import type { NodeName, PathName } from "../core/names.ts";
import { NODE_AGENT } from "../image/node-image.ts";
import { demuxLog } from "./docker-log.ts";
import { type LabLabels, labelsOf } from "./labels.ts";
import type { LabNetwork } from "./network.ts";
import { NodeAgent } from "./node-agent.ts";
import { type Accelerator, NODE_NUMBER } from "./qemu-argv.ts";

export interface ContainerRequest {
  readonly name: string;
  readonly image: string;
  readonly node: NodeName;
  readonly labels: LabLabels;
  /** The agent's socket, as this machine and as the container see it. */
  readonly socket: { readonly here: string; readonly there: string };
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly networks: Readonly<Record<PathName, LabNetwork>>;
  /** Host directories and files, as Docker binds. */
  readonly binds: readonly string[];
}

export interface CommandOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
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
  readonly agent: NodeAgent;
  readonly #container: Docker.Container;

  constructor(container: Docker.Container, name: string, socket: string) {
    this.#container = container;
    this.id = container.id;
    this.name = name;
    this.agent = new NodeAgent(socket, `the container ${name}`);
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
        Cmd: [NODE_AGENT, request.socket.there],
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
      const made = new Container(container, request.name, request.socket.here);
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

  /** Starts it, and returns its management address once its agent answers. */
  async start(withinMs: number, signal?: AbortSignal): Promise<string> {
    try {
      await this.#container.start();
      await this.agent.ready(withinMs, signal);
      const facts = await this.#container.inspect();
      const address = facts.NetworkSettings.Networks["bridge"]?.IPAddress ?? "";
      if (address !== "") return address;
    } catch (error) {
      signal?.throwIfAborted();
      throw new RigError(
        "RIG_LAB_CONTAINER",
        `The container ${this.name} did not start: ${messageOf(error)}. It said:\n${await this.logs()}\nLook with: rig doctor`,
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

  /** The end of what its first process printed. */
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
  exec(argv: readonly string[], options: CommandOptions = {}): Promise<ExecResult> {
    return this.agent.exec(argv, options);
  }

  /** As `exec`; a command that fails is an error that quotes what it said. */
  execOk(argv: readonly string[], options: CommandOptions = {}): Promise<ExecResult> {
    return this.agent.execOk(argv, options);
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
