/**
 * Chooses which events of a history go into the report page. A history may be of any length; the page has a budget, which
 * is spent by rank (see rank.ts), on the console from its end. An operation stays or goes as a whole: an invocation shown
 * without its answer would read as unanswered, and that is a claim. The same history always gives the same selection.
 */
import { cleanLine } from "../core/untrusted.ts";
import type { History, PlainEvent } from "../history/event.ts";
import { STATE } from "../history/operations.ts";
import type { Finding } from "../oracle/finding.ts";
import type { CellSummary } from "../results/schema.ts";
import type { Detail, NumberedEvent, Selection } from "./bundle.ts";
import { operationEvents } from "./operation-events.ts";
import { citedBy, operationRanks, RANK, RANKS, rankOfEvent } from "./rank.ts";

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

/** Characters of one console line that the page carries. It is bounded in a history already. */
const LINE_CHARS = 2_000;
/** So many extents of a read, frames of a stack or names of an inventory weigh as much as an event. */
const PARTS_A_UNIT = 8;

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

type Bucket = "operations" | "consoleLines" | "commands" | "others";

const bucketOf = (event: PlainEvent): Bucket => {
  if (event.kind === "console" || event.kind === "syslog") return "consoleLines";
  return event.kind === "command" ? "commands" : "others";
};

const weightOf = (event: PlainEvent): number => {
  const parts =
    event.kind === "blocked-task" ? event.frames.length : event.kind === "inventory" ? event.names.length : 0;
  return 1 + Math.floor(parts / PARTS_A_UNIT);
};

/** Keeps the account of what has been chosen and what was left out. */
class Spender {
  readonly left = { operations: 0, consoleLines: 0, commands: 0, others: 0 };
  readonly #budget: Budget;
  #weight = 0;
  #consoleLines = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Whether there is room for it. */
  take(bucket: Bucket, weight: number): boolean {
    const isConsole = bucket === "consoleLines";
    const fits = this.#weight + weight <= this.#budget.events;
    if (!fits || (isConsole && this.#consoleLines >= this.#budget.consoleLines)) {
      this.left[bucket] += 1;
      return false;
    }
    this.#weight += weight;
    if (isConsole) this.#consoleLines += 1;
    return true;
  }
}

/** The writer cleans console lines already; a directory may come from elsewhere. */
const clip = (event: PlainEvent): PlainEvent =>
  event.kind === "console" ? { ...event, line: cleanLine(event.line, LINE_CHARS) } : event;

/** The numbers from 0 to `count - 1`, or from the last to the first. */
function* numbers(count: number, backwards: boolean): Generator<number> {
  for (let i = 0; i < count; i++) yield backwards ? count - 1 - i : i;
}

const byLine = ([a, left]: NumberedEvent, [b, right]: NumberedEvent): number => a - b || left.t - right.t;

export const selectEvents = (history: History, findings: readonly Finding[], budget: Budget): Selection => {
  const { events, lines, operations } = history;
  const cited = citedBy(findings);
  const eventRanks = events.map((event, index) => rankOfEvent(event, lines[index] ?? 0, cited));
  const ranks = operationRanks(history, cited);
  const spender = new Spender(budget);
  const chosen: NumberedEvent[] = [];
  let answers = 0;
  let invocations = 0;
  const takeEvent = (index: number): void => {
    const event = events[index];
    if (event !== undefined && spender.take(bucketOf(event), weightOf(event)))
      chosen.push([lines[index] ?? 0, clip(event)]);
  };
  const takeOperation = (row: number): void => {
    const answered = operations.state[row] !== STATE.unanswered;
    invocations += 1;
    if (answered) answers += 1;
    const extents = operations.contentRows[row] ?? 0;
    const weight = answered ? 2 + Math.floor(extents / PARTS_A_UNIT) : 1;
    if (!spender.take("operations", weight)) return;
    const operation = operations.get(row + 1);
    if (operation !== undefined) chosen.push(...operationEvents(operation));
  };
  for (const rank of RANKS) {
    // Later ones first within reads and console: the last read and the last words of a dying node say the most.
    for (const index of numbers(events.length, rank === RANK.console)) if (eventRanks[index] === rank) takeEvent(index);
    for (const row of numbers(ranks.length, rank === RANK.read)) if (ranks[row] === rank) takeOperation(row);
  }
  const total = events.length + invocations + answers;
  return { events: chosen.toSorted(byLine), total, left: spender.left };
};
