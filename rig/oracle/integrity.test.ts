import { describe, expect, test } from "vitest";
import { findingSchema } from "./finding.ts";
import { integrityOracle } from "./integrity.ts";
import { MAX_EXTENTS } from "./integrity-runs.ts";
import { HistoryBuilder, written, zeros } from "./testdata/history-builder.ts";

const judge = (builder: HistoryBuilder) => {
  const judgement = integrityOracle.judge(builder.build());
  for (const finding of judgement.findings) findingSchema.parse(finding);
  return judgement;
};
const only = (builder: HistoryBuilder) => {
  const { findings } = judge(builder);
  expect(findings.map(finding => finding.class)).toHaveLength(1);
  return findings[0] as (typeof findings)[number];
};

/** Generation 1 and 2 of one slot of eight sectors, the second acknowledged while a fault was on. */
const twoGenerations = () =>
  new HistoryBuilder()
    .write(1, { at: 1, ok: 2, sectors: 8, label: "generation 1" })
    .fault("path-drop:a#1", 3, 8)
    .write(2, { at: 4, ok: 5, sectors: 8, label: "generation 2" });

describe("a disk that keeps its promise", () => {
  test("is not blamed", () => {
    expect(judge(twoGenerations().readBack(10, 20, [written(2, 0, 8)]))).toEqual({ findings: [] });
  });

  test("may hold an unanswered write, or not", () => {
    const unanswered = () => twoGenerations().write(3, { at: 6, sectors: 8 });
    expect(judge(unanswered().readBack(10, 20, [written(2, 0, 8)])).findings).toEqual([]);
    expect(judge(unanswered().readBack(10, 20, [written(3, 0, 8)])).findings).toEqual([]);
    expect(judge(unanswered().readBack(10, 20, [written(3, 0, 4), written(2, 4, 4, 4)])).findings).toEqual([]);
  });
});

