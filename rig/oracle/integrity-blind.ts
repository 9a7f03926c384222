/**
 * Was there enough to see? Every sector with acknowledged data must have been read through both ends after the last write
 * was over; else something may be wrong that nobody looked at.
 */
import { ACTION, BACKING, type OperationTable, STATE } from "../history/operations.ts";
import { changesData, ENTRY, idOf, REQUIRED, type SegmentVisit } from "./segments.ts";
import { plural } from "./words.ts";

const VIAS = [
  { flag: 0, how: "through the initiator" },
  { flag: BACKING, how: "from the target's backing device" },
] as const;

/** When the last write was over: answered, or invoked where it never was. Undefined where none was acknowledged. */
const lastWriteNs = (table: OperationTable): number | undefined => {
  let last = 0;
  let acknowledged = false;
  for (let row = 0; row < table.count; row++) {
    if (!changesData(table.action[row])) continue;
    const answered = table.state[row] !== STATE.unanswered;
    const ns = (answered ? table.doneNs[row] : table.invokeNs[row]) ?? 0;
    if (ns > last) last = ns;
    if (table.state[row] === STATE.ok && table.action[row] !== ACTION.discard) acknowledged = true;
  }
  return acknowledged ? last : undefined;
};

/** Looks at every segment in passing and keeps count of what was read at the end. */
export class Sight {
  readonly #table: OperationTable;
  readonly #owners: Uint32Array;
  readonly #lastNs: number | undefined;
  #dueSectors = 0;
  /** By the place in VIAS. */
  readonly #missed = [0, 0];

  constructor(table: OperationTable, owners: Uint32Array) {
    this.#table = table;
    this.#owners = owners;
    this.#lastNs = lastWriteNs(table);
  }

  see({ entries, from, to, sectors }: SegmentVisit): void {
    const { count, flags } = this.#table;
    const sightings = 4 * count;
    const lastNs = this.#lastNs;
    if (lastNs === undefined) return;
    let index = from;
    let due = false;
    for (; index < to; index++) {
      const tag = entries[index * ENTRY] as number;
      if (tag >= sightings) break;
      if ((tag & REQUIRED) !== 0) due = true;
    }
    if (!due) return;
    let [initiator, backing] = [0, 0];
    // Final reads are the last in the list.
    for (let last = to - 1; last >= index && initiator + backing < 2; last--) {
      if ((entries[last * ENTRY + 1] as number) < lastNs) continue;
      const read = this.#owners[idOf(entries, last) - count] as number;
      if (((flags[read] as number) & BACKING) === 0) initiator = 1;
      else backing = 1;
    }
    this.#dueSectors += sectors;
    this.#missed[0] = (this.#missed[0] ?? 0) + (1 - initiator) * sectors;
    this.#missed[1] = (this.#missed[1] ?? 0) + (1 - backing) * sectors;
  }

  /** Why nothing can be said about the disk; undefined where all was seen. */
  blindness(): string | undefined {
    if (this.#lastNs === undefined) return "No write was acknowledged, so there is nothing to hold the disk to.";
    for (const [place, { how }] of VIAS.entries()) {
      const missed = this.#missed[place] ?? 0;
      if (missed === this.#dueSectors) return `No final read: nothing was read ${how} after the last write was over.`;
      if (missed === 0) continue;
      return `The final read is incomplete: ${missed} of ${plural(this.#dueSectors, "sector")} with acknowledged data were not read ${how} after the last write was over.`;
    }
    return undefined;
  }
}
