/**
 * The operations of a history in columns. A run may have a million of them, and an object each would cost ten times the
 * memory and most of the time that it takes to judge them. Row `i` is operation number `i + 1`: numbers are given in the
 * order of invocation and without gaps, so no index is needed. A row whose invocation was not seen (a damaged history)
 * has the action NONE. One operation is had as an object (`get`); who wants all of them reads the columns.
 */
import type { Extent } from "./extent.ts";

/** What an operation does, as a number in a column and in a history's compact lines. */
export const ACTIONS = ["none", "write", "read", "flush", "discard", "zeroes"] as const;
export type Action = Exclude<(typeof ACTIONS)[number], "none">;
export const ACTION = { none: 0, write: 1, read: 2, flush: 3, discard: 4, zeroes: 5 } as const;

export const STATE = { unanswered: 0, ok: 1, fail: 2 } as const;
export type Completion = keyof typeof STATE;
const STATES = ["unanswered", "ok", "fail"] as const;

/** Set in `flags`. */
export const FUA = 1;
export const BACKING = 2;

export type Via = "initiator" | "backing";

/** One operation from invocation to answer. Times are nanoseconds since the history's start, lines count from 1. */
export interface Operation {
  readonly op: number;
  readonly action: Action;
  readonly via: Via;
  /** Of the `device` event that the operation went to; 0 where a history has but one device. */
  readonly device: number;
  readonly sector: number;
  readonly sectors: number;
  readonly fua: boolean;
  readonly label: string | undefined;
  readonly invokeNs: number;
  readonly invokeLine: number;
  readonly state: Completion;
  /** When it was answered; Infinity where it was not. */
  readonly doneNs: number;
  readonly doneLine: number | undefined;
  readonly error: string | undefined;
  readonly content: readonly Extent[] | undefined;
}

/** How an extent of a read's content is told apart in `Contents.is`. */
export const EXTENT = { write: 0, zero: 1, elsewhere: 2, damaged: 3, foreign: 4 } as const;

const grown = <T extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(array: T, wanted: number): T => {
  if (wanted <= array.length) return array;
  const next = new (array.constructor as new (length: number) => T)(Math.max(wanted, Math.ceil(array.length * 1.5)));
  next.set(array);
  return next;
};

/** What reads found, extent after extent. A read's extents are adjacent rows. */
export class Contents {
  count = 0;
  is = new Uint8Array(64);
  at = new Uint32Array(64);
  n = new Uint32Array(64);
  op = new Uint32Array(64);
  i = new Uint32Array(64);
  /** The whole extent, of those kinds that have more to say than the columns hold. */
  readonly rare = new Map<number, Extent>();

  add(extent: Extent): void {
    const row = this.#row();
    this.is[row] = EXTENT[extent.is];
    this.at[row] = extent.at;
    this.n[row] = extent.n;
    if (extent.is === "write" || extent.is === "elsewhere" || extent.is === "damaged") {
      this.op[row] = extent.op;
      this.i[row] = extent.i;
    }
    if (extent.is !== "write" && extent.is !== "zero") this.rare.set(row, extent);
  }

  /** Adds an extent of the commonest kinds without an object: zeros where `op` is 0. */
  addPlain(at: number, n: number, op: number, i: number): void {
    const row = this.#row();
    this.is[row] = op === 0 ? EXTENT.zero : EXTENT.write;
    this.at[row] = at;
    this.n[row] = n;
    this.op[row] = op;
    this.i[row] = i;
  }

  get(row: number): Extent {
    const rare = this.rare.get(row);
    if (rare !== undefined) return rare;
    const [at, n] = [this.at[row] ?? 0, this.n[row] ?? 0];
    if (this.is[row] === EXTENT.zero) return { is: "zero", at, n };
    return { is: "write", at, n, op: this.op[row] ?? 0, i: this.i[row] ?? 0 };
  }

  #row(): number {
    const row = this.count++;
    if (row >= this.is.length) {
      const wanted = this.count;
      this.is = grown(this.is, wanted);
      this.at = grown(this.at, wanted);
      this.n = grown(this.n, wanted);
      this.op = grown(this.op, wanted);
      this.i = grown(this.i, wanted);
    }
    return row;
  }
}

export class OperationTable {
  /** Rows, those without an invocation included. */
  count = 0;
  action = new Uint8Array(64);
  flags = new Uint8Array(64);
  state = new Uint8Array(64);
  device = new Uint8Array(64);
  label = new Uint16Array(64);
  sector = new Uint32Array(64);
  sectors = new Uint32Array(64);
  invokeNs = new Float64Array(64);
  /** Infinity where there was no answer. */
  doneNs = new Float64Array(64);
  invokeLine = new Uint32Array(64);
  doneLine = new Uint32Array(64);
  /** A read's first row in `contents`, and how many rows are its own. */
  contentFrom = new Uint32Array(64);
  contentRows = new Uint32Array(64);
  readonly contents = new Contents();
  /** By row. */
  readonly errors = new Map<number, string>();
  /** Index 0 is "no label". */
  readonly labels: string[] = [""];
  readonly #labelIds = new Map<string, number>();
  #invoked = 0;

