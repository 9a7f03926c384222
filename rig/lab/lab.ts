/**
 * A lab: a target, an initiator, and two paths between them, each node a microVM in a container of a bay. `bootLab` starts
 * both nodes side by side and returns when both answer; `restoreLab` does so from a snapshot. Disposing of the lab removes
 * every trace of it but the bay.
 */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { monotonicMs } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { NODE_NAMES, type NodeName, type PathName } from "../core/names.ts";
import { Scope } from "../core/scope.ts";
import { together } from "../core/together.ts";
import type { Bay, BayRoom } from "./bay.ts";
import { Captures } from "./captures.ts";
import { makeClientKey } from "./keys.ts";
import { type RunningVm, startVm } from "./microvm.ts";
import { type Node, privateMiB } from "./node.ts";
import { NodeSsh } from "./node-ssh.ts";
import { backingFile, type MicroVm, ONE_DEVICE, SSH_PORT } from "./qemu-argv.ts";
import type { LabRequest, RestoreRequest, SavableRequest } from "./request.ts";
import { loadState, microVm, SNAPSHOT_FILES } from "./snapshot.ts";

export interface Lab extends AsyncDisposable {
  readonly bay: Bay;
  readonly nodes: Readonly<Record<NodeName, Node>>;
  /** The disk image behind each LUN of the target, on this machine. */
  readonly backings: readonly string[];
  /** Aborts, with the reason, when a node ends that should be running. */
  readonly nodeLost: AbortSignal;
  /** Memory that both microVMs have to themselves: without what they share with others, a snapshot's foremost. */
  memoryMiB(): Promise<number>;
  /** How many files of a node's packet capture of a path were dropped: its beginning is missing where there are any. */
  dropped(node: NodeName, name: PathName): number;
  /** Ends the observation: the microVMs end, so that what they wrote (consoles, captures) changes no more. */
  collect(): Promise<void>;
  /** Ends the observation but leaves the lab running when it is disposed of; `rig shell` enters it, `rig reap` removes it. */
  keep(): Promise<void>;
}

const BOOT_MS = 60_000;

/** What both nodes of a lab share while they start. */
interface LabParts {
  readonly request: LabRequest;
  readonly scope: Scope;
  readonly rooms: Readonly<Record<NodeName, BayRoom>>;
  readonly client: { clientKey: string; authorized: string };
  /** Aborts when the caller gives up or the other node ends. */
  readonly signal: AbortSignal;
  /** A node has ended, or cannot start: so the other one is of no use. */
  readonly onEnd: (why: string, node?: NodeName) => void;
}

const placesOf = ({ request, rooms }: LabParts, node: NodeName): MicroVm["places"] => ({
  lab: rooms[node].there,
  bundle: request.bay.bundle(request.kernel.bundle.key),
  captures: "saveTo" in request ? undefined : request.bay.results(request.artefacts),
});

const startNode = (
  node: NodeName,
  parts: LabParts,
  more: Pick<MicroVm, "memory" | "incoming">,
  backingFrom?: (lun: number) => string | undefined,
): Promise<RunningVm> => {
  const { request, rooms, scope, signal } = parts;
  const all = { places: placesOf(parts, node), entry: request.kernel.bundle.entry, ...more };
  return startVm({
    vm: microVm(node, request.bay.host, all, request.shape),
    room: rooms[node],
    container: request.bay.containers[node],
    backingBytes: request.backingMiB * 2 ** 20,
    backingFrom,
    sink: request.sink,
    artefacts: request.artefacts,
    scope,
    withinMs: BOOT_MS * request.timeoutScale,
    survives: request.survives === true,
    signal,
    onEnd: why => parts.onEnd(why, node),
  });
};

