/**
 * A bay: two containers with their bridges, joined by two networks, in which labs run one after another. Docker takes a
 * second to make one and half a second to remove it; a lab in a bay that is there starts at once. What a lab may leave
 * behind in it (rules, queues, links) is compared with how the bay was made, and a bay that is not as it was is not used again.
 */
import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { requireSpace } from "../core/cache.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { NODE_NAMES, type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import { cacheDir, labsDir } from "../core/paths.ts";
import { Scope } from "../core/scope.ts";
import { together } from "../core/together.ts";
import { Container } from "./container.ts";
import type { LabHost } from "./host.ts";
import { type LabFile, writeLabFile } from "./lab-file.ts";
import { type LabLabels, thisOwner } from "./labels.ts";
import { createNetwork, type LabNetwork, removeNetwork } from "./network.ts";
import { GUEST_ROOT_PLACE, MEMORY_MIB } from "./qemu-argv.ts";

const START_MS = 60_000;

/** Where a bay's containers see what this machine has. */
const PLACES = { lab: "/lab", bundles: "/bundles", snapshots: "/snapshots", results: "/results" } as const;

export interface BayRequest {
  readonly host: LabHost;
  readonly run: string;
  /** The directory that captures are written under. */
  readonly out: string;
  readonly timeoutScale: number;
  readonly signal?: AbortSignal | undefined;
  /** Told of clean-up steps that failed. */
  readonly onCleanupFailure: (what: string) => void;
}

/** What runs in a bay for a while has a directory of its own in it. */
export interface BayRoom {
  /** On this machine. */
  readonly here: string;
  /** As the node's container sees it. */
  readonly there: string;
}

/** What of a container's network a lab could leave changed; counters and what names the moment are left out. */
const SHOW_STATE = `
# Tables and their chains come to be with the first rule and stay, empty.
iptables-save | sed -e '/^[#*]/d' -e '/^COMMIT/d' -e '/^:[A-Z]* ACCEPT /d' -e 's/ \\[[0-9]*:[0-9]*\\]$//'
tc qdisc show
ip -o link show | sed -e 's/^[0-9]*: //' -e 's/ state .*//' -e 's/NO-CARRIER,//' -e 's/,LOWER_UP//'
`;

export class Bay implements AsyncDisposable {
  readonly id: string;
  readonly directory: string;
  readonly containers: Readonly<Record<NodeName, Container>>;
  readonly addresses: Readonly<Record<NodeName, string>>;
  readonly host: LabHost;
  readonly labels: LabLabels;
  /** Aborts, with the reason, when a container ends that should be running. */
  readonly lost: AbortSignal;
  readonly #out: string;
  readonly #scope: Scope;
  readonly #state: Readonly<Record<NodeName, string>>;
  readonly #closing: () => void;
  #rooms = 0;
  #kept = false;

  constructor(parts: {
    id: string;
    directory: string;
    containers: Record<NodeName, Container>;
    addresses: Record<NodeName, string>;
    host: LabHost;
    labels: LabLabels;
    lost: AbortSignal;
    out: string;
    scope: Scope;
    state: Record<NodeName, string>;
    closing: () => void;
  }) {
    this.id = parts.id;
    this.directory = parts.directory;
    this.containers = parts.containers;
    this.addresses = parts.addresses;
    this.host = parts.host;
    this.labels = parts.labels;
    this.lost = parts.lost;
    this.#out = parts.out;
    this.#scope = parts.scope;
    this.#state = parts.state;
    this.#closing = parts.closing;
  }

