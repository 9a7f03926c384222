/**
 * A read's content in a compact line: `op,i,n` for each run of adjacent sectors, shortened at the end (see compact.ts). Most
 * are numbers alone and go into the table as they are; those with objects among them become extents first.
 */
import { type Extent, extentSchema } from "./extent.ts";
import { type Contents, MAX_SECTOR } from "./operations.ts";

/** How many extents so many numbers are. */
export const plainRows = (numbers: number): number => Math.ceil(numbers / 3);

/** Whether `fields[from..to)` can be the content of a read of the sectors from `at` up to `end`: those, and no others. */
export const isPlain = (fields: readonly number[], from: number, to: number, at: number, end: number): boolean => {
  let sector = at;
  for (let index = from; index < to; index++) {
    const value = fields[index] ?? 0;
    if (value < 0 || value > MAX_SECTOR) return false;
    const place = (index - from) % 3;
    if (place === 1 && value !== 0 && fields[index - 1] === 0) return false;
    if (place === 2) sector += value;
    if (sector > end) return false;
  }
  return (to - from) % 3 !== 0 || sector === end;
};

/** Adds the extents of such content, which must be what `isPlain` takes. */
export const addPlain = (
  contents: Contents,
  fields: readonly number[],
  from: number,
  to: number,
  at: number,
  end: number,
): void => {
  let sector = at;
  for (let index = from; index < to; index += 3) {
    const n = index + 2 < to ? (fields[index + 2] ?? 0) : end - sector;
    contents.addPlain(sector, n, fields[index] ?? 0, index + 1 < to ? (fields[index + 1] ?? 0) : 0);
    sector += n;
  }
};

/** Whether extents are of the sectors from `at` up to `end`, one after the other, and no others. */
export const covers = (extents: readonly Extent[], at: number, end: number): boolean => {
  let sector = at;
  for (const extent of extents) {
    if (extent.at !== sector) return false;
    sector += extent.n;
  }
  return sector === end;
};

/** The extents of content with objects among the numbers; undefined where it cannot be. */
export const extentsOf = (tokens: readonly unknown[], at: number, end: number): Extent[] | undefined => {
  const extents: Extent[] = [];
  let hasPlain = false;
  let sector = at;
  for (let index = 0; index < tokens.length; ) {
    const isObject = typeof tokens[index] === "object";
    const next = isObject ? index + 1 : Math.min(index + 3, tokens.length);
    const parsed = extentSchema.safeParse(isObject ? tokens[index] : plainOf(tokens.slice(index, next), sector, end));
    if (!parsed.success) return undefined;
    extents.push(parsed.data);
    hasPlain ||= !isObject;
    sector = parsed.data.at + parsed.data.n;
    index = next;
  }
  return hasPlain && !covers(extents, at, end) ? undefined : extents;
};

const plainOf = ([op, i = 0, n]: readonly unknown[], at: number, end: number): unknown => {
  const length = n ?? end - at;
  return op === 0 ? { is: "zero", at, n: length } : { is: "write", at, n: length, op, i };
};