/** The node around a microVM that runs. */
const nodeOf = (name: NodeName, vm: RunningVm, parts: LabParts, version: string, bootMs: number): Node => {
  const { request, scope, signal, client } = parts;
  const address = request.bay.addresses[name];
  const withinMs = BOOT_MS * request.timeoutScale;
  const ssh = new NodeSsh({ name, host: address, agent: vm.agent, client, withinMs, signal });
  scope.defer(`ssh of ${name}`, () => ssh[Symbol.asyncDispose]());
  return { name, container: request.bay.containers[name], ...vm, ssh, address, version, bootMs };
};

const bootNode = async (name: NodeName, parts: LabParts, memory: MicroVm["memory"]): Promise<Node> => {
  const { request, signal } = parts;
  const { release } = request.kernel.bundle;
  const withinMs = BOOT_MS * request.timeoutScale;
  const started = monotonicMs();
  request.sink.record({ kind: "node", node: name, state: "starting", detail: release });
  const vm = await startNode(name, parts, { memory });
  let version: string;
  try {
    const said = await vm.console.waitFor(
      /rig-init: (up|cannot go on)/,
      withinMs,
      `the ${name} to boot ${release}`,
      signal,
    );
    if (!said.includes("rig-init: up")) throw new RigError("RIG_LAB_BOOT", `The init of the ${name} gave up.`);
    version = await vm.agent.hello(withinMs, signal);
  } catch (error) {
    request.signal?.throwIfAborted();
    const tail = vm.console.tail(8).map(line => `  ${line}`);
    throw new RigError("RIG_LAB_BOOT", `${messageOf(error)} The end of its console:\n${tail.join("\n")}`, {
      cause: error,
    });
  }
  const node = nodeOf(name, vm, parts, version, monotonicMs() - started);
  await node.ssh.connect();
  const detail = `${version} after ${Math.round(monotonicMs() - started)} ms`;
  request.sink.record({ kind: "node", node: name, state: "up", detail });
  request.onNode?.(node);
  return node;
};

/**
 * What two labs from one snapshot must not share: the time of its making, the state of the random generator, an identity. Names
 * and addresses they may, for their networks never meet; keys are not in a snapshot.
 */
const renew = async ({ agent }: Node): Promise<void> => {
  await Promise.all([
    agent.setClock(),
    agent.addEntropy(randomBytes(64)),
    agent.writeFile("/etc/machine-id", Buffer.from(`${randomBytes(16).toString("hex")}\n`), 0o444),
  ]);
};

const restoreNodes = async (parts: LabParts, { snapshot, bay, sink }: RestoreRequest): Promise<readonly Node[]> => {
  const started = monotonicMs();
  const nodes = await together(
    NODE_NAMES.map(async name => {
      sink.record({ kind: "node", node: name, state: "starting", detail: `from the snapshot ${snapshot.key}` });
      const file = bay.snapshot(snapshot.key, SNAPSHOT_FILES.memory(name));
      const backing = (lun: number) =>
        snapshot.written.includes(lun) ? path.join(snapshot.directory, SNAPSHOT_FILES.backing(lun)) : undefined;
      const vm = await startNode(name, parts, { memory: { file, own: false }, incoming: true }, backing);
      await loadState(name, vm.qmp, bay.snapshot(snapshot.key, SNAPSHOT_FILES.devices(name)));
      return nodeOf(name, vm, parts, snapshot.versions[name], monotonicMs() - started);
    }),
    error => parts.onEnd(messageOf(error)),
  );
  // Neither runs before the other can answer it.
  await Promise.all(nodes.map(({ qmp }) => qmp.execute("cont")));
  await Promise.all(nodes.map(renew));
  const ms = Math.round(monotonicMs() - started);
  for (const { name, version } of nodes)
    sink.record({ kind: "node", node: name, state: "up", detail: `${version} after ${ms} ms` });
  return nodes;
};

