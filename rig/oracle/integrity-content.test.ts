/**
 * Integrity beyond order: sectors that hold no legal value at all, reads that got nothing, and histories in which there
 * was too little to see.
 */
import { describe, expect, test } from "vitest";
import { readExtents, runTag, stampWrite } from "../workload/stamp.ts";
import { integrityOracle } from "./integrity.ts";
import { HistoryBuilder, written, zeros } from "./testdata/history-builder.ts";

const judge = (builder: HistoryBuilder) => integrityOracle.judge(builder.build());
const only = (builder: HistoryBuilder) => {
  const { findings } = judge(builder);
  expect(findings.map(finding => finding.class)).toHaveLength(1);
  return findings[0] as (typeof findings)[number];
};
const run = runTag("run");
const twoWrites = () =>
  new HistoryBuilder()
    .write(1, { at: 1, ok: 2, sectors: 8, label: "generation 1" })
    .write(2, { at: 3, ok: 4, sectors: 8, label: "generation 2" });

describe("torn", () => {
  test("a sector of two writes, with the other write named", () => {
    const bytes = stampWrite({ run, op: 2, sector: 0, sectors: 8 });
    stampWrite({ run, op: 1, sector: 0, sectors: 8 }).copy(bytes, 3 * 512 + 200, 3 * 512 + 200, 4 * 512);
    const finding = only(twoWrites().readBack(10, 5, readExtents(bytes, 0, run)));
    expect(finding).toMatchObject({ class: "torn", title: "sector made of parts of different writes" });
    expect(finding.explanation).toContain("It begins as sector 3 of write 2 (generation 2)");
    expect(finding.explanation).toMatch(
      /from byte 20\d of 512 it is the data of write 1 \(generation 1\) for sector 3/,
    );
    expect(finding.extents?.[0]).toMatchObject({ sector: 3, sectors: 1, expected: [{ op: 2 }], found: { op: 2 } });
  });

  test("a sector that nobody finished", () => {
    const bytes = stampWrite({ run, op: 2, sector: 0, sectors: 8 });
    bytes.fill(0, 512 + 256, 1024);
    const finding = only(twoWrites().readBack(10, 5, readExtents(bytes, 0, run)));
    expect(finding.class).toBe("torn");
    expect(finding.explanation).toContain("something that no write of this cell put there");
  });
});

describe("misdirected", () => {
  test("a write's data at another address, as one extent", () => {
    const builder = twoWrites()
      .write(3, { at: 1, ok: 2, sector: 100, sectors: 8, label: "generation 1" })
      .readBack(10, 5, [written(2, 0, 8)])
      .readBack(12, 6, [{ is: "elsewhere", at: 100, n: 8, op: 2, i: 0, address: 0 }]);
    const finding = only(builder);
    expect(finding).toMatchObject({ class: "misdirected", title: "data at the wrong address" });
    expect(finding.explanation).toContain("put it at sector 0; here it is 100 sectors from home");
    expect(finding.extents?.[0]).toMatchObject({
      sector: 100,
      sectors: 8,
      expected: [{ op: 3, label: "generation 1" }],
      found: { op: 2, label: "generation 2 of sector 0" },
    });
  });
});

describe("foreign", () => {
  test.each([
    ["bytes without a stamp", { is: "foreign" as const, at: 0, n: 8, head: "6b".repeat(64) }, "no stamp of the ledger"],
    ["another run's data", { is: "foreign" as const, at: 0, n: 8, head: "00", otherRun: true }, "another run"],
    ["an operation that never was", written(77, 0, 8), "names operation 77, but no write of that number"],
    ["a sector that the write did not write", written(1, 0, 8, 4), "names operation 1, but"],
    [
      "a damaged sector of an operation that never was",
      { is: "damaged" as const, at: 0, n: 1 as const, op: 77, i: 0, badFrom: 9, head: "" },
      "names operation 77",
    ],
  ])("%s", (_name, extent, words) => {
    const finding = only(twoWrites().read(9, { at: 5, ok: 6, sectors: extent.n, content: [extent] }));
    expect(finding).toMatchObject({ class: "foreign", title: "data that no operation wrote" });
    expect(finding.explanation).toContain(words);
  });

  test("a write read before it was invoked", () => {
    const finding = only(
      new HistoryBuilder().read(1, { at: 1, ok: 2, content: [written(2)] }).write(2, { at: 3, ok: 4 }),
    );
    expect(finding).toMatchObject({ class: "early", title: "data read before it was written" });
    expect(finding.explanation).toContain(
      "Write 2 was invoked only at 3.000 s: its data was read before it was written",
    );
  });

  test("sectors before and after those that the write wrote", () => {
    const builder = () => new HistoryBuilder().write(1, { at: 1, ok: 2, sector: 10, sectors: 4 });
    const at = (sector: number, i: number) =>
      builder().read(2, { at: 3, ok: 4, sector, content: [written(1, sector, 1, i)] });
    expect(judge(at(13, 3)).findings).toEqual([]);
    expect(only(at(14, 4)).class).toBe("foreign");
    expect(only(at(9, 0)).class).toBe("foreign");
  });

  test("the number of a read", () => {
    expect(only(twoWrites().readBack(10, 5, [written(10, 0, 8)])).class).toBe("foreign");
  });
});

