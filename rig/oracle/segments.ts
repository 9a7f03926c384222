/**
 * Cuts the disk into segments: runs of adjacent sectors that the same operations wrote and read in the same way. What
 * holds for one sector of a segment holds for all, so the register question is asked once a segment, not once a sector.
 */
import type { Extent } from "../history/event.ts";
import type { Operation } from "../history/view.ts";

/** A read and the piece of its content that covers a segment. */
export interface Sighting {
  readonly read: Operation;
  readonly extent: Extent;
}

export interface Segment {
  readonly sector: number;
  readonly sectors: number;
  readonly writes: readonly Operation[];
  readonly sightings: readonly Sighting[];
}

interface Interval {
  readonly begin: number;
  readonly end: number;
  readonly write?: Operation;
  readonly sighting?: Sighting;
}

function* intervalsOf(operations: Iterable<Operation>): Generator<Interval> {
  for (const operation of operations) {
    if (operation.action === "write") {
      yield { begin: operation.sector, end: operation.sector + operation.sectors, write: operation };
    }
    if (operation.action !== "read" || operation.state !== "ok") continue;
    for (const extent of operation.content ?? []) {
      yield { begin: extent.at, end: extent.at + extent.n, sighting: { read: operation, extent } };
    }
  }
}

/** The segments that any write or successful read touched, in the order of their addresses. */
export const segmentsOf = (operations: Iterable<Operation>): Segment[] => {
  const intervals = [...intervalsOf(operations)].filter(({ begin, end }) => begin < end);
  const edges = new Float64Array(new Set(intervals.flatMap(({ begin, end }) => [begin, end]))).sort();
  const places = new Map(Array.from(edges, (edge, index) => [edge, index]));
  const pieces = Array.from(edges.subarray(1), () => ({ writes: [] as Operation[], sightings: [] as Sighting[] }));
  for (const { begin, end, write, sighting } of intervals) {
    for (let place = places.get(begin) ?? 0; place < (places.get(end) ?? 0); place++) {
      if (write !== undefined) pieces[place]?.writes.push(write);
      if (sighting !== undefined) pieces[place]?.sightings.push(sighting);
    }
  }
  return pieces.flatMap(({ writes, sightings }, place) => {
    const sector = edges[place] ?? 0;
    const sectors = (edges[place + 1] ?? 0) - sector;
    return writes.length === 0 && sightings.length === 0 ? [] : [{ sector, sectors, writes, sightings }];
  });
};
