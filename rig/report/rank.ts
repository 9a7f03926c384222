/**
 * How much each part of a history is worth to a reader of the report: what the findings cite first, then what tells the
 * story (faults, sessions, sockets, phases), then operations, worst outcome first, then the console. Ranks of operations
 * are a column, for there may be a million of them.
 */
import type { History, PlainEvent } from "../history/event.ts";
import { ACTION, STATE } from "../history/operations.ts";
import type { Finding } from "../oracle/finding.ts";

export const RANK = { cited: 0, story: 1, named: 2, read: 3, unhappy: 4, command: 5, write: 6, console: 7 } as const;
export const RANKS: readonly number[] = Object.values(RANK);
/** The rank of a row whose invocation was not seen. */
export const NO_OPERATION = 255;

/** Sectors `from` to `to - 1`. */
type Range = readonly [from: number, to: number];

/** What the findings point at. */
export interface Cited {
  readonly lines: ReadonlySet<number>;
  readonly excerpt: ReadonlySet<string>;
  readonly operations: ReadonlySet<number>;
  /** Commands, as `tag at nanosecond`. */
  readonly commands: ReadonlySet<string>;
  /** Sectors that hold what they must not. */
  readonly sectors: readonly Range[];
}

const commandKey = (tag: number, executedNs: number): string => `${tag} at ${executedNs}`;

/** Ranges put together where they touch. */
const joined = (ranges: readonly Range[]): Range[] => {
  const wide: [number, number][] = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = wide.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else wide.push([from, to]);
  }
  return wide;
};

export const citedBy = (findings: readonly Finding[]): Cited => {
  const extents = findings.flatMap(finding => finding.extents ?? []);
  return {
    lines: new Set(findings.flatMap(finding => finding.lines)),
    excerpt: new Set(findings.flatMap(finding => finding.excerpt ?? [])),
    operations: new Set(
      extents.flatMap(({ found, expected }) => [
        ...(found.op === undefined ? [] : [found.op]),
        ...expected.map(legal => legal.op),
      ]),
    ),
    commands: new Set(extents.flatMap(e => (e.commands ?? []).map(c => commandKey(c.tag, c.executedNs)))),
    sectors: joined(extents.map(e => [e.sector, e.sector + e.sectors])),
  };
};

const rankOfKind = (event: PlainEvent, cited: Cited): number => {
  switch (event.kind) {
    case "console":
      return cited.excerpt.has(event.line) ? RANK.cited : RANK.console;
    case "syslog":
      return RANK.console;
    case "command": {
      if (cited.commands.has(commandKey(event.tag, event.t))) return RANK.cited;
      const end = event.sector + event.sectors;
      return cited.sectors.some(([from, to]) => event.sector < to && end > from) ? RANK.command : RANK.write;
    }
    case "load":
    case "late":
      // There may be many, and most tell nothing.
      return RANK.write;
    case "blocked-task":
      return RANK.named;
    case "phase":
    case "step":
    case "limits":
    case "device":
    case "power-cut":
    case "witness":
    case "disconnect":
    case "fault":
    case "evidence":
    case "session":
    case "daemon":
    case "logout":
    case "instrument":
    case "socket":
    case "queue-pair":
    case "multipath":
    case "node":
    case "inventory":
    case "stopped":
    case "note":
      return RANK.story;
  }
};

export const rankOfEvent = (event: PlainEvent, line: number, cited: Cited): number =>
  cited.lines.has(line) ? RANK.cited : rankOfKind(event, cited);

/** The rank of every row of the table, in its order. */
export const operationRanks = ({ operations }: History, cited: Cited): Uint8Array => {
  const { action, state, invokeLine, doneLine, count } = operations;
  const ranks = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    if (action[row] === ACTION.none) ranks[row] = NO_OPERATION;
    else if (action[row] === ACTION.read) ranks[row] = RANK.read;
    else ranks[row] = state[row] === STATE.ok ? RANK.write : RANK.unhappy;
  }
  for (const op of cited.operations) {
    const row = op - 1;
    if (row >= 0 && row < count && ranks[row] !== NO_OPERATION) ranks[row] = RANK.named;
  }
  if (cited.lines.size > 0) {
    for (let row = 0; row < count; row++) {
      const isCited =
        cited.lines.has(invokeLine[row] ?? 0) ||
        (state[row] !== STATE.unanswered && cited.lines.has(doneLine[row] ?? 0));
      if (isCited && ranks[row] !== NO_OPERATION) ranks[row] = RANK.cited;
    }
  }
  return ranks;
};
