/**
 * One cell, most telling first: what was found, the sectors, the story, the timeline; then the facts that support them. A
 * healthy cell has the same parts, folded.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { NODE_NAMES } from "../../rig/core/names.ts";
import type { EventOf, HistoryEvent } from "../../rig/history/event.ts";
import { type CellBlock, cellId, type NumberedEvent } from "../../rig/report/bundle.ts";
import type { CellSummary } from "../../rig/results/schema.ts";
import { Announcements } from "./announcements.tsx";
import { BlockedTasks } from "./blocked-tasks.tsx";
import { commandKey } from "./command-lanes.ts";
import { type ConsoleEvent, NodeConsole } from "./console.tsx";
import { readBlock } from "./data.ts";
import { EventList } from "./events.tsx";
import { Command, FaultEvidence, Files, Phases, Sessions } from "./facts.tsx";
import { Findings } from "./findings.tsx";
import { timelineOf } from "./lanes.ts";
import { operationsOf } from "./operations.ts";
import { cellHref } from "./route.ts";
import { SectorMap } from "./sector-map.tsx";
import { sectorPicture } from "./sectors.ts";
import { StatusChip } from "./status.tsx";
import { storyOf } from "./story.ts";
import { Story } from "./story.tsx";
import { Timeline } from "./timeline.tsx";
import { formatCount, formatMs } from "./units.ts";

interface Props {
  readonly summary: CellSummary;
  readonly healthy: string | undefined;
  readonly block: number | null;
  /** The line of the history that the address asks for. */
  readonly line: { readonly line: number } | undefined;
}

/** Picks the events of one kind. */
const isOf =
  <K extends HistoryEvent["kind"]>(kind: K) =>
  (numbered: NumberedEvent): numbered is readonly [number, EventOf<K>] =>
    numbered[1].kind === kind;

const Fold = ({
  title,
  open,
  children,
}: {
  readonly title: string;
  readonly open: boolean;
  readonly children: ComponentChildren;
}) => (
  <details class="fold" open={open}>
    <summary>{title}</summary>
    {children}
  </details>
);

const Body = ({
  summary,
  block,
  line,
}: {
  readonly summary: CellSummary;
  readonly block: CellBlock;
  readonly line: Props["line"];
}) => {
  const { cell, history } = block;
  const id = cellId(summary);
  const findings = useMemo(() => cell?.findings ?? [], [cell]);
  const events = useMemo(() => history?.events ?? [], [history]);
  const operations = useMemo(() => operationsOf(events), [events]);
  const picture = useMemo(() => sectorPicture(operations, findings), [operations, findings]);
  const story = useMemo(() => storyOf(events, operations, findings), [events, operations, findings]);
  const timeline = useMemo(() => timelineOf(events, operations, findings), [events, operations, findings]);
  const cited = useMemo(() => new Set(findings.flatMap(f => f.lines)), [findings]);
  const quoted = useMemo(() => new Set(findings.flatMap(f => f.excerpt ?? [])), [findings]);
  const witness = useMemo(() => events.findLast(isOf("witness"))?.[1], [events]);
  const commandLines = useMemo(
    () => new Map(events.filter(isOf("command")).map(([n, event]) => [commandKey(event.tag, event.t), n])),
    [events],
  );
  const blocked = useMemo(() => events.filter(isOf("blocked-task")), [events]);
  const eventList = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (line !== undefined && eventList.current !== null) eventList.current.open = true;
  }, [line]);
  const healthy = summary.status === "PASS" || summary.status === "DONE" || summary.status === "SKIP";
  const consoles = NODE_NAMES.map(node => ({
    node,
    lines: events.filter((e): e is ConsoleEvent => e[1].kind === "console" && e[1].node === node),
  }));
  return (
    <>
      {history !== undefined && <Announcements history={history} />}
      <Findings findings={findings} cell={id} witness={witness} commandLines={commandLines} />
      {history !== undefined && (
        <>
          <div class="pair">
            <section>
              <h4>The sectors in the end</h4>
              <SectorMap picture={picture} />
            </section>
            <section>
              <h4>What happened</h4>
              <Story moments={story} cell={id} />
            </section>
          </div>
          <section>
            <h4>Timeline</h4>
            <Timeline
              model={timeline}
              onLine={n => {
                location.hash = cellHref(id, n);
              }}
            />
          </section>
        </>
      )}
      {cell !== undefined && (
        <>
          <Fold title="Did the faults bite?" open={!healthy}>
            <FaultEvidence faults={cell.faults} />
          </Fold>
          {blocked.length > 0 && (
            <Fold title={`Blocked tasks (${String(blocked.length)})`} open={!healthy}>
              <BlockedTasks tasks={blocked} />
            </Fold>
          )}
          {history !== undefined && (
            <Fold title="Consoles" open={!healthy}>
              {consoles.map(({ node, lines }) => (
                <NodeConsole
                  key={node}
                  node={node}
                  lines={lines}
                  interestingFrom={timeline.focus[0]}
                  highlighted={([n, event]) => cited.has(n) || quoted.has(event.line)}
                />
              ))}
            </Fold>
          )}
          <div class="pair">
            <Fold title="Parameters as negotiated" open={!healthy}>
              <Sessions sessions={cell.sessions} />
            </Fold>
            <Fold title={`Phases, ${formatMs(cell.durationMs)} in all`} open={!healthy}>
              <Phases phases={cell.phases} />
              {summary.lab?.why !== undefined && (
                <p class="quiet">The lab was booted, not restored: {summary.lab.why}</p>
              )}
              <p class="quiet">
                Operations: {formatCount(cell.operations.invoked)} handed over, {formatCount(cell.operations.ok)}{" "}
                acknowledged, {formatCount(cell.operations.failed)} failed, {formatCount(cell.operations.unanswered)}{" "}
                unanswered.
              </p>
            </Fold>
          </div>
        </>
      )}
      {history !== undefined && (
        <details class="fold" ref={eventList}>
          <summary>Every event ({formatCount(history.events.length)})</summary>
          <EventList events={events} target={line} cited={cited} />
        </details>
      )}
      {cell !== undefined && (
        <Fold title={`Files (${String(cell.files.length)})`} open={false}>
          <Files files={cell.files} directory={summary.directory} />
        </Fold>
      )}
    </>
  );
};