describe("stale", () => {
  const stale = () =>
    twoGenerations()
      .read(3, { at: 6, ok: 6.5, sectors: 8, via: "backing", content: [written(2, 0, 8)] })
      .readBack(10, 11, [written(1, 0, 8)]);

  test("older data that came over newer data which had been read back", () => {
    const finding = only(stale());
    expect(finding).toMatchObject({
      oracle: "integrity",
      class: "stale",
      title: "older data over newer acknowledged data",
    });
    expect(finding.explanation).toBe(
      "Sectors 0 to 7 held the data of write 1 (generation 1), invoked at 1.000 s and acknowledged at 2.000 s, when " +
        "read 10 through the initiator was answered at 11.100 s, 3.000 s after path-drop:a#1 was healed. " +
        "Write 2 (generation 2) was invoked at 4.000 s, after that, and acknowledged at 5.000 s, and read 3 from the " +
        "target's backing device found its data there at 6.500 s: it was in place, and the older data came over it. " +
        "Legal there: write 2 (generation 2), acknowledged at 5.000 s and not certainly replaced since. In all, 2 reads found this in 2 runs of sectors, 16 sectors together.",
    );
    expect(finding.extents).toEqual([
      {
        sector: 0,
        sectors: 8,
        via: "initiator",
        expected: [{ op: 2, label: "generation 2", why: "acknowledged at 5.000 s and not certainly replaced since" }],
        found: { op: 1, label: "generation 1" },
      },
      expect.objectContaining({ via: "backing" }),
    ]);
  });

  test("its lines point at the read, both writes, the proof and the healing", () => {
    const history = stale().build();
    const [finding] = integrityOracle.judge(history).findings;
    const kinds = finding?.lines.map(line => {
      const operation = [...history.operations].find(o => o.invokeLine === line || o.doneLine === line);
      if (operation !== undefined) return `${operation.invokeLine === line ? "invoke" : "ok"} ${operation.op}`;
      return history.events[history.lines.indexOf(line)]?.kind;
    });
    expect(kinds).toEqual(["ok 10", "invoke 1", "ok 1", "invoke 2", "ok 2", "ok 3", "fault"]);
  });

  test("two newer writes gone at once are not two lost writes", () => {
    const builder = twoGenerations()
      .write(3, { at: 6, ok: 7, sectors: 8 })
      .readBack(10, 11, [written(1, 0, 8)]);
    expect(only(builder).class).toBe("stale");
    expect(only(builder).explanation).toContain("2 newer writes are gone at once");
  });

  test("a write whose data was replaced and came again after its acknowledgement", () => {
    const builder = new HistoryBuilder()
      .write(1, { at: 1, ok: 5.5, sectors: 1, label: "generation 1" })
      .read(2, { at: 2, ok: 3, content: [written(1)] })
      .write(3, { at: 4, sectors: 1 })
      .read(4, { at: 6, ok: 6.5, content: [written(3)] })
      .read(5, { at: 7, ok: 8, content: [written(1)] });
    expect(only(builder)).toMatchObject({ class: "stale", title: "older data over newer data that had been read" });
  });

  test("newer data that had been replaced and came back, without any power cut", () => {
    const builder = new HistoryBuilder()
      .write(1, { at: 0, ok: 9 })
      .write(2, { at: 1, ok: 2 })
      .read(3, { at: 3, ok: 4, content: [written(1)] })
      .readBack(10, 11, [written(2)]);
    expect(only(builder)).toMatchObject({ class: "stale", title: "data that had been replaced came back" });
  });

  test("a failed write that came over newer acknowledged data", () => {
    const builder = new HistoryBuilder()
      .write(1, { at: 1, fail: 2, label: "generation 1" })
      .write(2, { at: 3, ok: 4, label: "generation 2" })
      .readBack(10, 5, [written(1)]);
    const finding = only(builder);
    expect(finding).toMatchObject({ class: "stale", title: "older data over newer acknowledged data" });
    expect(finding.explanation).toContain('failed at 2.000 s with "Input/output error"');
  });

  test.each([
    ["another write's data", [written(1)], "the data of write 1 at 5.500 s"],
    ["zeros", [zeros()], "zeros at 5.500 s"],
  ])("a failed write that came after its error, over %s", (_name, before, words) => {
    const builder = new HistoryBuilder()
      .write(1, before[0]?.is === "zero" ? { at: 1, fail: 1.5, sector: 9 } : { at: 1, ok: 1.5 })
      .write(2, { at: 2, fail: 4 })
      .read(3, { at: 5, ok: 5.5, via: "backing", content: before })
      .read(4, { at: 7, ok: 8, content: [written(2)] });
    const finding = only(builder);
    expect(finding).toMatchObject({ class: "stale", title: "failed write took effect after its error" });
    expect(finding.explanation).toContain("took effect after its error was returned");
    expect(finding.explanation).toContain(words);
  });

  test("the more damning of two kinds names the finding", () => {
    const builder = stale()
      .write(20, { at: 1, fail: 2, sector: 50 })
      .read(21, { at: 3, ok: 4, sector: 50, content: [zeros(50)] })
      .read(22, { at: 5, ok: 6, sector: 50, content: [written(20, 50)] });
    expect(only(builder)).toMatchObject({ title: "older data over newer acknowledged data" });
  });
});

describe("lost", () => {
  test("an acknowledged write that nobody ever saw", () => {
    const finding = only(twoGenerations().readBack(10, 11, [written(1, 0, 8)]));
    expect(finding).toMatchObject({ class: "lost", title: "acknowledged write lost" });
    expect(finding.explanation).toContain("no read ever found its data");
    expect(finding.extents?.[0]?.expected).toMatchObject([{ op: 2, label: "generation 2" }]);
  });

  test("zeros where several writes were acknowledged", () => {
    const finding = only(twoGenerations().readBack(10, 11, [zeros(0, 8)]));
    expect(finding).toMatchObject({ class: "lost" });
    expect(finding.extents?.[0]?.found).toEqual({ label: "zeros" });
  });

  test("not lost where one end has it and the other has not", () => {
    const builder = twoGenerations()
      .read(10, { at: 11, ok: 12, sectors: 8, content: [written(1, 0, 8)] })
      .read(11, { at: 13, ok: 14, sectors: 8, via: "backing", content: [written(2, 0, 8)] });
    expect(only(builder).class).toBe("stale");
  });
});