  /** The label's number in the column, a new one if need be; 0 for none, and where there are too many to tell apart. */
  labelId(text: string | undefined): number {
    if (text === undefined) return 0;
    const known = this.#labelIds.get(text);
    if (known !== undefined) return known;
    if (this.labels.length > 0xffff) return 0;
    this.labels.push(text);
    this.#labelIds.set(text, this.labels.length - 1);
    return this.labels.length - 1;
  }

  /** Adds an operation that was invoked. False where the number was used before, or is none that the table can hold. */
  invoke(
    op: number,
    action: number,
    flags: number,
    device: number,
    sector: number,
    sectors: number,
    label: number,
    t: number,
    line: number,
  ): boolean {
    const row = op - 1;
    if (row < 0 || row > this.#invoked + MAX_GAP || (row < this.count && this.action[row] !== ACTION.none))
      return false;
    if (sector > MAX_SECTOR || sectors > MAX_SECTOR || device > 0xff) return false;
    this.#reserve(row + 1);
    this.#invoked++;
    this.action[row] = action;
    this.flags[row] = flags;
    this.device[row] = device;
    this.label[row] = label;
    this.sector[row] = sector;
    this.sectors[row] = sectors;
    this.invokeNs[row] = t;
    this.doneNs[row] = Number.POSITIVE_INFINITY;
    this.invokeLine[row] = line;
    return true;
  }

  /**
   * Notes an operation's answer; a read's content is added to `contents` right before and told as its rows. Says what is wrong
   * where the answer contradicts the history so far.
   */
  answer(op: number, state: number, t: number, line: number, contentFrom = 0, contentRows = 0): string | undefined {
    const row = op - 1;
    if (row < 0 || row >= this.count || this.action[row] === ACTION.none)
      return `answers operation ${op}, which was never invoked`;
    if (this.state[row] !== STATE.unanswered) return `answers operation ${op} a second time`;
    if (t < (this.invokeNs[row] ?? 0)) return `answers operation ${op} before its invocation`;
    this.state[row] = state;
    this.doneNs[row] = t;
    this.doneLine[row] = line;
    this.contentFrom[row] = contentFrom;
    this.contentRows[row] = contentRows;
    return undefined;
  }

  /** The operation of this number, or undefined where none was invoked. */
  get(op: number): Operation | undefined {
    const row = op - 1;
    const action = ACTIONS[this.action[row] ?? 0] ?? "none";
    if (row < 0 || row >= this.count || action === "none") return undefined;
    const state = STATES[this.state[row] ?? 0] ?? "unanswered";
    const flags = this.flags[row] ?? 0;
    const label = this.label[row] ?? 0;
    return {
      op,
      action,
      via: (flags & BACKING) === 0 ? "initiator" : "backing",
      device: this.device[row] ?? 0,
      sector: this.sector[row] ?? 0,
      sectors: this.sectors[row] ?? 0,
      fua: (flags & FUA) !== 0,
      label: label === 0 ? undefined : this.labels[label],
      invokeNs: this.invokeNs[row] ?? 0,
      invokeLine: this.invokeLine[row] ?? 0,
      state,
      doneNs: this.doneNs[row] ?? Number.POSITIVE_INFINITY,
      doneLine: state === "unanswered" ? undefined : this.doneLine[row],
      error: this.errors.get(row),
      content: this.#contentOf(row),
    };
  }

  /** Every operation that was invoked, in the order of their numbers. An object each: not for what must be fast. */
  *[Symbol.iterator](): Generator<Operation> {
    for (let row = 0; row < this.count; row++) {
      const operation = this.get(row + 1);
      if (operation !== undefined) yield operation;
    }
  }

  #contentOf(row: number): Extent[] | undefined {
    if (this.action[row] !== ACTION.read || this.state[row] !== STATE.ok) return undefined;
    const from = this.contentFrom[row] ?? 0;
    return Array.from({ length: this.contentRows[row] ?? 0 }, (_, index) => this.contents.get(from + index));
  }

  #reserve(rows: number): void {
    if (rows > this.action.length) {
      this.action = grown(this.action, rows);
      this.flags = grown(this.flags, rows);
      this.state = grown(this.state, rows);
      this.device = grown(this.device, rows);
      this.label = grown(this.label, rows);
      this.sector = grown(this.sector, rows);
      this.sectors = grown(this.sectors, rows);
      this.invokeNs = grown(this.invokeNs, rows);
      this.doneNs = grown(this.doneNs, rows);
      this.invokeLine = grown(this.invokeLine, rows);
      this.doneLine = grown(this.doneLine, rows);
      this.contentFrom = grown(this.contentFrom, rows);
      this.contentRows = grown(this.contentRows, rows);
    }
    this.count = Math.max(this.count, rows);
  }
}

/** The most operations that may be missing in all: a number far beyond is damage, and must not cost memory. */
const MAX_GAP = 65_536;

/** The largest address, or number of sectors, that a column holds. */
export const MAX_SECTOR = 0xffff_ffff;
