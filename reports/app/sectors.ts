/**
 * What every sector holds at the end, and what it should hold. "Holds" is the last read of each sector, seen through the
 * initiator and from the target's backing device; "should hold" is what the findings say where they object, and what was
 * found where they do not. The page judges nothing: a sector is bad only if a finding names it.
 */
import type { Extent } from "../../rig/history/extent.ts";
import type { BadExtent, Finding } from "../../rig/oracle/finding.ts";
import { nameOf, type Operation } from "./operations.ts";

export type Via = "initiator" | "backing";
export const VIAS = ["initiator", "backing"] as const satisfies readonly Via[];

export const VIA_WORDS: Readonly<Record<Via, string>> = {
  initiator: "read through the initiator",
  backing: "read from the target's backing device",
};

export interface Square {
  readonly sector: number;
  readonly holds: string;
  readonly shouldHold: string;
  readonly bad: boolean;
}

export interface SectorView {
  /** Through which ends this is what was read; both where they agree. */
  readonly vias: readonly Via[];
  readonly lun: number;
  readonly squares: readonly Square[];
  readonly badCount: number;
}

export interface SectorPicture {
  readonly views: readonly SectorView[];
  /** All names of data in order of first writing: the order in which colours are given. */
  readonly names: readonly string[];
}

/** A history may cover a whole disk; the picture has a limit and says so. */
export const MAX_SQUARES = 16_384;

const ZERO = "zeros";
const UNREAD = "not read";

const contentName = (extent: Extent, operations: ReadonlyMap<number, Operation>): string => {
  const writer = (op: number): string => {
    const operation = operations.get(op);
    return operation === undefined ? `operation ${String(op)}` : nameOf(operation);
  };
  switch (extent.is) {
    case "write":
      return writer(extent.op);
    case "zero":
      return ZERO;
    case "elsewhere":
      return `${writer(extent.op)}, from elsewhere`;
    case "damaged":
      return `${writer(extent.op)}, damaged`;
    case "foreign":
      return "foreign bytes";
  }
};

/** A finding names the LUN where it is not the first. */
export const lunOf = (extent: BadExtent): number => extent.lun ?? 0;

const lastReads = (operations: ReadonlyMap<number, Operation>, via: Via, lun: number): Map<number, string> => {
  const reads = [...operations.values()].filter(
    o => o.action === "read" && o.via === via && o.lun === lun && o.content !== undefined,
  );
  reads.sort((a, b) => (a.to ?? 0) - (b.to ?? 0));
  const holds = new Map<number, string>();
  for (const read of reads) {
    for (const extent of read.content ?? []) {
      const name = contentName(extent, operations);
      for (let i = 0; i < extent.n && holds.size < MAX_SQUARES; i += 1) holds.set(extent.at + i, name);
    }
  }
  return holds;
};

const badSectors = (findings: readonly Finding[], via: Via, lun: number): Map<number, BadExtent> => {
  const bad = new Map<number, BadExtent>();
  for (const extent of findings.flatMap(f => f.extents ?? [])) {
    if (extent.via !== via || lunOf(extent) !== lun) continue;
    for (let i = 0; i < extent.sectors && bad.size < MAX_SQUARES; i += 1) bad.set(extent.sector + i, extent);
  }
  return bad;
};

export const expectedWords = (extent: BadExtent): string =>
  [...new Set(extent.expected.map(e => e.label))].join(" or ") || "nothing that was written";

const viewOf = (
  operations: ReadonlyMap<number, Operation>,
  findings: readonly Finding[],
  via: Via,
  lun: number,
): SectorView => {
  const holds = lastReads(operations, via, lun);
  const bad = badSectors(findings, via, lun);
  const sectors = [...new Set([...holds.keys(), ...bad.keys()])].sort((a, b) => a - b);
  const squares = sectors.map(sector => {
    const extent = bad.get(sector);
    const found = holds.get(sector) ?? extent?.found.label ?? UNREAD;
    return extent === undefined
      ? { sector, holds: found, shouldHold: found, bad: false }
      : { sector, holds: found, shouldHold: expectedWords(extent), bad: true };
  });
  return { vias: [via], lun, squares, badCount: bad.size };
};

const same = (a: SectorView, b: SectorView): boolean =>
  a.squares.length === b.squares.length &&
  a.squares.every((square, i) => {
    const other = b.squares[i];
    return other?.sector === square.sector && other.holds === square.holds && other.shouldHold === square.shouldHold;
  });

/** The disk as both ends show it: one view where they agree. */
const viewsOf = (
  operations: ReadonlyMap<number, Operation>,
  findings: readonly Finding[],
  lun: number,
): readonly SectorView[] => {
  const all = VIAS.map(via => viewOf(operations, findings, via, lun)).filter(view => view.squares.length > 0);
  const [first, second] = all;
  return first !== undefined && second !== undefined && same(first, second) ? [{ ...first, vias: [...VIAS] }] : all;
};

export const sectorPicture = (
  operations: ReadonlyMap<number, Operation>,
  findings: readonly Finding[],
): SectorPicture => {
  const read = [...operations.values()].filter(o => o.action === "read").map(o => o.lun);
  const luns = new Set([...read, ...findings.flatMap(f => (f.extents ?? []).map(lunOf))]);
  const views = [...luns].sort((a, b) => a - b).flatMap(lun => viewsOf(operations, findings, lun));
  const present = new Set(views.flatMap(v => v.squares.flatMap(s => [s.shouldHold, s.holds])));
  const written = [...operations.values()].filter(o => o.action === "write").map(nameOf);
  const names = [...new Set(written)].filter(name => present.has(name));
  return { views, names: [...names, ...[...present].filter(name => !names.includes(name)).sort()] };
};
