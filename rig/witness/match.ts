/**
 * Which path a connection of the target is. LIO's probes know a connection by its address in memory, the captures know the path
 * that they were made on; commands that both have seen join the two. Both sessions count alike, so a command that could be
 * either's says nothing; every other has a vote. A connection with votes for two paths is nobody's: rather no name than a wrong one.
 */
import { PATH_NAMES, type PathName } from "../core/names.ts";
import type { Sightings } from "./sightings.ts";
import { markOf, type TracedCommand } from "./target-command.ts";

export interface Named {
  readonly path: PathName;
  /** `a#1` for the first connection of path a that brought a command. */
  readonly session: string;
}

export interface Matching {
  /** The path and name of each of the trace's connections; one that is not there could not be told. */
  readonly names: ReadonlyMap<string, Named>;
  /** Connections with votes for two paths. */
  readonly contradictory: number;
  /** Connections without a vote. */
  readonly unseen: number;
}

type Captured = Readonly<Record<PathName, Sightings>>;

/** Names connections in the order in which they are met. */
export const nameConnections = (
  connections: Iterable<string>,
  pathOf: (connection: string) => PathName | undefined,
): ReadonlyMap<string, Named> => {
  const counts = new Map<PathName, number>();
  const names = new Map<string, Named>();
  for (const connection of connections) {
    const path = names.has(connection) ? undefined : pathOf(connection);
    if (path === undefined) continue;
    const number = (counts.get(path) ?? 0) + 1;
    counts.set(path, number);
    names.set(connection, { path, session: `${path}#${number}` });
  }
  return names;
};

/** Joins the commands of a trace, in the order in which they came, with the captures of the paths. */
export const matchConnections = (commands: readonly TracedCommand[], captured: Captured): Matching => {
  const withNumber = commands.every(({ cmdSN }) => cmdSN !== undefined);
  const paths = new Map<string, PathName | "both">();
  for (const path of PATH_NAMES) {
    for (const command of captured[path].commands) {
      const mark = markOf(command, withNumber);
      const other = paths.get(mark);
      paths.set(mark, other === undefined || other === path ? path : "both");
    }
  }
  const votes = new Map<string, Set<PathName>>();
  for (const command of commands) {
    const voted = votes.get(command.connection) ?? new Set();
    votes.set(command.connection, voted);
    const path = paths.get(markOf(command, withNumber));
    if (path !== undefined && path !== "both") voted.add(path);
  }
  const all = [...votes.values()];
  return {
    names: nameConnections(votes.keys(), connection => {
      const [path, another] = votes.get(connection) ?? [];
      return another === undefined ? path : undefined;
    }),
    contradictory: all.filter(voted => voted.size > 1).length,
    unseen: all.filter(voted => voted.size === 0).length,
  };
};