describe("unreadable", () => {
  const good = () =>
    twoWrites()
      .fault("path-drop:a#1", 3, 6)
      .readBack(10, 8, [written(2, 0, 8)]);

  test("a read of the final read-back that failed", () => {
    const finding = only(good().phase("read-back", 8, 11).read(20, { at: 9, fail: 10, sectors: 8 }));
    expect(finding).toMatchObject({ class: "unreadable", title: "sectors unreadable in the final read-back" });
    expect(finding.explanation).toBe(
      'Read 20 of sectors 0 to 7 through the initiator, invoked at 9.000 s, failed at 10.000 s with "Input/output ' +
        'error", 3.900 s after path-drop:a#1 was healed. It belongs to the final read-back.',
    );
  });

  test("not a read before that, healed or not: whether that may fail is for the errors oracle to say", () => {
    for (const at of [4, 6, 7])
      expect(
        judge(
          good()
            .phase("read-back", 8, 11)
            .read(20, { at, fail: at + 0.5 }),
        ).findings,
      ).toEqual([]);
    expect(judge(good().read(20, { at: 9, fail: 10 })).findings).toEqual([]);
  });

  test("a read of the final read-back that failed or was never answered", () => {
    const builder = good().fault("kill#1", 7).phase("read-back", 11, 20);
    expect(only(builder.read(20, { at: 12, fail: 13 })).class).toBe("unreadable");
    const finding = only(good().phase("read-back", 11, 20).read(21, { at: 12 }));
    expect(finding.explanation).toContain("was never answered");
  });

  test("not one through an initiator that died, which has a cause of its own", () => {
    const died = (at: number) => good().add({ kind: "node", t: at * 1e9, node: "initiator", state: "off" });
    expect(judge(died(10.5).phase("read-back", 11, 20).read(21, { at: 12 })).findings).toEqual([]);
    expect(judge(died(12.5).phase("read-back", 11, 20).read(21, { at: 12 })).findings).toEqual([]);
    // That of a restore that failed was another's death.
    const restored = died(0.5).phase("open", 0.6, 0.7).phase("read-back", 11, 20);
    expect(only(restored.read(21, { at: 12 })).class).toBe("unreadable");
    // It failed before; and a lab that is taken down afterwards has not died.
    expect(only(died(13.5).phase("read-back", 11, 20).read(20, { at: 12, fail: 13 })).class).toBe("unreadable");
    expect(only(died(21).phase("read-back", 11, 20).read(21, { at: 12 })).class).toBe("unreadable");
  });

  test("not one that the end of the rig's own connection left without an answer: that leaves the oracle blind", () => {
    const unanswered = (device?: number) =>
      good()
        .phase("read-back", 7.5, 20)
        .add({ kind: "disconnect", t: 7e9, why: "the server closed it", ...(device === undefined ? {} : { device }) })
        .read(21, { at: 12 });
    for (const device of [undefined, 0]) {
      const { findings, blind } = judge(unanswered(device));
      expect(findings).toEqual([]);
      expect(blind).toContain("Read 21 of the read-back got no answer, for the rig's own connection");
      expect(blind).toContain("had ended at 7.000 s: the server closed it.");
    }
    expect(only(unanswered(3)).class).toBe("unreadable");
  });

  test("not an unanswered read outside it: that is the hang oracle's", () => {
    expect(judge(good().read(21, { at: 12 })).findings).toEqual([]);
  });
});

describe("blind", () => {
  test("where no write was acknowledged", () => {
    const builder = new HistoryBuilder().write(1, { at: 1 }).readBack(2, 3, [zeros()]);
    expect(judge(builder).findings).toEqual([]);
    expect(judge(builder).blind).toContain("No write was acknowledged");
  });

  test.each([
    ["initiator" as const, "from the target's backing device"],
    ["backing" as const, "through the initiator"],
  ])("where only %s was read after the last write", (via, missing) => {
    const builder = twoWrites().read(9, { at: 5, ok: 6, sectors: 8, via, content: [written(2, 0, 8)] });
    expect(judge(builder).blind).toContain(`nothing was read ${missing}`);
  });

  test("where a write was still under way when the disk was read", () => {
    const builder = twoWrites()
      .write(3, { at: 4, ok: 9, sector: 50 })
      .readBack(10, 5, [written(2, 0, 8)]);
    expect(judge(builder).blind).toContain("No final read");
  });

  test("where the read did not say what it found, or failed", () => {
    const builder = twoWrites()
      .fault("x#1", 1)
      .read(9, { at: 5, ok: 6, sectors: 8 })
      .read(10, { at: 5, fail: 6, via: "backing" });
    expect(judge(builder).blind).toContain("No final read");
  });

  test("where only part of what was written was read", () => {
    const builder = twoWrites().readBack(10, 5, [written(2, 0, 5)]);
    expect(judge(builder).blind).toContain("3 of 8 sectors with acknowledged data were not read through the initiator");
  });

  test("where an acknowledged write was not read back, whatever else was not acknowledged", () => {
    const builder = twoWrites()
      .write(3, { at: 1, ok: 2, sector: 50 })
      .write(4, { at: 3, sector: 50 })
      .write(5, { at: 3, sector: 60 })
      .readBack(10, 5, [written(2, 0, 8)]);
    expect(judge(builder).blind).toContain("1 of 9 sectors");
  });

  test("does not hide what was found", () => {
    const { findings, blind } = judge(twoWrites().read(9, { at: 5, ok: 6, content: [written(1)] }));
    expect(findings).toHaveLength(1);
    expect(blind).toBeDefined();
  });
});
