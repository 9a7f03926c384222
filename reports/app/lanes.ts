/**
 * The timeline as data: groups of lanes, each lane a row of things with a beginning and an end. Drawing it (timeline.tsx)
 * knows nothing of iSCSI, and this module nothing of pixels. What never ended is drawn to the edge and says so.
 */

import type { Finding } from "../../rig/oracle/finding.ts";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { COMMANDS, commandLanes } from "./command-lanes.ts";
import { eventWords } from "./event-words.ts";
import { nameOf, type Operation, OUTCOME_WORDS } from "./operations.ts";
import { type Bar, collect, type Lane, pack } from "./spans.ts";
import { counted, secondsOf, sectorRange } from "./units.ts";

export interface Group {
  readonly title: string;
  readonly lanes: readonly Lane[];
}

export interface Timeline {
  readonly groups: readonly Group[];
  /** The time each fault was in force, for shading. */
  readonly faults: readonly Bar[];
  readonly end: number;
  /** The part worth seeing first: from just before the first fault. */
  readonly focus: readonly [from: number, to: number];
}

/** What writes share a lane by. */
const BATCH: Readonly<Record<Exclude<Operation["action"], "write">, string>> = {
  read: "reads",
  flush: "flushes",
  discard: "discards",
  zeroes: "writes of zeroes",
};

/** Beyond this many labels the writes share one lane. */
const MAX_WRITE_LANES = 8;

const lane = (label: string, look: Lane["look"], bars: readonly Bar[], note?: Lane["note"]): Lane[] =>
  bars.length === 0 ? [] : [{ label, look, bars, rows: pack(bars), ...(note === undefined ? {} : { note }) }];

const operationBar = (o: Operation, end: number): Bar => {
  const open = o.to === undefined;
  const to = o.to ?? end;
  const what = `${o.action} ${String(o.op)}${o.label === undefined ? "" : ` (${o.label})`}`;
  const where = o.action === "flush" ? "" : `, ${sectorRange(o.sector, o.sectors)}`;
  const why = o.error === undefined ? "" : `: ${o.error}`;
  const detail = `${what}${where}, via ${o.via}: ${OUTCOME_WORDS[o.outcome]}${why}`;
  return { from: o.from, to, open, text: "", tone: o.outcome, detail, line: o.line, row: 0 };
};

/** How many bad sectors a batch of writes is found in, or missing from, through the end that shows most. */
const noteFor = (batch: readonly Operation[], findings: readonly Finding[]): Lane["note"] => {
  const ops = new Set(batch.map(o => o.op));
  const found = new Map<string, number>();
  const expected = new Map<string, number>();
  for (const e of findings.flatMap(f => f.extents ?? [])) {
    const add = (to: Map<string, number>) => to.set(e.via, (to.get(e.via) ?? 0) + e.sectors);
    if (e.found.op !== undefined && ops.has(e.found.op)) add(found);
    if (e.expected.some(legal => ops.has(legal.op))) add(expected);
  }
  const most = (counts: Map<string, number>) => Math.max(0, ...counts.values());
  if (most(found) > 0) return { text: `found in ${counted(most(found), "sector")}`, tone: "alarm" };
  if (most(expected) > 0) return { text: `should be in ${counted(most(expected), "sector")}`, tone: "good" };
  return undefined;
};

const operationLanes = (operations: readonly Operation[], findings: readonly Finding[], end: number): Lane[] => {
  const bars = (list: readonly Operation[]) => list.map(o => operationBar(o, end));
  const writes = operations.filter(o => o.action !== "read");
  const batches = Map.groupBy(writes, o => (o.action === "write" ? nameOf(o) : BATCH[o.action]));
  const writeLanes =
    batches.size <= MAX_WRITE_LANES
      ? [...batches].flatMap(([name, list]) => lane(name, "thin", bars(list), noteFor(list, findings)))
      : lane("writes", "thin", bars(writes), noteFor(writes, findings));
  return [
    ...writeLanes,
    ...lane("reads", "thin", bars(operations.filter(o => o.action === "read" && o.via === "initiator"))),
    ...lane("backing reads", "thin", bars(operations.filter(o => o.action === "read" && o.via === "backing"))),
  ];
};

const markBars = (events: readonly NumberedEvent[], findings: readonly Finding[]): { proof: Bar[]; reports: Bar[] } => {
  const byLine = new Map(events.map(([line, event]) => [line, event]));
  const mark = (line: number, text: string): Bar[] => {
    const event = byLine.get(line);
    if (event === undefined) return [];
    const at = secondsOf(event.t);
    return [{ from: at, to: at, open: false, text, tone: "alarm", detail: eventWords(event), line, row: 0 }];
  };
  const cited = [...new Set(findings.flatMap(f => f.lines))];
  const excerpt = new Set(findings.flatMap(f => f.excerpt ?? []));
  const lines = events.flatMap(([line, e]) => (e.kind === "console" && excerpt.has(e.line) ? [line] : []));
  return {
    proof: cited.flatMap((line, i) => mark(line, String(i + 1))),
    reports: lines.flatMap(line => mark(line, "")),
  };
};

/** A task that hangs is no moment; the mark is where it was seen to. */
const blockedBars = (events: readonly NumberedEvent[]): Bar[] =>
  events.flatMap(([line, event]) => {
    if (event.kind !== "blocked-task") return [];
    const at = secondsOf(event.t);
    return [{ from: at, to: at, open: false, text: "", tone: "alarm", detail: eventWords(event), line, row: 0 }];
  });

export const timelineOf = (
  events: readonly NumberedEvent[],
  operations: ReadonlyMap<number, Operation>,
  findings: readonly Finding[],
): Timeline => {
  // The target's commands stand at the history's end, whenever they were executed.
  const end = events.reduce((latest, [, event]) => Math.max(latest, secondsOf(event.t)), 0.001);
  const c = collect(events, end);
  const states = (key: string) => c.states.get(key)?.bars ?? [];
  const { proof, reports } = markBars(events, findings);
  const paths = (["a", "b"] as const).map(path => ({
    title: `path ${path}`,
    lanes: [
      ...lane("session", "state", states(`${path}/session`)),
      ...lane("multipath", "state", states(`${path}/multipath`)),
      ...lane("socket", "state", states(`${path}/socket`)),
    ],
  }));
  const groups = [
    {
      title: "cell",
      lanes: [
        ...lane("proof", "mark", proof),
        ...lane("phase", "state", c.phases.bars),
        ...lane("step", "state", c.steps.bars),
      ],
    },
    { title: "faults", lanes: [...c.faults].flatMap(([name, spans]) => lane(name, "state", spans.bars)) },
    ...paths,
    { title: "I/O", lanes: operationLanes([...operations.values()], findings, end) },
    { title: COMMANDS, lanes: commandLanes(events, findings) },
    {
      title: "nodes",
      lanes: [
        ...lane("target", "state", states("target/node")),
        ...lane("initiator", "state", states("initiator/node")),
        ...lane("target's power", "state", states("target/power")),
        ...lane("initiator's power", "state", states("initiator/power")),
        ...lane("console", "mark", reports),
        ...lane("blocked tasks", "mark", blockedBars(events)),
      ],
    },
  ].filter(group => group.lanes.length > 0);
  const faults = c.inForce.bars;
  const first = Math.min(...faults.map(f => f.from));
  const margin = (end - first) * 0.06;
  const focus = Number.isFinite(first) ? ([Math.max(0, first - margin), end] as const) : ([0, end] as const);
  return { groups, faults, end, focus };
};
