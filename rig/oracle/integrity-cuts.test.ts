/** Several devices, and power cuts of disks with a volatile cache: what the oracle makes of a whole history. */
import { describe, expect, test } from "vitest";
import type { HistoryEvent } from "../history/event.ts";
import { judgeIntegrity } from "./integrity.ts";
import { HistoryBuilder, written, zeros } from "./testdata/history-builder.ts";

const device = (id: number, lun: number, cache: "none" | "volatile" = "volatile"): HistoryEvent => ({
  t: 0,
  kind: "device",
  id,
  name: `sd${id}`,
  lun,
  sectors: 64,
  cache,
});

const cut = (begin: number, end: number, node: "target" | "initiator" = "target"): HistoryEvent[] => [
  { t: begin * 1e9, kind: "power-cut", node, edge: "begin" },
  { t: end * 1e9, kind: "power-cut", node, edge: "end" },
];

const findingsOf = (builder: HistoryBuilder) => judgeIntegrity(builder.build()).findings;

const twoWrites = (cache: "none" | "volatile" = "volatile") =>
  new HistoryBuilder()
    .add(device(0, 0, cache))
    .write(1, { at: 1, ok: 2, label: "generation 1" })
    .write(2, { at: 3, ok: 4, label: "generation 2" });

describe("through a power cut of the target", () => {
  test("data that no flush covered may be gone", () => {
    const builder = twoWrites().add(...cut(10, 11));
    expect(findingsOf(builder.readBack(20, 20, [written(1)]))).toEqual([]);
  });

  test("not where the cache is not volatile, nor where it was the initiator's", () => {
    const none = twoWrites("none").add(...cut(10, 11));
    expect(findingsOf(none.readBack(20, 20, [written(1)]))).toMatchObject([{ class: "lost" }]);
    const initiator = twoWrites().add(...cut(10, 11, "initiator"));
    expect(findingsOf(initiator.readBack(20, 20, [written(1)]))).toMatchObject([{ class: "lost" }]);
  });

  test("data that was flushed must not be, and the finding names the flush and the cut", () => {
    const builder = twoWrites()
      .flush(3, { at: 5, ok: 6 })
      .add(...cut(10, 11));
    const history = builder.readBack(20, 20, [written(1)]).build();
    const [finding] = judgeIntegrity(history).findings;
    expect(finding).toMatchObject({ class: "lost", title: "flushed write lost in a power cut" });
    expect(finding?.explanation).toContain(
      "Write 2 (generation 2) was invoked at 3.000 s, after that, and acknowledged at 4.000 s. Flush 3 was invoked after " +
        "it was acknowledged, at 5.000 s, and completed at 6.000 s, before the power cut at 10.000 s, so it had to survive " +
        "that. Its data were gone afterwards. Legal there: write 2 (generation 2), acknowledged at 4.000 s",
    );
    const place = history.events.findIndex(event => event.kind === "power-cut");
    expect(finding?.lines).toContain(history.lines[place]);
  });

  test("a flush of another disk covers nothing", () => {
    const builder = twoWrites()
      .add(device(1, 5))
      .flush(3, { at: 5, ok: 6, device: 1 })
      .add(...cut(10, 11));
    expect(findingsOf(builder.readBack(20, 20, [written(1)]))).toEqual([]);
  });

  test("data written with FUA must not be gone either", () => {
    const builder = new HistoryBuilder()
      .add(device(0, 0))
      .write(1, { at: 1, ok: 2, fua: true })
      .add(...cut(10, 11));
    const [finding] = findingsOf(builder.readBack(20, 20, [zeros()]));
    expect(finding).toMatchObject({ class: "lost", title: "flushed write lost in a power cut" });
    expect(finding?.explanation).toContain("written with FUA and acknowledged before the power cut at 10.000 s");
  });

  test("a sector holds one value afterwards", () => {
    const builder = twoWrites()
      .add(...cut(10, 11))
      .read(5, { at: 12, ok: 13, content: [written(1)] })
      .readBack(20, 20, [written(2)]);
    const [finding] = findingsOf(builder);
    expect(finding).toMatchObject({ class: "stale", title: "data that a power cut had taken came back" });
    expect(finding?.explanation).toContain("read 5 through the initiator found its data there at 13.000 s");
  });

  test("data that came over what was written after it are stale, whatever else the cut took", () => {
    const builder = twoWrites()
      .flush(3, { at: 5, ok: 6 })
      .add(...cut(10, 11))
      .write(4, { at: 12, ok: 13 });
    const [finding] = findingsOf(builder.readBack(20, 20, [written(1)]));
    expect(finding).toMatchObject({ class: "stale", title: "older data over newer acknowledged data" });
    expect(finding?.explanation).toContain("Write 4 was invoked at 12.000 s, after that, and acknowledged at 13.000 s");
  });

  test("where several writes together forbid a read, it names the one that was lost", () => {
    const builder = new HistoryBuilder()
      .add(device(0, 0))
      .write(1, { at: 0, ok: 1 })
      .write(2, { at: 0.5, ok: 2 })
      .write(3, { at: 1.5, ok: 5, fua: true })
      .read(4, { at: 3, ok: 3.5, content: [written(1)] })
      .add(...cut(10, 11));
    const [finding] = findingsOf(builder.readBack(20, 20, [written(2)]));
    expect(finding).toMatchObject({ class: "lost", title: "flushed write lost in a power cut" });
    expect(finding?.explanation).toContain(
      "Write 3 was invoked at 1.500 s and acknowledged at 5.000 s. It was written with FUA",
    );
  });

  test("a failed write that had been seen before its error was taken and came back; it was not late", () => {
    const builder = new HistoryBuilder()
      .add(device(0, 0))
      .write(1, { at: 1, ok: 2 })
      .write(2, { at: 3, fail: 6 })
      .read(3, { at: 4, ok: 5, content: [written(2)] })
      .add(...cut(10, 11))
      .read(4, { at: 12, ok: 13, content: [written(1)] });
    const [finding] = findingsOf(builder.readBack(20, 20, [written(2)]));
    expect(finding).toMatchObject({ class: "stale", title: "data that a power cut had taken came back" });
  });

  test("a cut whose end nobody saw excuses what comes after it", () => {
    const [begin] = cut(10, 11);
    const builder = twoWrites().flush(3, { at: 5, ok: 6 });
    if (begin !== undefined) builder.add(begin);
    expect(findingsOf(builder.readBack(20, 20, [written(2)]))).toEqual([]);
  });

  test("zeros that may be anybody's are not traced through it", () => {
    const builder = twoWrites()
      .zeroes(3, { at: 5, ok: 6 })
      .add(...cut(10, 11));
    expect(findingsOf(builder.readBack(20, 20, [written(2)]))).toEqual([]);
    const zeroed = twoWrites()
      .zeroes(3, { at: 5, ok: 6 })
      .flush(4, { at: 7, ok: 8 })
      .add(...cut(10, 11));
    expect(findingsOf(zeroed.readBack(20, 20, [written(2)]))).toMatchObject([{ class: "lost" }]);
  });
});

