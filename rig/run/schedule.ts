/**
 * In which order cells run, and when a starved one runs again. Base and head of a seed are neighbours, so that the
 * machine's mood falls on both; the longest pairs come first, so that no long one is left to run alone at the end.
 *
 * A cell whose lab was starved of CPU has proven nothing. It is tried again, a few cells later: what starved it may be
 * over by then. The last try has the machine to itself, after everything else, when nobody has to wait for it.
 *
 *     for (;;) {
 *       const cell = schedule.next();
 *       if (cell === undefined) break;                      // every cell is over
 *       if (cell === "wait") await one that runs;           // there is always one
 *       else start(cell), and when it ended:
 *         if (!starved || !schedule.again(cell)) schedule.done(cell);
 *     }
 */
import { RigError } from "../core/errors.ts";

export interface CellName {
  readonly scenario: string;
  readonly kernel: string;
  readonly seed: number;
}

/** How long a cell of this scenario on this kernel will take; undefined where nobody knows. */
export type ExpectedMs = (scenario: string, kernel: string) => number | undefined;

/** How often a cell may run until its last result stands. */
export const MAX_ATTEMPTS = 3;

/** How many other cells go before a starved one, where there are as many. */
export const CELLS_BETWEEN = 4;

const unitOf = ({ scenario, seed }: CellName): string => `${seed} ${scenario}`;

/** The order in which cells run: the longest pairs first, then as the scenarios are given, then by seed. */
export const orderCells = <T extends CellName>(cells: readonly T[], expectedMs: ExpectedMs): T[] => {
  const scenarios = [...new Set(cells.map(({ scenario }) => scenario))];
  const units = [...Map.groupBy(cells, unitOf).values()].map(pair => ({
    pair,
    // What nobody knows may be the longest.
    ms: pair.reduce((sum, { scenario, kernel }) => sum + (expectedMs(scenario, kernel) ?? Number.POSITIVE_INFINITY), 0),
    given: scenarios.indexOf(pair[0]?.scenario ?? ""),
    seed: pair[0]?.seed ?? 0,
  }));
  const longer = (a: number, b: number): number => (a === b ? 0 : b > a ? 1 : -1);
  return units
    .toSorted((a, b) => longer(a.ms, b.ms) || a.given - b.given || a.seed - b.seed)
    .flatMap(({ pair }) => pair);
};

/** Hands out every cell, and the starved ones again. Cells are told apart by identity. */
export class Schedule<T extends CellName> {
  readonly #queue: T[];
  /** The last tries. */
  readonly #alone: T[] = [];
  readonly #running = new Set<T>();
  readonly #attempts = new Map<T, number>();
  #oneAlone = false;

  /** Takes the cells in the order in which they are to run. */
  constructor(cells: readonly T[]) {
    this.#queue = [...cells];
  }

  /** How many were handed out and are not over. */
  get running(): number {
    return this.#running.size;
  }

  /** How often the cell was handed out. */
  attempts(cell: T): number {
    return this.#attempts.get(cell) ?? 0;
  }

  /** The next cell to start; "wait" until one that runs is over; undefined when all are. Never "wait" where nothing runs. */
  next(): T | "wait" | undefined {
    if (this.#oneAlone) return "wait";
    const cell = this.#queue.shift();
    if (cell !== undefined) return this.#start(cell);
    // One that runs may have to run again, and a last try runs after all others.
    if (this.#running.size > 0) return "wait";
    const last = this.#alone.shift();
    if (last === undefined) return undefined;
    this.#oneAlone = true;
    return this.#start(last);
  }

  /** The cell is over, and its result stands. */
  done(cell: T): void {
    if (!this.#running.delete(cell))
      throw new RigError("RIG_BUG", `Expected a cell that runs to end; ${unitOf(cell)} ${cell.kernel} does not run.`);
    this.#oneAlone = false;
  }

  /** Puts a starved cell back. False where it had its last try: nothing has changed then, and its result stands. */
  again(cell: T): boolean {
    const attempts = this.attempts(cell);
    if (attempts >= MAX_ATTEMPTS) return false;
    this.done(cell);
    if (attempts === MAX_ATTEMPTS - 1) this.#alone.push(cell);
    else this.#queue.splice(this.#placeAfterOthers(), 0, cell);
    return true;
  }

  #start(cell: T): T {
    this.#running.add(cell);
    this.#attempts.set(cell, this.attempts(cell) + 1);
    return cell;
  }

  /** A few cells later, or at the end; never between the two of a pair. */
  #placeAfterOthers(): number {
    let place = Math.min(CELLS_BETWEEN, this.#queue.length);
    for (; place < this.#queue.length; place++) {
      const [before, after] = [this.#queue[place - 1], this.#queue[place]];
      if (before === undefined || after === undefined || unitOf(before) !== unitOf(after)) break;
    }
    return place;
  }
}
