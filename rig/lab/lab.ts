/**
 * A lab: a target, an initiator, and two paths between them, each node a microVM in a container. `bootLab` starts both
 * nodes side by side and returns when both answer; disposing of the lab removes every trace of it.
 */
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type Docker from "dockerode";
import { requireSpace } from "../core/cache.ts";
import { monotonicMs } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { NODE_NAMES, type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import { labsDir } from "../core/paths.ts";
import { Scope } from "../core/scope.ts";
import { together } from "../core/together.ts";
import type { HistorySink } from "../history/event.ts";
import type { GuestRoot } from "../image/guest-root.ts";
import type { NodeImage } from "../image/node-image.ts";
import { cpioArchive, directory, file } from "../kernel/cpio.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { AcceleratorChoice } from "./accelerator.ts";
import { Console } from "./console.ts";
import { Container } from "./container.ts";
import { makeClientKey, makeHostKey } from "./keys.ts";
import { type KeptNode, writeLabFile } from "./lab-file.ts";
import { type LabLabels, thisOwner } from "./labels.ts";
import { createNetwork, type LabNetwork, removeNetwork } from "./network.ts";
import type { Node } from "./node.ts";
import { qemuArgv, SSH_PORT } from "./qemu-argv.ts";
import { Qmp } from "./qmp.ts";
import { Ssh } from "./ssh.ts";

/** What every lab of a run shares. */
export interface LabHost {
  readonly docker: Docker;
  readonly image: NodeImage;
  readonly root: GuestRoot;
  readonly accelerator: AcceleratorChoice;
}

export interface LabRequest {
  readonly host: LabHost;
  readonly run: string;
  readonly kernel: Kernel;
  /** Size of the disk behind the target's LUN. */
  readonly backingMiB: number;
  readonly sink: HistorySink;
  /** Where console logs and captures are written. */
  readonly artefacts: string;
  readonly timeoutScale: number;
  readonly signal?: AbortSignal | undefined;
  /** Told of clean-up steps that failed. */
  readonly onCleanupFailure: (what: string) => void;
}

export interface Lab extends AsyncDisposable {
  readonly id: string;
  readonly directory: string;
  readonly nodes: Readonly<Record<NodeName, Node>>;
  readonly networks: Readonly<Record<PathName, LabNetwork>>;
  /** The disk image behind the target's LUN, on this machine. */
  readonly backing: string;
  /** Aborts, with the reason, when a node ends that should be running. */
  readonly nodeLost: AbortSignal;
  /** Ends the observation: captures are copied and consoles closed, so that what is kept of the lab changes no more. */
  collect(): Promise<void>;
  /** Leaves the lab running when it is disposed of; `rig shell` enters it, `rig reap` removes it. */
  keep(): Promise<void>;
}

const MEMORY_MIB = 384;
/** One for each: two nodes share a small machine, and without KVM a second CPU costs a second of boot. */
const CPUS = 1;
const BOOT_MS = 60_000;

interface NodeParts {
  readonly request: LabRequest;
  readonly scope: Scope;
  readonly labels: LabLabels;
  readonly directory: string;
  readonly networks: Readonly<Record<PathName, LabNetwork>>;
  readonly client: { clientKey: string; authorized: string };
  /** Aborts when the caller gives up or the other node ends. */
  readonly signal: AbortSignal;
  readonly onEnd: (node: NodeName, why: string) => void;
}

const bootNode = async (name: NodeName, parts: NodeParts): Promise<{ node: Node; kept: KeptNode }> => {
  const { request, scope, directory: labDir } = parts;
  const { host, kernel, sink } = request;
  const signal = parts.signal;
  const dir = path.join(labDir, name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const hostKeys = makeHostKey();
  const ownFiles = cpioArchive([
    directory("lab", 0o700),
    file("lab/host_key", hostKeys.hostKey, 0o600),
    file("lab/authorized_keys", parts.client.authorized, 0o600),
  ]);
  await writeFile(path.join(dir, "initramfs.cpio"), Buffer.concat([await readFile(kernel.bundle.initramfs), ownFiles]));
  if (name === "target") {
    await using disk = await open(path.join(dir, "backing.img"), "w");
    await disk.truncate(request.backingMiB * 2 ** 20);
  }

  const consoleLog = await Console.listen(
    path.join(dir, "console.sock"),
    path.join(request.artefacts, `console-${name}.log`),
    (line, at) => sink.record({ kind: "console", node: name, line }, at),
  );
  scope.defer(`console of ${name}`, () => consoleLog[Symbol.asyncDispose]());
  const container = await Container.create(host.docker, {
    name: `iscsi-rig-${parts.labels.lab}-${name}`,
    image: host.image.tag,
    node: name,
    labels: parts.labels,
    argv: qemuArgv({
      node: name,
      accelerator: host.accelerator.accelerator,
      memoryMiB: MEMORY_MIB,
      cpus: CPUS,
      disk: name === "target",
      capture: true,
    }),
    accelerator: host.accelerator.accelerator,
    memoryMiB: MEMORY_MIB,
    networks: parts.networks,
    binds: [
      `${dir}:/lab`,
      `${path.dirname(kernel.bundle.vmlinux)}:/bundle:ro`,
      `${host.root.image}:/guest/root.erofs:ro`,
    ],
  });
  scope.defer(`container of ${name}`, () => container.remove());
  const started = monotonicMs();
  sink.record({ kind: "node", node: name, state: "starting", detail: kernel.bundle.release });
  const address = await container.start();
  const ended = container.ended().then(
    async status => {
      const why = `The ${name}'s microVM ended with status ${status}.\n${await container.logs()}`;
      sink.record({ kind: "node", node: name, state: "off", detail: why.slice(0, 500) });
      parts.onEnd(name, why);
    },
    () => undefined,
  );
  void ended;
  const limitMs = BOOT_MS * request.timeoutScale;
  const qmp = await Qmp.connect(path.join(dir, "qmp.sock"), () => undefined, limitMs, signal);
  scope.defer(`QMP of ${name}`, () => qmp[Symbol.asyncDispose]());
  let version: string;
  try {
    const line = await consoleLog.waitFor(
      /rig-init: (up|cannot go on)/,
      limitMs,
      `the ${name} to boot ${kernel.bundle.release}`,
      signal,
    );
    version = /rig-init: up (.*)/.exec(line)?.[1] ?? "";
    if (version === "") throw new RigError("RIG_LAB_BOOT", `The init of the ${name} gave up.`);
  } catch (error) {
    request.signal?.throwIfAborted();
    throw new RigError(
      "RIG_LAB_BOOT",
      `${messageOf(error)} The end of its console:\n${consoleLog
        .tail(8)
        .map(line => `  ${line}`)
        .join("\n")}`,
      { cause: error },
    );
  }
  const target = {
    name,
    host: address,
    port: SSH_PORT,
    clientKey: parts.client.clientKey,
    hostPublic: hostKeys.hostPublic,
  };
  const ssh = await Ssh.connect(target, limitMs, signal);
  scope.defer(`ssh of ${name}`, () => ssh[Symbol.asyncDispose]());
  const bootMs = monotonicMs() - started;
  sink.record({ kind: "node", node: name, state: "up", detail: `${version} after ${Math.round(bootMs)} ms` });
  return {
    node: { name, container, console: consoleLog, qmp, ssh, address, version, bootMs },
    kept: {
      name,
      address,
      port: SSH_PORT,
      container: container.id,
      hostPublic: hostKeys.hostPublic.toString("base64"),
    },
  };
};

/** Copies what QEMU wrote into the lab's directory to where results are kept. */
const collect = async (from: string, to: string): Promise<void> => {
  for (const node of NODE_NAMES) {
    for (const name of PATH_NAMES) {
      await copyFile(path.join(from, node, `path-${name}.pcap`), path.join(to, `path-${name}-${node}.pcap`)).catch(
        () => undefined,
      );
    }
  }
};

/** Boots a lab. If anything fails, everything made so far is removed before the error is passed on. */
export const bootLab = async (request: LabRequest): Promise<Lab> => {
  const id = randomBytes(4).toString("hex");
  const labDir = path.join(labsDir(), id);
  const labels: LabLabels = { run: request.run, lab: id, owner: thisOwner() };
  const lost = new AbortController();
  const scope = new Scope(failure => request.onCleanupFailure(`${failure.what}: ${failure.message}`));
  let closing = false;
  try {
    await mkdir(labsDir(), { recursive: true });
    await requireSpace(labsDir(), 200, "a lab's working files", "RIG_LABS_DIR");
    scope.defer("lab directory", () => rm(labDir, { recursive: true, force: true }));
    await mkdir(labDir, { mode: 0o700 });
    const client = makeClientKey();
    const kept: KeptNode[] = [];
    await writeLabFile(labDir, {
      labels,
      clientKey: client.clientKey,
      kernel: request.kernel.name,
      keep: false,
      nodes: kept,
    });
    const networks = Object.fromEntries(
      await together(
        PATH_NAMES.map(async name => {
          const network = await createNetwork(request.host.docker, `iscsi-rig-${id}-${name}`, labels);
          scope.defer(`network of path ${name}`, () => removeNetwork(request.host.docker, network.id));
          return [name, network] as const;
        }),
      ),
    ) as Record<PathName, LabNetwork>;
    let collected = false;
    const collectOnce = async () => {
      if (!collected) await collect(labDir, request.artefacts);
      collected = true;
    };
    scope.defer("captures", collectOnce);
    const parts: NodeParts = {
      request,
      scope,
      labels,
      directory: labDir,
      networks,
      client,
      signal: AbortSignal.any([lost.signal, ...(request.signal === undefined ? [] : [request.signal])]),
      onEnd: (_, why) => {
        if (!closing) lost.abort(new RigError("RIG_LAB_CONTAINER", why));
      },
    };
    const booted = await together(
      NODE_NAMES.map(name => bootNode(name, parts)),
      error => lost.abort(error),
    );
    const nodes = Object.fromEntries(booted.map(({ node }) => [node.name, node])) as Record<NodeName, Node>;
    kept.push(...booted.map(item => item.kept));
    await writeLabFile(labDir, {
      labels,
      clientKey: client.clientKey,
      kernel: request.kernel.name,
      keep: false,
      nodes: kept,
    });
    const close = async () => {
      closing = true;
      // Both at once: each takes Docker a quarter of a second. The scope removes again what this could not.
      await Promise.allSettled(Object.values(nodes).map(node => node.container.remove()));
      await scope.close();
    };
    return {
      id,
      directory: labDir,
      nodes,
      networks,
      backing: path.join(labDir, "target", "backing.img"),
      nodeLost: lost.signal,
      collect: async () => {
        closing = true;
        await collectOnce();
        await Promise.all(Object.values(nodes).map(node => node.console[Symbol.asyncDispose]()));
      },
      keep: async () => {
        await writeLabFile(labDir, {
          labels,
          clientKey: client.clientKey,
          kernel: request.kernel.name,
          keep: true,
          nodes: kept,
        });
        closing = true;
        await collectOnce();
        scope.release();
        for (const node of Object.values(nodes)) {
          for (const part of [node.ssh, node.qmp, node.console]) await part[Symbol.asyncDispose]();
        }
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    closing = true;
    await scope.close();
    throw error;
  }
};
