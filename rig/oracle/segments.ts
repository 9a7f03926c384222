/**
 * Cuts a disk into segments: runs of adjacent sectors that the same operations wrote and read in the same way. What
 * holds for one sector of a segment holds for all, so the register question is asked once a segment, not once a sector.
 *
 * All that a segment needs is the list of its writers and of what reads saw there, so the work is a counting sort: count
 * how many belong to each segment, then put every one in its place. An operation that spans many segments (1 MiB over
 * edges of 512 bytes has 2048) is listed in each, and there is no way around that: every one of them is a register of
 * its own. The lists of a whole disk may therefore be far longer than its history; they are made for as many segments at
 * a time as fit, so time grows with the sum of segments per operation and memory with the operations alone.
 */
import { ACTION, type OperationTable, STATE } from "../history/operations.ts";
import { Edges } from "./segments-edges.ts";

/** Sectors of one stretch of the disk, 8 GiB: 2 MiB of bits. */
const STRETCH = 2 ** 24;
/** Entries of the lists that are held at once: so many at least, and so many an operation (24 bytes each). */
const ENTRIES = 2 ** 19;
const ENTRIES_EACH = 4;

/** What a segment is asked with. */
export interface SegmentVisit {
  sector: number;
  sectors: number;
  /** Entries `from` to `to - 1` are the segment's: writers in the order of their rows, then what reads found. */
  entries: Entries;
  from: number;
  to: number;
}

export interface SegmentLimits {
  /** Sectors that are cut up at a time. */
  readonly stretch?: number;
  /** Entries of lists that are held at a time; a single segment may need more. */
  readonly entries?: number;
}

/**
 * Who has to do with a segment, three numbers each: a tag, when it was invoked, when it was answered. They are copied here
 * because to fetch them from all over the table, a million times, is what would take the time.
 *
 * A writer's tag is 4 * its row, +1 where it must have had its effect, +2 where what it leaves is zeros. A sighting's is
 * 4 * (the table's count + its row in `contents`).
 */
export type Entries = Float64Array;
export const ENTRY = 3;
export const REQUIRED = 1;
export const ZEROER = 2;

/** A writer's row, or the table's count + a sighting's row in `contents`. */
export const idOf = (entries: Entries, index: number): number => Math.floor((entries[index * ENTRY] as number) / 4);

type Take = (begin: number, end: number, tag: number, row: number) => void;

/** Whether the action changes what a sector holds. */
export const changesData = (action: number | undefined): boolean =>
  action === ACTION.write || action === ACTION.zeroes || action === ACTION.discard;

/** The read that each row of `contents` belongs to, as its row. */
export const ownersOf = (table: OperationTable): Uint32Array => {
  const owners = new Uint32Array(table.contents.count);
  for (let row = 0; row < table.count; row++) {
    const rows = table.contentRows[row] as number;
    if (rows === 0) continue;
    const from = table.contentFrom[row] as number;
    owners.fill(row, from, from + rows);
  }
  return owners;
};

/** The intervals of one disk's operations, with the tags of their entries. */
class Intervals {
  readonly #table: OperationTable;
  readonly #mine: Uint8Array;

  constructor(table: OperationTable, mine: Uint8Array) {
    this.#table = table;
    this.#mine = mine;
  }

  /** Every interval that touches the addresses from `low` to `high - 1`, cut to them: writers first, each kind in order. */
  each(low: number, high: number, take: Take): void {
    this.#writers(low, high, take);
    this.#sightings(low, high, take);
  }

  #writers(low: number, high: number, take: Take): void {
    const { count, action, state, device, sector, sectors } = this.#table;
    for (let row = 0; row < count; row++) {
      if (!changesData(action[row]) || this.#mine[device[row] as number] === 0) continue;
      const at = sector[row] as number;
      const begin = at > low ? at : low;
      const after = at + (sectors[row] as number);
      const end = after < high ? after : high;
      if (begin >= end) continue;
      const kind = action[row];
      const required = kind !== ACTION.discard && state[row] === STATE.ok ? REQUIRED : 0;
      take(begin, end, 4 * row + required + (kind === ACTION.write ? 0 : ZEROER), row);
    }
  }

