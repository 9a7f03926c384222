/**
 * Packet captures that are bounded. QEMU captures what comes and goes on each path of a node (filter-dump), and would do so until
 * the disk is full. So a file that has grown too large is put aside and a new one begun, and of those put aside only the last is
 * kept: what a verdict needs is near the end. The new capture begins before the old one ends, so no packet is missed.
 */
import { rename, stat } from "node:fs/promises";
import path from "node:path";
import { sleep } from "../core/clock.ts";
import { type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import type { Qmp } from "./qmp.ts";

/** A capture is put aside when it is larger than this. */
export const CAPTURE_BYTES = 16 * 2 ** 20;
const LOOK_MS = 1000;

/**
 * Bytes kept of a packet. At the target all of them: with segmentation offload a packet has up to 64 KiB, and any number of
 * commands. At the initiator enough for its headers.
 */
const SNAP_BYTES: Readonly<Record<NodeName, number>> = { target: 66_000, initiator: 192 };

/** A capture's file in a cell's directory; `older` is the one that was put aside. */
export const captureFile = (name: PathName, node: NodeName, older: boolean): string =>
  `path-${name}-${node}${older ? ".1" : ""}.pcap`;

/** What QEMU captures a path with; its id names the generation. */
const captureObject = (name: PathName, node: NodeName, directory: string, generation: number) => ({
  id: generation === 0 ? `dump-${name}` : `dump-${name}-${generation}`,
  netdev: name,
  file: `${directory}/${captureFile(name, node, false)}`,
  maxlen: SNAP_BYTES[node],
});

/** The same for QEMU's command line. */
export const captureArgument = (name: PathName, node: NodeName, directory: string): string => {
  const parts = Object.entries(captureObject(name, node, directory, 0)).map(([key, value]) => `${key}=${value}`);
  return ["filter-dump", ...parts].join(",");
};

export interface CaptureNode {
  readonly name: NodeName;
  readonly qmp: Pick<Qmp, "execute">;
}

export class Captures {
  readonly #nodes: readonly CaptureNode[];
  /** The directory of the captures, on this machine and as QEMU sees it. */
  readonly #here: string;
  readonly #there: string;
  readonly #generations = new Map<string, number>();
  readonly #stopping = new AbortController();
  #watching: Promise<void> | undefined;

  constructor(nodes: readonly CaptureNode[], here: string, there: string) {
    this.#nodes = nodes;
    this.#here = here;
    this.#there = there;
  }

  /** Looks after the files until `stop`. A file's size can only be asked for; once a second is often enough for what a lab can send. */
  start(): void {
    const { signal } = this.#stopping;
    const watch = async (): Promise<void> => {
      while (!signal.aborted) {
        await sleep(LOOK_MS, signal);
        await this.look();
      }
    };
    // It ends with the abort of its sleep.
    this.#watching ??= watch().catch(() => undefined);
  }

  /** Begins anew what is too large. A node that does not answer goes on as it is: it will not capture much more. */
  async look(): Promise<void> {
    for (const node of this.#nodes) {
      for (const name of PATH_NAMES) {
        const size = await stat(this.#file(name, node.name, false)).then(
          ({ size }) => size,
          () => 0,
        );
        if (size > CAPTURE_BYTES) await this.#renew(node, name).catch(() => undefined);
      }
    }
  }

  /** Looks no more, and with `ending` has QEMU end the captures while it goes on itself. */
  async stop({ ending }: { readonly ending: boolean }): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    if (!ending) return;
    for (const { name: node, qmp } of this.#nodes)
      for (const name of PATH_NAMES)
        await qmp.execute("object-del", { id: this.#object(name, node).id }).catch(() => undefined);
  }

  async #renew({ name: node, qmp }: CaptureNode, name: PathName): Promise<void> {
    const { id: old } = this.#object(name, node);
    // QEMU goes on writing to the file that it has open, whatever its name.
    await rename(this.#file(name, node, false), this.#file(name, node, true));
    this.#generations.set(`${node} ${name}`, this.#generation(name, node) + 1);
    await qmp.execute("object-add", { "qom-type": "filter-dump", ...this.#object(name, node) });
    await qmp.execute("object-del", { id: old });
  }

  #generation(name: PathName, node: NodeName): number {
    return this.#generations.get(`${node} ${name}`) ?? 0;
  }

  #object(name: PathName, node: NodeName): ReturnType<typeof captureObject> {
    return captureObject(name, node, this.#there, this.#generation(name, node));
  }

  #file(name: PathName, node: NodeName, older: boolean): string {
    return path.join(this.#here, captureFile(name, node, older));
  }
}
