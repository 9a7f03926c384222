/**
 * dm-multipath in failover: one path group for each path, the first one used until it fails (device-mapper's multipath
 * target, Documentation/admin-guide/device-mapper). The table is set directly: exact, quick, and no daemon that acts on its own.
 */
import type { PathName } from "../core/names.ts";
import type { Node } from "../lab/node.ts";
import type { SessionDisk } from "./initiator.ts";

/** Name of the device that joins a LUN's paths. */
export const multipathName = (lun: number): string => (lun === 0 ? "mp" : `mp${lun}`);

/** The table: queue when no path is left; groups in the order of `disks`, one for each path of a LUN. */
export const multipathTable = (disks: readonly Pick<SessionDisk, "sectors" | "dev">[]): string => {
  const sectors = disks[0]?.sectors ?? 0;
  const groups = disks.map(disk => `round-robin 0 1 1 ${disk.dev} 1000`);
  return `0 ${sectors} multipath 1 queue_if_no_path 0 ${groups.length} 1 ${groups.join(" ")}`;
};

/** Takes a path of a LUN that failed back into use, as multipathd does when its checker finds it well. */
export const reinstatePath = async (
  node: Node,
  { lun, dev }: Pick<SessionDisk, "lun" | "dev">,
  signal?: AbortSignal,
): Promise<void> => {
  await node.ssh.execOk(["dmsetup", "message", multipathName(lun), "0", "reinstate_path", dev], { signal });
};

/** State of every path device (`major:minor`) in a multipath status line: A active, F failed. */
export const parseMultipathStatus = (status: string): ReadonlyMap<string, "active" | "failed"> =>
  new Map(
    [...status.matchAll(/(\d+:\d+) ([AF])\b/g)].map(match => [match[1] ?? "", match[2] === "A" ? "active" : "failed"]),
  );

export type PathState = "active" | "failed";

/** What is known of every path in every map. */
export class MultipathStates {
  readonly #maps: readonly string[];
  readonly #paths: ReadonlyMap<string, PathName>;
  readonly #states = new Map<string, Map<PathName, PathState>>();

  /** `paths` tells which path a disk (`major:minor`) belongs to. */
  constructor(maps: readonly string[], paths: ReadonlyMap<string, PathName>) {
    this.#maps = maps;
    this.#paths = paths;
  }

  /** Takes a map's status line; gives back what it changed. */
  take(map: string, status: string): readonly { path: PathName; state: PathState; device?: string }[] {
    if (!this.#maps.includes(map)) return [];
    const known = this.#states.get(map) ?? new Map<PathName, PathState>();
    this.#states.set(map, known);
    return [...parseMultipathStatus(status)].flatMap(([dev, state]) => {
      const path = this.#paths.get(dev);
      if (path === undefined || known.get(path) === state) return [];
      known.set(path, state);
      // Where there is but one map, nobody has to be told which.
      return [this.#maps.length > 1 ? { path, state, device: map } : { path, state }];
    });
  }

  /** By path: failed if it is in one of the maps. */
  get byPath(): ReadonlyMap<PathName, PathState> {
    const all = new Map<PathName, PathState>();
    for (const known of this.#states.values())
      for (const [path, state] of known) if (all.get(path) !== "failed") all.set(path, state);
    return all;
  }
}
