/** Writes that are executed again: rightly before they are answered, wrongly after it. */
import { describe, expect, test } from "vitest";
import { integrityOracle } from "./integrity.ts";
import { HistoryBuilder, written } from "./testdata/history-builder.ts";

const classes = (builder: HistoryBuilder): string[] =>
  integrityOracle.judge(builder.build()).findings.map(finding => finding.class);

describe("a write that is executed again before it is answered", () => {
  const dropped = (w1: { ok?: number; fail?: number }) =>
    new HistoryBuilder()
      .write(1, { at: 1, ...w1, sectors: 8 })
      .fault("path-drop:a#1", 1.1, 12)
      .read(2, { at: 2, ok: 2.1, sectors: 8, via: "backing", content: [written(1, 0, 8)] })
      .write(3, { at: 3, ok: 3.1, sectors: 8 })
      .read(4, { at: 4, ok: 4.1, sectors: 8, content: [written(3, 0, 8)] });

  test.each([
    ["acknowledged", { ok: 20 }],
    ["failed", { fail: 20 }],
    ["unanswered", {}],
  ])("may come over what was written meanwhile: %s", (_name, end) => {
    expect(classes(dropped(end).readBack(10, 30, [written(1, 0, 8)]))).toEqual([]);
  });

  test.each([
    ["acknowledged", { ok: 3.5 }],
    ["failed", { fail: 3.5 }],
  ])("may not once it is answered: %s", (_name, end) => {
    expect(classes(dropped(end).readBack(10, 30, [written(1, 0, 8)]))).toEqual(["stale"]);
  });
});
