/**
 * A lab: a target, an initiator, and two paths between them, each node a microVM in a container. `bootLab` starts both
 * nodes side by side and returns when both answer; disposing of the lab removes every trace of it.
 */
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { requireSpace } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { NODE_NAMES, type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import { labsDir } from "../core/paths.ts";
import { Scope } from "../core/scope.ts";
import { together } from "../core/together.ts";
import { bootNode, type NodeParts } from "./boot-node.ts";
import { makeClientKey } from "./keys.ts";
import { type KeptNode, writeLabFile } from "./lab-file.ts";
import { type LabLabels, thisOwner } from "./labels.ts";
import { createNetwork, type LabNetwork, removeNetwork } from "./network.ts";
import type { Node } from "./node.ts";
import type { LabRequest } from "./request.ts";

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
    const store = (keep: boolean) =>
      writeLabFile(labDir, { labels, clientKey: client.clientKey, kernel: request.kernel.name, keep, nodes: kept });
    await store(false);
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
    await store(false);
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
        await store(true);
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