  #sightings(low: number, high: number, take: Take): void {
    const { count, action, state, device, contents, contentFrom, contentRows } = this.#table;
    const { at, n } = contents;
    for (let row = 0; row < count; row++) {
      if (action[row] !== ACTION.read || state[row] !== STATE.ok || this.#mine[device[row] as number] === 0) continue;
      const from = contentFrom[row] as number;
      const to = from + (contentRows[row] as number);
      for (let extent = from; extent < to; extent++) {
        const first = at[extent] as number;
        const begin = first > low ? first : low;
        const after = first + (n[extent] as number);
        const end = after < high ? after : high;
        if (begin < end) take(begin, end, 4 * (count + extent), row);
      }
    }
  }
}

/** The numbers of the stretches that hold anything, in order, and the sectors that the longest of them has in use. */
const stretchesOf = (intervals: Intervals, stretch: number): { stretches: number[]; length: number } => {
  const used = new Set<number>();
  let last = -1;
  let after = 0;
  intervals.each(0, Number.MAX_SAFE_INTEGER, (begin, end) => {
    if (end > after) after = end;
    const first = Math.floor(begin / stretch);
    const final = Math.floor((end - 1) / stretch);
    if (first === last && final === last) return;
    for (let place = first; place <= final; place++) used.add(place);
    last = final;
  });
  return { stretches: [...used].sort((a, b) => a - b), length: Math.min(stretch, after) };
};

/** How many intervals cover each place between two edges. */
const coverage = (intervals: Intervals, edges: Edges, places: number, low: number, high: number): Uint32Array => {
  const counts = new Int32Array(places + 1);
  intervals.each(low, high, (begin, end) => {
    const first = edges.place(begin);
    const after = edges.place(end);
    counts[first] = (counts[first] as number) + 1;
    counts[after] = (counts[after] as number) - 1;
  });
  let sum = 0;
  for (let place = 0; place <= places; place++) {
    sum += counts[place] as number;
    counts[place] = sum;
  }
  return new Uint32Array(counts.buffer);
};

/**
 * Visits the segments of one disk, in the order of their addresses.
 * @param mine 1 for every device that is this disk.
 */
export const eachSegment = (
  table: OperationTable,
  mine: Uint8Array,
  visit: (segment: SegmentVisit) => void,
  limits: SegmentLimits = {},
): void => {
  const { stretch = STRETCH, entries = Math.max(ENTRIES, ENTRIES_EACH * table.count) } = limits;
  const intervals = new Intervals(table, mine);
  const { stretches, length } = stretchesOf(intervals, stretch);
  const edges = new Edges(length);
  let lists: Entries = new Float64Array(0);
  const segment: SegmentVisit = { sector: 0, sectors: 0, entries: lists, from: 0, to: 0 };
  for (const number of stretches) {
    const low = number * stretch;
    const high = low + stretch;
    edges.clear(low);
    intervals.each(low, high, (begin, end) => {
      edges.mark(begin);
      edges.mark(end);
    });
    const count = edges.number();
    const addresses = edges.addresses(count);
    const counts = coverage(intervals, edges, count - 1, low, high);
    const cursors = new Uint32Array(count);
    for (let first = 0; first < count - 1; ) {
      // As many places as fit into the lists, one at least.
      let after = first;
      let sum = 0;
      for (; after < count - 1 && (after === first || sum + (counts[after] as number) <= entries); after++) {
        cursors[after] = sum;
        sum += counts[after] as number;
      }
      if (lists.length < ENTRY * sum) lists = new Float64Array(ENTRY * sum);
      const [held, windowFirst, windowAfter] = [lists, first, after];
      intervals.each(addresses[first] as number, addresses[after] as number, (begin, end, tag, row) => {
        const startNs = table.invokeNs[row] as number;
        const endNs = table.doneNs[row] as number;
        const from = Math.max(edges.place(begin), windowFirst);
        const to = Math.min(edges.place(end), windowAfter);
        for (let place = from; place < to; place++) {
          const cursor = cursors[place] as number;
          held[cursor * ENTRY] = tag;
          held[cursor * ENTRY + 1] = startNs;
          held[cursor * ENTRY + 2] = endNs;
          cursors[place] = cursor + 1;
        }
      });
      segment.entries = lists;
      for (let place = first; place < after; place++) {
        if (counts[place] === 0) continue;
        segment.sector = addresses[place] as number;
        segment.sectors = (addresses[place + 1] as number) - segment.sector;
        segment.to = cursors[place] as number;
        segment.from = segment.to - (counts[place] as number);
        visit(segment);
      }
      first = after;
    }
  }
};
