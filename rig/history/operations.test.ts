import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ACTION, BACKING, Contents, EXTENT, FUA, MAX_SECTOR, OperationTable, STATE } from "./operations.ts";

const write = (table: OperationTable, op: number, t = 10, line = op + 1): boolean =>
  table.invoke(op, ACTION.write, 0, 0, op * 8, 8, 0, t, line);

describe("the table of operations", () => {
  test("gives back an operation as it was put in", () => {
    const table = new OperationTable();
    table.invoke(1, ACTION.read, FUA | BACKING, 7, MAX_SECTOR, 8, table.labelId("x"), 10.5e9, 3);
    expect(table.get(1)).toEqual({
      op: 1,
      action: "read",
      via: "backing",
      device: 7,
      sector: MAX_SECTOR,
      sectors: 8,
      fua: true,
      label: "x",
      invokeNs: 10.5e9,
      invokeLine: 3,
      state: "unanswered",
      doneNs: Number.POSITIVE_INFINITY,
      doneLine: undefined,
      error: undefined,
      content: undefined,
    });
    table.contents.add({ is: "zero", at: MAX_SECTOR, n: 8 });
    expect(table.answer(1, STATE.ok, 11e9, 4, 0, 1)).toBeUndefined();
    expect(table.get(1)).toMatchObject({ state: "ok", doneNs: 11e9, doneLine: 4 });
    expect(table.get(1)?.content).toEqual([{ is: "zero", at: MAX_SECTOR, n: 8 }]);
  });

  test("holds many, and none that was not invoked", () => {
    const table = new OperationTable();
    for (let op = 1; op <= 1000; op++) expect(write(table, op)).toBe(true);
    expect(write(table, 2000)).toBe(true);
    expect(table.count).toBe(2000);
    expect([...table].map(({ op }) => op)).toEqual([...Array.from({ length: 1000 }, (_, i) => i + 1), 2000]);
    expect([table.get(0), table.get(1500), table.get(2001), table.get(-1)]).toEqual(Array(4).fill(undefined));
    expect(write(table, 1500)).toBe(true);
    expect(table.get(1500)).toMatchObject({ sector: 12_000, state: "unanswered" });
  });

  test("bounds what may be missing in all, not between two", () => {
    const table = new OperationTable();
    expect([write(table, 40_000), write(table, 60_000), write(table, 80_000)]).toEqual([true, true, false]);
    expect(table.count).toBe(60_000);
  });

  test.each([
    ["number 0", 0, 8, 8, 0],
    ["a negative number", -1, 8, 8, 0],
    ["a number that was used", 1, 8, 8, 0],
    ["a number far beyond", 5_000_000, 8, 8, 0],
    ["an address beyond the last", 2, MAX_SECTOR + 1, 8, 0],
    ["a size beyond the largest", 2, 8, MAX_SECTOR + 1, 0],
    ["a device beyond the last", 2, 8, 8, 256],
  ])("refuses an invocation with %s", (_name, op, sector, sectors, device) => {
    const table = new OperationTable();
    write(table, 1);
    expect(table.invoke(op, ACTION.write, 0, device, sector, sectors, 0, 1, 1)).toBe(false);
    expect(table.count).toBe(1);
  });

  test("says what is wrong with an answer, and does not take it", () => {
    const table = new OperationTable();
    write(table, 1);
    write(table, 3);
    expect(table.answer(1, STATE.ok, 9, 5)).toBe("answers operation 1 before its invocation");
    expect(table.answer(2, STATE.ok, 20, 5)).toBe("answers operation 2, which was never invoked");
    expect(table.answer(4, STATE.ok, 20, 5)).toBe("answers operation 4, which was never invoked");
    expect(table.answer(0, STATE.ok, 20, 5)).toBe("answers operation 0, which was never invoked");
    expect(table.answer(1, STATE.fail, 10, 5)).toBeUndefined();
    expect(table.answer(1, STATE.ok, 11, 6)).toBe("answers operation 1 a second time");
    expect(table.get(1)).toMatchObject({ state: "fail", doneNs: 10, doneLine: 5 });
    expect(table.get(3)).toMatchObject({ state: "unanswered" });
  });

  test("tells labels apart, the empty one from none, until there are too many", () => {
    const table = new OperationTable();
    expect(table.labelId(undefined)).toBe(0);
    const empty = table.labelId("");
    expect(empty).toBeGreaterThan(0);
    expect(table.labelId("")).toBe(empty);
    table.invoke(1, ACTION.write, 0, 0, 0, 1, empty, 0, 2);
    expect(table.get(1)?.label).toBe("");
    for (let i = 0; i < 70_000; i++) table.labelId(`label ${i}`);
    expect(table.labelId("one more")).toBe(0);
    expect(table.labels.length).toBe(0x1_0000);
  });
});

describe("contents", () => {
  const count = fc.nat(MAX_SECTOR);
  const extent = fc.oneof(
    fc.record({
      is: fc.constant("write" as const),
      at: count,
      n: count,
      op: fc.integer({ min: 1, max: 1e6 }),
      i: count,
    }),
    fc.record({ is: fc.constant("zero" as const), at: count, n: count }),
    fc.record({ is: fc.constant("elsewhere" as const), at: count, n: count, op: count, i: count, address: count }),
    fc.record({ is: fc.constant("foreign" as const), at: count, n: count, head: fc.string() }),
    fc.record({
      is: fc.constant("damaged" as const),
      at: count,
      n: fc.constant(1 as const),
      op: count,
      i: count,
      badFrom: fc.nat(512),
      head: fc.string(),
    }),
  );

  test("give back every extent as it was put in", () => {
    fc.assert(
      fc.property(fc.array(extent, { maxLength: 200 }), extents => {
        const contents = new Contents();
        for (const one of extents) contents.add(one);
        expect(extents.map((_, row) => contents.get(row))).toEqual(extents);
        expect(extents.map(({ is }) => EXTENT[is])).toEqual([...contents.is.subarray(0, contents.count)]);
      }),
    );
  });

  test("take the commonest extents as numbers", () => {
    const contents = new Contents();
    contents.addPlain(64, 8, 5, 2);
    contents.addPlain(72, 8, 0, 0);
    expect([contents.get(0), contents.get(1)]).toEqual([
      { is: "write", at: 64, n: 8, op: 5, i: 2 },
      { is: "zero", at: 72, n: 8 },
    ]);
  });
});