test("a part of a write that is wrong is told apart from the part that is right", () => {
  const content = [written(2, 0, 3), written(1, 3, 2, 3), written(2, 5, 3, 5)];
  expect(only(twoGenerations().readBack(10, 11, content)).extents?.[0]).toMatchObject({ sector: 3, sectors: 2 });
});

test("more bad extents than are listed are counted", () => {
  const builder = new HistoryBuilder();
  const content = Array.from({ length: 300 }, (_, i) => zeros(i * 2));
  for (const [i, { at }] of content.entries()) builder.write(i + 1, { at: 1, ok: 2, sector: at });
  const finding = only(builder.readBack(1000, 3, content));
  expect(finding.extents).toHaveLength(MAX_EXTENTS);
  expect(finding.explanation).toContain(
    "2 reads found this in 600 runs of sectors, 600 sectors together; the first 200",
  );
});

describe("a finding", () => {
  test("joins adjacent sectors that one read found wrong in one way, although other reads cut them apart", () => {
    const builder = twoGenerations()
      .read(3, { at: 6, ok: 6.5, sectors: 3, content: [written(2, 0, 3)] })
      .read(4, { at: 6, ok: 6.5, sector: 3, sectors: 5, content: [written(2, 3, 5, 3)] })
      .readBack(10, 11, [written(1, 0, 8)]);
    const places = only(builder).extents?.map(({ sector, sectors, via }) => [sector, sectors, via]);
    expect(places).toEqual([
      [0, 8, "initiator"],
      [0, 8, "backing"],
    ]);
  });

  test("does not join what lies apart", () => {
    const content = [written(1, 0, 2), written(2, 2, 2, 2), written(1, 4, 4, 4)];
    const builder = twoGenerations().read(10, { at: 11, ok: 12, sectors: 8, content });
    expect(only(builder).extents?.map(({ sector, sectors }) => [sector, sectors])).toEqual([
      [0, 2],
      [4, 4],
    ]);
  });

  test("explains what was seen first, wherever it lies", () => {
    const builder = new HistoryBuilder()
      .write(1, { at: 1, ok: 2 })
      .write(2, { at: 1, ok: 2, sector: 9 })
      .read(3, { at: 5, ok: 6, content: [zeros(0)] })
      .read(4, { at: 3, ok: 4, sector: 9, content: [zeros(9)] });
    const finding = only(builder);
    expect(finding.explanation).toMatch(/^Sector 9 held zeros, as before the first write, when read 4 /);
    expect(finding.extents?.map(({ sector }) => sector)).toEqual([9, 0]);
  });

  test("blames the first read that fits no order", () => {
    const builder = new HistoryBuilder()
      .write(1, { at: 1, ok: 1.5 })
      .write(2, { at: 1 })
      .read(5, { at: 6, ok: 7, content: [written(1)] })
      .read(4, { at: 4, ok: 5, content: [written(2)] })
      .read(3, { at: 2, ok: 3, content: [written(1)] });
    expect(only(builder).explanation).toContain("when read 5 through");
  });

  test("names what would have been legal, newest first", () => {
    const builder = twoGenerations()
      .write(3, { at: 5.5, sectors: 8, label: "generation 3" })
      .write(4, { at: 5.6, sectors: 8, label: "generation 4" })
      .readBack(10, 11, [written(1, 0, 8)]);
    expect(only(builder).extents?.[0]?.expected.map(({ op }) => op)).toEqual([4, 3, 2]);
  });
});

test("zeros are stale where one of two writes had been seen", () => {
  const builder = twoGenerations()
    .write(3, { at: 5.5, ok: 6, sectors: 8 })
    .read(4, { at: 7, ok: 7.5, sectors: 8, content: [written(3, 0, 8)] })
    .readBack(10, 11, [zeros(0, 8)]);
  expect(only(builder).class).toBe("stale");
});