/** Starts a lab by `start`. If anything fails, everything made so far is removed before the error is passed on. */
const startLab = async (request: LabRequest, start: (parts: LabParts) => Promise<readonly Node[]>): Promise<Lab> => {
  const { bay } = request;
  const lost = new AbortController();
  const scope = new Scope(failure => request.onCleanupFailure(`${failure.what}: ${failure.message}`));
  let closing = false;
  const onEnd = (why: string, node?: NodeName) => {
    if (closing) return;
    if (node !== undefined) request.sink.record({ kind: "node", node, state: "off", detail: why.slice(0, 500) });
    lost.abort(new RigError("RIG_LAB_CONTAINER", why));
  };
  const onBayLost = () => onEnd(messageOf(bay.lost.reason));
  bay.lost.addEventListener("abort", onBayLost, { once: true });
  scope.defer("listening to the bay", () => {
    bay.lost.removeEventListener("abort", onBayLost);
    return Promise.resolve();
  });
  try {
    const rooms = await bay.rooms();
    const client = makeClientKey();
    const signals = [lost.signal, bay.lost, ...(request.signal === undefined ? [] : [request.signal])];
    const parts: LabParts = { request, scope, rooms, client, signal: AbortSignal.any(signals), onEnd };
    const list = await start(parts);
    const nodes = Object.fromEntries(list.map(node => [node.name, node])) as Record<NodeName, Node>;
    const captures = new Captures(list, request.artefacts, bay.results(request.artefacts));
    scope.defer("looking after the captures", () => captures.stop({ ending: false }));
    if (!("saveTo" in request)) captures.start();
    return {
      bay,
      nodes,
      backings: Array.from({ length: (request.shape ?? ONE_DEVICE).luns }, (_, lun) =>
        path.join(rooms.target.here, backingFile(lun)),
      ),
      nodeLost: lost.signal,
      memoryMiB: async () => (await Promise.all(list.map(privateMiB))).reduce((sum, value) => sum + value, 0),
      dropped: (node, name) => captures.dropped(node, name),
      collect: async () => {
        closing = true;
        await captures.stop({ ending: false });
        await Promise.allSettled(
          list.map(async ({ name, process }) => {
            await process[Symbol.asyncDispose]();
            const { cpuMs } = await process.ended;
            const detail = `ended by the rig; its QEMU had ${Math.round(cpuMs)} ms of CPU time`;
            request.sink.record({ kind: "node", node: name, state: "off", detail });
          }),
        );
        await Promise.all(list.map(node => node.console[Symbol.asyncDispose]()));
      },
      keep: async () => {
        closing = true;
        // What is kept of the lab changes no more, though the lab goes on.
        await captures.stop({ ending: true });
        const kept = await Promise.all(
          list.map(async ({ name, address, container, ssh }) => {
            await ssh.connect();
            const hostPublic = ssh.hostPublic.toString("base64");
            return { name, address, port: SSH_PORT, container: container.id, hostPublic };
          }),
        );
        await bay.store({ clientKey: client.clientKey, kernel: request.kernel.name, keep: true, nodes: kept });
        scope.release();
        bay.keep();
        for (const node of list)
          for (const part of [node.ssh, node.qmp, node.agent, node.console]) await part[Symbol.asyncDispose]();
      },
      [Symbol.asyncDispose]: async () => {
        closing = true;
        await scope.close();
      },
    };
  } catch (error) {
    closing = true;
    await scope.close();
    request.signal?.throwIfAborted();
    throw error;
  }
};

/** Boots both nodes, with their memory in files of their own if the lab is to be saved. */
export const bootLab = (request: LabRequest | SavableRequest): Promise<Lab> =>
  startLab(request, async parts => {
    const memoryOf = (name: NodeName): MicroVm["memory"] =>
      "saveTo" in request
        ? { file: request.bay.snapshot(path.basename(request.saveTo), SNAPSHOT_FILES.memory(name)), own: true }
        : undefined;
    if ("saveTo" in request) await mkdir(request.saveTo, { recursive: true });
    return together(
      NODE_NAMES.map(name => bootNode(name, parts, memoryOf(name))),
      error => parts.onEnd(messageOf(error)),
    );
  });

/** Starts both nodes with the state of a snapshot, and makes them a lab of their own. */
export const restoreLab = (request: RestoreRequest): Promise<Lab> =>
  startLab(request, parts => restoreNodes(parts, request));
