/**
 * Chooses which events of a history go into the report page. A history may be of any length; the page has a budget. What
 * the findings cite comes first, then what tells the story (faults, sessions, sockets, phases), then operations, worst
 * outcome first, then the console from its end. An operation stays or goes as a whole: an invocation shown without its
 * answer would read as unanswered, and that is a claim. The same history always gives the same selection.
 */
import { cleanLine } from "../core/untrusted.ts";
import type { History, HistoryEvent } from "../history/event.ts";
import type { Finding } from "../oracle/finding.ts";
import type { CellSummary } from "../results/schema.ts";
import type { Detail, NumberedEvent, Selection } from "./bundle.ts";

export interface Budget {
  readonly events: number;
  readonly consoleLines: number;
}

export const BUDGETS: Readonly<Record<Detail, Budget>> = {
  full: { events: 10_000, consoleLines: 3_000 },
  light: { events: 1_500, consoleLines: 150 },
};

/** How many failed cells of one scenario, kernel and set of findings carry a full history; the others look the same. */
export const FULL_CELLS_OF_A_KIND = 5;

/** Characters of one console line, and extents of one read, that the page carries. Both are bounded in a history already. */
const LINE_CHARS = 2_000;
const EXTENTS_A_UNIT = 8;

/** Decides, in the order of the run, which cells get a full history. */
export const detailChooser = (): ((cell: CellSummary) => Detail) => {
  const seen = new Map<string, number>();
  return cell => {
    if (cell.status === "PASS" || cell.status === "DONE" || cell.status === "SKIP") return "light";
    const kind = [cell.scenario, cell.kernel, cell.status, ...cell.findings.map(f => `${f.oracle}/${f.class}`)].join(
      "\n",
    );
    const before = seen.get(kind) ?? 0;
    seen.set(kind, before + 1);
    return before < FULL_CELLS_OF_A_KIND ? "full" : "light";
  };
};

type Sort = "operation" | "console" | "other";

/** Events that stay or go together. */
interface Unit {
  readonly sort: Sort;
  readonly members: number[];
  rank: number;
  weight: number;
}

const RANK = { cited: 0, story: 1, named: 2, read: 3, unhappy: 4, write: 5, console: 6 } as const;

/** Line 1 of history.ndjson is the header, so the first event is on line 2. */
const FIRST_EVENT_LINE = 2;

const weightOf = (event: HistoryEvent): number =>
  event.kind === "ok" ? 1 + Math.floor((event.content?.length ?? 0) / EXTENTS_A_UNIT) : 1;

const gather = (events: readonly HistoryEvent[]): Unit[] => {
  const units: Unit[] = [];
  const operations = new Map<number, Unit>();
  const add = (sort: Sort, rank: number, index: number, event: HistoryEvent): Unit => {
    const unit = { sort, rank, members: [index], weight: weightOf(event) };
    units.push(unit);
    return unit;
  };
  events.forEach((event, index) => {
    switch (event.kind) {
      case "invoke":
        // Nobody has answered yet: until an answer comes it counts as unanswered, which is worth more than an answered one.
        operations.set(event.op, add("operation", event.action === "read" ? RANK.read : RANK.unhappy, index, event));
        break;
      case "ok":
      case "fail": {
        const unit = operations.get(event.op);
        if (unit === undefined) {
          add("other", RANK.story, index, event);
          break;
        }
        unit.members.push(index);
        unit.weight += weightOf(event);
        if (event.kind === "ok" && unit.rank === RANK.unhappy) unit.rank = RANK.write;
        break;
      }
      case "console":
      case "syslog":
        add("console", RANK.console, index, event);
        break;
      case "load":
      case "late":
        // There may be many, and most tell nothing.
        add("other", RANK.write, index, event);
        break;
      case "phase":
      case "step":
      case "limits":
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
      case "note":
        add("other", RANK.story, index, event);
    }
  });
  return units;
};

/** Raises the rank of everything that the findings point at. */
const promote = (units: readonly Unit[], events: readonly HistoryEvent[], findings: readonly Finding[]): void => {
  const lines = new Set(findings.flatMap(f => f.lines));
  const excerpt = new Set(findings.flatMap(f => f.excerpt ?? []));
  const named = new Set(
    findings.flatMap(f => (f.extents ?? []).flatMap(e => [e.found.op, ...e.expected.map(legal => legal.op)])),
  );
  for (const unit of units) {
    for (const index of unit.members) {
      const event = events[index];
      if (event === undefined) continue;
      if (lines.has(index + FIRST_EVENT_LINE) || (event.kind === "console" && excerpt.has(event.line)))
        unit.rank = RANK.cited;
      else if (event.kind === "invoke" && named.has(event.op)) unit.rank = Math.min(unit.rank, RANK.named);
    }
  }
};

/** The writer cleans console lines already; a directory may come from elsewhere. */
const clip = (event: HistoryEvent): HistoryEvent =>
  event.kind === "console" ? { ...event, line: cleanLine(event.line, LINE_CHARS) } : event;

export const selectEvents = (history: History, findings: readonly Finding[], budget: Budget): Selection => {
  const { events } = history;
  const units = gather(events);
  promote(units, events, findings);
  // Later units first within reads and console: the last read and the last words of a dying node say the most.
  const order = units.map((unit, index) => ({
    unit,
    index: unit.rank === RANK.read || unit.rank === RANK.console ? -index : index,
  }));
  order.sort((a, b) => a.unit.rank - b.unit.rank || a.index - b.index);

  const left = { operations: 0, consoleLines: 0, others: 0 };
  const kept: number[] = [];
  let weight = 0;
  let consoleLines = 0;
  for (const { unit } of order) {
    const isConsole = unit.sort === "console";
    if (weight + unit.weight <= budget.events && (!isConsole || consoleLines < budget.consoleLines)) {
      weight += unit.weight;
      if (isConsole) consoleLines += 1;
      kept.push(...unit.members);
    } else if (isConsole) left.consoleLines += 1;
    else if (unit.sort === "operation") left.operations += 1;
    else left.others += 1;
  }
  kept.sort((a, b) => a - b);
  const chosen: NumberedEvent[] = [];
  for (const index of kept) {
    const event = events[index];
    if (event !== undefined) chosen.push([index + FIRST_EVENT_LINE, clip(event)]);
  }
  return { events: chosen, total: events.length, left };
};
