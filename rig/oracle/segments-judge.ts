/**
 * The quick question to a segment: can it be seen at once that its reads are explained, each write executed once? It is
 * asked a million times a second, so it works on the table's columns and makes no object.
 *
 * Where the answer is no, the segment is looked at again with more patience (see violation.ts): something may be wrong, or
 * a write was executed again before it was answered, or zeros have several explanations, or a power cut took data away
 * that need not have survived. A yes always holds: an order of the plain register is a legal one in spite of all that.
 */
import { EXTENT, type OperationTable } from "../history/operations.ts";
import { Zones } from "./register.ts";
import { ENTRY, type Entries, idOf, REQUIRED, type SegmentVisit, ZEROER } from "./segments.ts";

/** How many writers are looked at to guess whose zeros a read saw. */
const GUESSES = 256;

export class SegmentJudge {
  readonly #table: OperationTable;
  readonly #zones = new Zones();

  constructor(table: OperationTable) {
    this.#table = table;
  }

  /** Whether the segment's reads are certainly explained. */
  explained({ entries, from, to }: SegmentVisit): boolean {
    const { count, sector, contents } = this.#table;
    const zones = this.#zones;
    const sightings = 4 * count;
    let zeroed = 0;
    let index = from;
    zones.clear();
    for (; index < to; index++) {
      const tag = entries[index * ENTRY] as number;
      if (tag >= sightings) break;
      zeroed |= tag & ZEROER;
      zones.add(entries[index * ENTRY + 1] as number, entries[index * ENTRY + 2] as number, (tag & REQUIRED) !== 0);
    }
    const writers = index - from;
    zones.add(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, true);
    for (; index < to; index++) {
      const extent = idOf(entries, index) - count;
      const endNs = entries[index * ENTRY + 2] as number;
      const kind = contents.is[extent];
      let place = writers;
      if (kind === EXTENT.write) {
        const row = (contents.op[extent] as number) - 1;
        place = placeOf(entries, from, writers, row);
        if (place < 0 || (contents.at[extent] as number) - (contents.i[extent] as number) !== sector[row]) return false;
        if (endNs < (entries[(from + place) * ENTRY + 1] as number)) return false;
      } else if (kind !== EXTENT.zero) {
        return false;
      } else if (zeroed !== 0) {
        place = zeroerBefore(entries, from, writers, endNs);
      }
      zones.see(place, entries[index * ENTRY + 1] as number, endNs);
    }
    return zones.consistent();
  }
}

/** Where among the writers the one of this row stands, from 0; -1 where it is none of them or writes zeros. */
const placeOf = (entries: Entries, from: number, writers: number, row: number): number => {
  const wanted = 4 * row;
  let low = 0;
  let high = writers;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[(from + middle) * ENTRY] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  if (low === writers) return -1;
  const tag = entries[(from + low) * ENTRY] as number;
  return tag - wanted < ZEROER ? low : -1;
};

/**
 * A guess at whose zeros a read saw: the last writer of zeros that had begun by then, or the first content, which stands
 * behind the writers.
 */
const zeroerBefore = (entries: Entries, from: number, writers: number, byNs: number): number => {
  let low = 0;
  let high = writers;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[(from + middle) * ENTRY + 1] as number) <= byNs) low = middle + 1;
    else high = middle;
  }
  const least = Math.max(0, low - GUESSES);
  for (let place = low - 1; place >= least; place--) {
    const index = (from + place) * ENTRY;
    if (((entries[index] as number) & ZEROER) !== 0 && (entries[index + 1] as number) <= byNs) return place;
  }
  return writers;
};
