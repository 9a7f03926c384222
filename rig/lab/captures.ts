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

/** Bytes of a file; less than none where there is no file. */
const sizeOf = async (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => -1,
  );

export interface CaptureNode {
  readonly name: NodeName;
  readonly qmp: Pick<Qmp, "execute">;
}

/** A path's capture at a node, file after file. */
class Rotation {
  dropped = 0;
  readonly #node: CaptureNode;
  readonly #name: PathName;
  readonly #there: string;
  readonly #file: string;
  readonly #older: string;
  #generation = 0;
  /** What QEMU captures with, as far as anybody knows: mostly one, the newest last. */
  readonly #ids: Set<string>;
  /** The file was put aside, and nobody knows whether QEMU began a new one. */
  #isUnsure = false;

  constructor(node: CaptureNode, name: PathName, here: string, there: string) {
    this.#node = node;
    this.#name = name;
    this.#there = there;
    this.#file = path.join(here, captureFile(name, node.name, false));
    this.#older = path.join(here, captureFile(name, node.name, true));
    this.#ids = new Set([this.#object(0).id]);
  }

  /** Begins anew if the file is too large, and finishes what could not be finished the last time. */
  async look(): Promise<void> {
    if (this.#isUnsure) await this.#settle();
    await this.#end(this.#object(this.#generation).id);
    if ((await sizeOf(this.#file)) > CAPTURE_BYTES) await this.#renew();
  }

  /** Ends all that captures, or nothing: then only the file gets its name back if none took its place. */
  async stop(ending: boolean): Promise<void> {
    if (this.#isUnsure) await this.#settle().catch(() => undefined);
    if (this.#isUnsure && (await sizeOf(this.#file)) < 0) await rename(this.#older, this.#file).catch(() => undefined);
    if (ending) await this.#end(undefined).catch(() => undefined);
  }

  async #renew(): Promise<void> {
    const next = this.#object(this.#generation + 1);
    if ((await sizeOf(this.#older)) >= 0) this.dropped++;
    // QEMU goes on writing to the file that it has open, whatever its name.
    await rename(this.#file, this.#older);
    this.#isUnsure = true;
    this.#ids.add(next.id);
    await this.#node.qmp.execute("object-add", { "qom-type": "filter-dump", ...next }).then(
      () => this.#begun(),
      () => this.#settle(),
    );
    await this.#end(this.#object(this.#generation).id);
  }

  #begun(): void {
    this.#isUnsure = false;
    this.#generation++;
  }

  /** QEMU may have taken a command that it did not answer in time. It answers in order, so what it says now is how it is. */
  async #settle(): Promise<void> {
    const { id } = this.#object(this.#generation + 1);
    if (await this.#has(id)) {
      this.#begun();
      return;
    }
    await rename(this.#older, this.#file);
    this.#isUnsure = false;
    this.#ids.delete(id);
  }

  /** Ends every capture but `kept`. Throws where one goes on, for all that is known. */
  async #end(kept: string | undefined): Promise<void> {
    const failures: unknown[] = [];
    for (const id of [...this.#ids].filter(id => id !== kept)) {
      try {
        await this.#node.qmp.execute("object-del", { id }).catch(async (error: unknown) => {
          if (await this.#has(id)) throw error;
        });
        this.#ids.delete(id);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  async #has(id: string): Promise<boolean> {
    const objects = await this.#node.qmp.execute("qom-list", { path: "/objects" });
    if (!Array.isArray(objects)) throw new Error("QEMU does not say which objects it has");
    return objects.some((object: { readonly name?: unknown } | null) => object?.name === id);
  }

  #object(generation: number): ReturnType<typeof captureObject> {
    return captureObject(this.#name, this.#node.name, this.#there, generation);
  }
}

export class Captures {
  readonly #rotations: ReadonlyMap<string, Rotation>;
  readonly #stopping = new AbortController();
  #watching: Promise<void> | undefined;

  /** `here` and `there` are the directory of the captures, on this machine and as QEMU sees it. */
  constructor(nodes: readonly CaptureNode[], here: string, there: string) {
    this.#rotations = new Map(
      nodes.flatMap(node =>
        PATH_NAMES.map(name => [`${node.name} ${name}`, new Rotation(node, name, here, there)] as const),
      ),
    );
  }

  /** How many files of a capture are gone: its beginning is missing where there are any. */
  dropped(node: NodeName, name: PathName): number {
    return this.#rotations.get(`${node} ${name}`)?.dropped ?? 0;
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

  /** Begins anew what is too large. A node that does not answer goes on as it is, until it does: it will not capture much more. */
  async look(): Promise<void> {
    for (const rotation of this.#rotations.values()) await rotation.look().catch(() => undefined);
  }

  /** Looks no more, and with `ending` has QEMU end the captures while it goes on itself. */
  async stop({ ending }: { readonly ending: boolean }): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    for (const rotation of this.#rotations.values()) await rotation.stop(ending);
  }
}
