/**
 * A segment as a register with values that are told apart: what every read saw, or why it is no value at all. This is the
 * patient look at a segment in which something may be wrong; it makes objects, which the quick look does not.
 */
import type { Extent } from "../history/extent.ts";
import { ACTION, FUA, type OperationTable, STATE } from "../history/operations.ts";
import { countBelow } from "./diagnosis-zones.ts";
import { INITIAL, type RegisterRead } from "./register.ts";
import type { Cut, CutWrite } from "./register-holdings.ts";
import { idOf, type SegmentVisit } from "./segments.ts";

type Damaged = Extract<Extent, { is: "damaged" }>;
type Stamped = Extract<Extent, { is: "elsewhere" | "write" }>;

/** A flush that was completed. */
export interface Flush {
  readonly op: number;
  readonly startNs: number;
  readonly endNs: number;
}

/** One disk: the devices of one LUN. */
export interface Disk {
  /** Undefined where the history declares no devices: there is but one disk. */
  readonly lun: number | undefined;
  /** 1 for every device that is this disk. */
  readonly devices: Uint8Array;
  /** The power cuts that may have cost it data: none where its cache is not volatile. */
  readonly cuts: readonly Cut[];
  readonly flushes: readonly Flush[];
}

/** Why a sector's content is no value of a register. Numbers are those of operations. */
export type ContentProof =
  | { readonly kind: "torn"; readonly extent: Damaged; readonly found: number }
  /** `extent` is of the kind `write` where it stands at its address, but on a disk that is not its own. */
  | { readonly kind: "misdirected"; readonly extent: Stamped; readonly found: number }
  | { readonly kind: "early"; readonly found: number }
  | { readonly kind: "foreign"; readonly extent: Extent };

export interface WrongContent {
  readonly read: { readonly id: number; readonly startNs: number; readonly endNs: number };
  readonly proof: ContentProof;
}

export interface Register {
  /** Writes of data that names its write. */
  readonly uniques: CutWrite[];
  /** Write-zeroes, and discards, which may or may not leave zeros. */
  readonly zeroers: CutWrite[];
  /** Those of zeros are of INITIAL. */
  readonly reads: RegisterRead[];
  readonly wrong: WrongContent[];
}

const writeOf = (table: OperationTable, row: number): CutWrite => ({
  id: row + 1,
  startNs: table.invokeNs[row] as number,
  endNs: table.doneNs[row] as number,
  required: table.state[row] === STATE.ok && table.action[row] !== ACTION.discard,
  fua: ((table.flags[row] as number) & FUA) !== 0,
});

/** What an extent says about a sector of the segment: a value, or why it is none. */
const valueOf = (
  table: OperationTable,
  disk: Disk,
  extent: Extent,
  sector: number,
  byNs: number,
): number | ContentProof => {
  if (extent.is === "zero") return INITIAL;
  if (extent.is === "foreign") return { kind: "foreign", extent };
  const row = extent.op - 1;
  if (table.action[row] !== ACTION.write) return { kind: "foreign", extent };
  if ((table.invokeNs[row] as number) > byNs) return { kind: "early", found: extent.op };
  if (extent.is === "damaged") return { kind: "torn", extent, found: extent.op };
  const strange = disk.devices[table.device[row] as number] === 0;
  if (extent.is === "elsewhere" || strange) return { kind: "misdirected", extent, found: extent.op };
  const first = table.sector[row] as number;
  const inside = sector >= first && sector < first + (table.sectors[row] as number);
  return inside && extent.at - extent.i === first ? extent.op : { kind: "foreign", extent };
};

/** @param owners the row of the read that each row of `contents` belongs to. */
export const registerOf = (table: OperationTable, owners: Uint32Array, disk: Disk, segment: SegmentVisit): Register => {
  const register: Register = { uniques: [], zeroers: [], reads: [], wrong: [] };
  for (let index = segment.from; index < segment.to; index++) {
    const id = idOf(segment.entries, index);
    if (id < table.count) {
      const kind = table.action[id] === ACTION.write ? register.uniques : register.zeroers;
      kind.push(writeOf(table, id));
      continue;
    }
    const row = owners[id - table.count] as number;
    const read = { id: row + 1, startNs: table.invokeNs[row] as number, endNs: table.doneNs[row] as number };
    const value = valueOf(table, disk, table.contents.get(id - table.count), segment.sector, read.endNs);
    if (typeof value === "number") register.reads.push({ ...read, of: value });
    else register.wrong.push({ read, proof: value });
  }
  return register;
};

/** Who saw which value when, of one register. */
export class Sights {
  /** By value, in the order of the answers. */
  readonly #seen: ReadonlyMap<number, { readonly reads: readonly RegisterRead[]; readonly ends: readonly number[] }>;

  constructor(reads: readonly RegisterRead[]) {
    const sorted = [...reads].sort((a, b) => a.endNs - b.endNs);
    const groups = [...Map.groupBy(sorted, ({ of }) => of)];
    this.#seen = new Map(groups.map(([value, own]) => [value, { reads: own, ends: own.map(({ endNs }) => endNs) }]));
  }

  /** Whether any read saw it. */
  has(value: number): boolean {
    return this.#seen.has(value);
  }

  /** The number of the first read that began after `afterNs`, was answered before `beforeNs` and saw the value in place. */
  first(value: number, afterNs: number, beforeNs: number): number | undefined {
    const { reads = [], ends = [] } = this.#seen.get(value) ?? {};
    for (let place = countBelow(ends, afterNs); place < reads.length; place++) {
      const read = reads[place] as RegisterRead;
      if (read.endNs >= beforeNs) return undefined;
      if (read.startNs > afterNs) return read.id;
    }
    return undefined;
  }
}