describe("several devices", () => {
  const two = () =>
    new HistoryBuilder()
      .add(device(0, 0, "none"), device(1, 0, "none"), device(2, 9, "none"))
      .write(1, { at: 1, ok: 2 })
      .write(2, { at: 3, ok: 4, device: 1 })
      .write(3, { at: 3, ok: 4, device: 2 });

  test("of one LUN are one disk, of two LUNs are two", () => {
    const good = two()
      .readBack(10, 10, [written(2)])
      .readBack(12, 12, [written(3)], 2);
    expect(judgeIntegrity(good.build())).toEqual({ findings: [] });
  });

  test("show each other's stale data, and the finding names the LUN", () => {
    const builder = two()
      .read(4, { at: 5, ok: 6, content: [written(2)] })
      .read(5, { at: 7, ok: 8, device: 1, content: [written(1)] });
    const [finding] = findingsOf(builder);
    expect(finding?.class).toBe("stale");
    expect(finding?.explanation).toContain("Sector 0 of LUN 0 held");
  });

  test("another LUN's data is misdirected", () => {
    const [finding] = findingsOf(two().read(4, { at: 5, ok: 6, content: [written(3)] }));
    expect(finding?.class).toBe("misdirected");
    expect(finding?.explanation).toContain(
      "That write put it at sector 0 of device 2, which is LUN 9; it is that of another disk.",
    );
  });

  test("another LUN's data at another address names both", () => {
    const content = [{ is: "elsewhere" as const, at: 8, n: 1, op: 3, i: 0, address: 0 }];
    const builder = two().write(5, { at: 1, ok: 2, sector: 8 }).read(6, { at: 5, ok: 6, sector: 8, content });
    expect(findingsOf(builder)[0]?.explanation).toContain(
      "put it at sector 0 of device 2, which is LUN 9; it is that of another disk, and here it is 8 sectors from home.",
    );
  });

  test("each must be read back", () => {
    expect(
      judgeIntegrity(
        two()
          .readBack(10, 10, [written(2)])
          .build(),
      ).blind,
    ).toContain("1 of 2 sectors");
  });

  test("one that was not declared is a disk of its own", () => {
    const builder = two().write(4, { at: 1, ok: 2, device: 77 });
    expect(findingsOf(builder.read(5, { at: 3, ok: 4, device: 77, content: [written(4)] }))).toEqual([]);
  });
});