  /** An empty directory for the next lab's part on each node. */
  async rooms(): Promise<Readonly<Record<NodeName, BayRoom>>> {
    const number = String(++this.#rooms);
    const rooms = NODE_NAMES.map(
      node => [node, { here: path.join(this.directory, node, number), there: `${PLACES.lab}/${number}` }] as const,
    );
    await Promise.all(rooms.map(([, room]) => mkdir(room.here, { mode: 0o700 })));
    return Object.fromEntries(rooms) as Record<NodeName, BayRoom>;
  }

  /** Where the containers see a kernel's boot bundle. */
  bundle(key: string): string {
    return `${PLACES.bundles}/${key}`;
  }

  /** Where the containers see a snapshot, or one of its files. */
  snapshot(...parts: readonly string[]): string {
    return [PLACES.snapshots, ...parts].join("/");
  }

  /** Where the containers see a directory of the run's results. */
  results(directory: string): string {
    return `${PLACES.results}/${path.relative(this.#out, directory)}`;
  }

  /** What is not as it was when the bay was made; undefined if nothing. */
  async changed(): Promise<string | undefined> {
    if (this.lost.aborted) return messageOf(this.lost.reason);
    for (const node of NODE_NAMES) {
      const before = this.#state[node];
      let now: string;
      try {
        now = await stateOf(this.containers[node]);
      } catch (error) {
        return messageOf(error);
      }
      if (now === before) continue;
      const [had, has] = [before.split("\n"), now.split("\n")];
      const more = has.filter(line => !had.includes(line)).map(line => `+ ${line}`);
      const less = had.filter(line => !has.includes(line)).map(line => `- ${line}`);
      return `the network of the ${node}'s container is not as it was: ${[...more, ...less].join("; ").slice(0, 400)}`;
    }
    return undefined;
  }

  /** Writes lab.json anew: for `rig shell` and `rig reap`. */
  async store(more: Pick<LabFile, "clientKey" | "kernel" | "keep" | "nodes">): Promise<void> {
    await writeLabFile(this.directory, { labels: this.labels, ...more });
  }

  /** Whether a lab was left in it on purpose. */
  get isKept(): boolean {
    return this.#kept;
  }

  /** Leaves everything as it is when the bay is disposed of. */
  keep(): void {
    this.#kept = true;
    this.#closing();
    this.#scope.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing();
    // Both at once: each takes Docker a quarter of a second. The scope removes again what this could not.
    await Promise.allSettled(Object.values(this.containers).map(container => container.remove()));
    await this.#scope.close();
  }
}

const stateOf = async (container: Container): Promise<string> =>
  (await container.execOk(["sh", "-ec", SHOW_STATE])).stdout;

/** Makes a bay. If anything fails, everything made so far is removed before the error is passed on. */
export const openBay = async (request: BayRequest): Promise<Bay> => {
  const { host } = request;
  const id = randomBytes(4).toString("hex");
  const directory = path.join(labsDir(), id);
  const labels: LabLabels = { run: request.run, lab: id, owner: thisOwner() };
  const lost = new AbortController();
  const scope = new Scope(failure => request.onCleanupFailure(`${failure.what}: ${failure.message}`));
  let closing = false;
  try {
    await mkdir(labsDir(), { recursive: true });
    await requireSpace(labsDir(), 200, "a lab's working files", "RIG_LABS_DIR");
    scope.defer("lab directory", () => rm(directory, { recursive: true, force: true }));
    await mkdir(directory, { mode: 0o700 });
    await writeLabFile(directory, { labels, clientKey: "", kernel: "", keep: false, nodes: [] });
    // Docker would make a missing directory by itself, and leave it.
    for (const kind of ["boot-bundle", "snapshot"]) await mkdir(path.join(cacheDir(), kind), { recursive: true });
    const networks = Object.fromEntries(
      await together(
        PATH_NAMES.map(async name => {
          const network = await createNetwork(host.docker, `iscsi-rig-${id}-${name}`, labels);
          scope.defer(`network of path ${name}`, () => removeNetwork(host.docker, network.id));
          return [name, network] as const;
        }),
      ),
    ) as Record<PathName, LabNetwork>;
    const made = await together(
      NODE_NAMES.map(async node => {
        const dir = path.join(directory, node);
        await mkdir(dir, { mode: 0o700 });
        const container = await Container.create(host.docker, {
          name: `iscsi-rig-${id}-${node}`,
          image: host.image.tag,
          node,
          labels,
          socket: { here: path.join(dir, "agent.sock"), there: `${PLACES.lab}/agent.sock` },
          accelerator: host.accelerator.accelerator,
          memoryMiB: MEMORY_MIB,
          networks,
          binds: [
            `${dir}:${PLACES.lab}`,
            `${path.join(cacheDir(), "boot-bundle")}:${PLACES.bundles}:ro`,
            // Not read-only: QEMU maps the memory copy-on-write, but opens the file for writing all the same.
            `${path.join(cacheDir(), "snapshot")}:${PLACES.snapshots}`,
            `${path.dirname(host.root.image)}:${GUEST_ROOT_PLACE}:ro`,
            `${path.resolve(request.out)}:${PLACES.results}`,
          ],
        });
        scope.defer(`container of ${node}`, () => container.remove());
        const address = await container.start(START_MS * request.timeoutScale, request.signal);
        void container.ended().then(
          async status => {
            if (closing) return;
            const said = await container.logs();
            lost.abort(
              new RigError("RIG_LAB_CONTAINER", `The ${node}'s container ended with status ${status}.\n${said}`),
            );
          },
          () => undefined,
        );
        return { node, container, address, state: await stateOf(container) };
      }),
    );
    request.signal?.throwIfAborted();
    const byNode = <T>(pick: (item: (typeof made)[number]) => T) =>
      Object.fromEntries(made.map(item => [item.node, pick(item)])) as Record<NodeName, T>;
    return new Bay({
      id,
      directory,
      containers: byNode(item => item.container),
      addresses: byNode(item => item.address),
      host,
      labels,
      lost: lost.signal,
      out: path.resolve(request.out),
      scope,
      state: byNode(item => item.state),
      closing: () => {
        closing = true;
      },
    });
  } catch (error) {
    closing = true;
    await scope.close();
    throw error;
  }
};
