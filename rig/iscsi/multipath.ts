/**
 * dm-multipath in failover: one path group for each path, the first one used until it fails (device-mapper's multipath
 * target, Documentation/admin-guide/device-mapper). The table is set directly: exact, quick, and no daemon that acts on its own.
 */
import type { Node } from "../lab/node.ts";
import type { Session } from "./initiator.ts";

/** Name of the mapped device. */
export const MULTIPATH_NAME = "mp";

/** The table: queue when no path is left; groups in the order of `sessions`, each with one path. */
export const multipathTable = (sessions: readonly Pick<Session, "sectors" | "dev">[]): string => {
  const sectors = sessions[0]?.sectors ?? 0;
  const groups = sessions.map(session => `round-robin 0 1 1 ${session.dev} 1000`);
  return `0 ${sectors} multipath 1 queue_if_no_path 0 ${groups.length} 1 ${groups.join(" ")}`;
};

/** Takes a path that failed back into use, as multipathd does when its checker finds it well. */
export const reinstatePath = async (node: Node, { dev }: Pick<Session, "dev">, signal?: AbortSignal): Promise<void> => {
  await node.ssh.execOk(["dmsetup", "message", MULTIPATH_NAME, "0", "reinstate_path", dev], { signal });
};

/** State of every path device (`major:minor`) in a multipath status line: A active, F failed. */
export const parseMultipathStatus = (status: string): ReadonlyMap<string, "active" | "failed"> =>
  new Map(
    [...status.matchAll(/(\d+:\d+) ([AF])\b/g)].map(match => [match[1] ?? "", match[2] === "A" ? "active" : "failed"]),
  );
