/** A set of sectors, as ranges that neither touch nor overlap. Pure. */

export interface SectorRange {
  readonly sector: number;
  readonly sectors: number;
}

/** The same sectors in as few ranges as there can be, in order of address. */
export const union = (ranges: readonly SectorRange[]): readonly SectorRange[] => {
  const joined: { sector: number; sectors: number }[] = [];
  for (const { sector, sectors } of ranges.toSorted((a, b) => a.sector - b.sector)) {
    const last = joined.at(-1);
    if (last === undefined || sector > last.sector + last.sectors) joined.push({ sector, sectors });
    else last.sectors = Math.max(last.sectors, sector + sectors - last.sector);
  }
  return joined;
};

/** The ranges cut into pieces of at most so many sectors. */
export const cut = (ranges: readonly SectorRange[], most: number): readonly SectorRange[] =>
  ranges.flatMap(({ sector, sectors }) =>
    Array.from({ length: Math.ceil(sectors / most) }, (_, index) => ({
      sector: sector + index * most,
      sectors: Math.min(most, sectors - index * most),
    })),
  );