const LAB_WORDS = { cold: "lab booted", restored: "lab restored" } as const;

/** How long it took, how its lab came up, and which try it was where it was not the first. */
const Life = ({ durationMs, lab, attempt = 1 }: CellSummary) => (
  <span class="quiet">
    {formatMs(durationMs)}
    {lab !== undefined && ` · ${LAB_WORDS[lab.how]}`}
    {attempt > 1 && (
      <>
        {" · "}
        <a href="#time">try {attempt}</a>
      </>
    )}
  </span>
);

export const CellView = ({ summary, healthy, block, line }: Props) => {
  const [loaded, setLoaded] = useState<
    { readonly of: number; readonly value: CellBlock } | { readonly problem: string } | undefined
  >(undefined);
  useEffect(() => {
    if (block === null) return undefined;
    let current = true;
    readBlock(block).then(
      value => {
        if (current) setLoaded({ of: block, value });
      },
      (error: unknown) => {
        if (current) setLoaded({ problem: String(error) });
      },
    );
    return () => {
      current = false;
    };
  }, [block]);
  const id = cellId(summary);
  const value = loaded !== undefined && "value" in loaded && loaded.of === block ? loaded.value : undefined;
  return (
    <div class="cell" data-cell={id}>
      <div class="cell-head">
        <StatusChip status={summary.status} />
        <a class="mono" href={cellHref(id)}>
          {id}
        </a>
        {summary.durationMs > 0 && <Life {...summary} />}
        {value?.cell !== undefined && <Command title="Run it again" text={value.cell.reproduce} />}
      </div>
      {summary.reason !== undefined && (
        <p class={`reason ${summary.status}`}>
          <strong>{summary.status}:</strong> {summary.reason}
        </p>
      )}
      {healthy !== undefined && (
        <p class="healthy">
          <strong>A healthy kernel:</strong> {healthy}
        </p>
      )}
      {loaded !== undefined && "problem" in loaded && (
        <p class="banner warn">The data of this cell cannot be decoded: {loaded.problem}</p>
      )}
      {block === null && <p class="quiet">This cell left no files.</p>}
      {block !== null && loaded === undefined && <p class="quiet">Decoding…</p>}
      {value !== undefined && <Body key={id} summary={summary} block={value} line={line} />}
    </div>
  );
};
