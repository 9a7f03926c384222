/** The disk cut into segments, at once or in parts: who belongs to which. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRng } from "../core/rng.ts";
import { ACTION, OperationTable, STATE } from "../history/operations.ts";
import { judgeIntegrity } from "./integrity.ts";
import { ENTRY, eachSegment, idOf, ownersOf, type SegmentLimits } from "./segments.ts";
import { HistoryBuilder, written } from "./testdata/history-builder.ts";
import { legalEvents } from "./testdata/legal-histories.ts";

const ALL = new Uint8Array(256).fill(1);

/** A table of writes, or of reads that found zeros, at these addresses. */
const tableOf = (spans: readonly { read: boolean; sector: number; sectors: number }[]): OperationTable => {
  const table = new OperationTable();
  spans.forEach(({ read, sector, sectors }, index) => {
    const from = table.contents.count;
    if (read) table.contents.addPlain(sector, sectors, 0, 0);
    table.invoke(index + 1, read ? ACTION.read : ACTION.write, 0, 0, sector, sectors, 0, index, 2 * index + 2);
    table.answer(index + 1, STATE.ok, index + 0.5, 2 * index + 3, from, table.contents.count - from);
  });
  return table;
};

/** Who touched each sector, by number: writers first. */
const touched = (table: OperationTable, limits: SegmentLimits): Map<number, number[]> => {
  const owners = ownersOf(table);
  const found = new Map<number, number[]>();
  eachSegment(
    table,
    ALL,
    ({ sector, sectors, entries, from, to }) => {
      const own: number[] = [];
      for (let index = from; index < to; index++) {
        const id = idOf(entries, index);
        const row = id < table.count ? id : (owners[id - table.count] ?? 0);
        expect(entries[index * ENTRY + 1]).toBe(table.invokeNs[row]);
        own.push(row + 1);
      }
      for (let at = sector; at < sector + sectors; at++) found.set(at, own);
    },
    limits,
  );
  return found;
};

const span = fc.record({ read: fc.boolean(), sector: fc.nat(200), sectors: fc.nat(70) });

describe("segments", () => {
  test.each<[string, SegmentLimits]>([
    ["at once", {}],
    ["stretch by stretch", { stretch: 32 }],
    ["few entries at a time", { entries: 3 }],
    ["both", { stretch: 64, entries: 1 }],
  ])("every sector has those that touched it, %s", (_name, limits) => {
    fc.assert(
      fc.property(fc.array(span, { maxLength: 12 }), spans => {
        const found = touched(tableOf(spans), limits);
        for (let at = 0; at < 280; at++) {
          const here = spans.flatMap(({ read, sector, sectors }, index) =>
            at >= sector && at < sector + sectors ? [{ read, op: index + 1 }] : [],
          );
          const expected = [...here.filter(({ read }) => !read), ...here.filter(({ read }) => read)];
          expect(found.get(at) ?? []).toEqual(expected.map(({ op }) => op));
        }
      }),
      { numRuns: 150 },
    );
  });

  test("at the end of a disk of two terabytes", () => {
    const found = touched(tableOf([{ read: false, sector: 2 ** 32 - 8, sectors: 8 }]), {});
    expect([...found.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 8 }, (_, i) => 2 ** 32 - 8 + i));
  });
});

test("the judgement is the same in parts", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const events = legalEvents(createRng(seed));
    const last = events.findLast(event => event.kind === "ok");
    const history = new HistoryBuilder()
      .add(...events.map(event => (event === last ? { ...event, content: [written(1, 0, 6)] } : event)))
      .build();
    expect(judgeIntegrity(history, { stretch: 32, entries: 2 })).toEqual(judgeIntegrity(history));
  }
});
