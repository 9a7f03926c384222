import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import { ALL_ORACLES, judge } from "./judge.ts";
import type { Oracle } from "./oracle.ts";
import { HistoryBuilder, written } from "./testdata/history-builder.ts";

/** A cell in which everything was seen and all is well. */
const healthy = () =>
  new HistoryBuilder()
    .console("target", 0, "[    0.000000] Linux version 6.1.0")
    .console("initiator", 0, "[    0.000000] Linux version 6.1.0")
    .loggedIn(0)
    .limits(0, 10_000)
    .write(1, { at: 1, ok: 2, sectors: 8 })
    .write(2, { at: 3, ok: 6, sectors: 8 })
    .fault("path-drop:a#1", 4, 7)
    .readBack(10, 8, [written(2, 0, 8)])
    .note(60);

describe("a cell", () => {
  test("in which all is well passes", () => {
    expect(judge(healthy().build())).toEqual({ findings: [], status: "PASS" });
  });

  test("with a finding of any oracle fails", () => {
    const cells: [HistoryBuilder, string][] = [
      [healthy().read(20, { at: 9, ok: 9.5, sectors: 8, content: [written(1, 0, 8)] }), "integrity"],
      [healthy().console("target", 20, "[   20.000001] Kernel panic - not syncing: x"), "kernel-log"],
      [healthy().read(20, { at: 20, ok: 40 }), "hang"],
      [healthy().session(3, "b", "FAILED"), "session"],
    ];
    for (const [builder, oracle] of cells) {
      const { status, reason, findings } = judge(builder.build());
      expect({ status, reason, oracles: findings.map(finding => finding.oracle) }).toEqual({
        status: "FAIL",
        reason: undefined,
        oracles: [oracle],
      });
    }
  });

  test.each<[string, HistoryBuilder, string]>([
    [
      "whose fault did not bite",
      healthy().fault("x#1", 4).evidence("x#1", 5, { bit: false, gone: true }),
      "did not bite",
    ],
    ["that was not read back", new HistoryBuilder().limits(0, 1).write(1, { at: 1, ok: 1 }), "No final read"],
    ["that is empty", new HistoryBuilder(), "No write was acknowledged"],
    ["that contradicts itself", healthy().write(1, { at: 1 }), "The integrity oracle could not judge"],
  ])("%s is an error", (_name, builder, words) => {
    const { status, reason } = judge(builder.build());
    expect(status).toBe("ERROR");
    expect(reason).toContain(words);
  });

  test("that was stopped is an error or a miss, by blame, whatever was seen until then", () => {
    const stopped = (blame: "harness" | "environment") =>
      judge(healthy().build(), { error: new RigError("RIG_LAB_SSH", "ssh is gone", { blame }) });
    expect(stopped("harness")).toEqual({ findings: [], status: "ERROR", reason: "ssh is gone" });
    expect(stopped("environment")).toMatchObject({ status: "MISS" });
  });

  test("whose node crashed fails although the rig stumbled over it, and the reason is kept", () => {
    const history = healthy().console("initiator", 20, "[   20.000001] Oops: 0000 [#1]").build();
    const error = new RigError("RIG_LAB_SSH", "ssh is gone");
    expect(judge(history, { error })).toMatchObject({ status: "FAIL", reason: "ssh is gone" });
  });
});

describe("an oracle that throws", () => {
  const broken: Oracle = {
    name: "session",
    judge: () => {
      throw new Error("out of luck");
    },
  };

  test("makes the cell an error with its name", () => {
    const { status, reason } = judge(healthy().build(), { oracles: [...ALL_ORACLES, broken] });
    expect({ status, reason }).toEqual({
      status: "ERROR",
      reason: "The session oracle could not judge: out of luck",
    });
  });

  test("does not hide what another found", () => {
    const history = healthy()
      .read(20, { at: 9, ok: 9.5, sectors: 8, content: [written(1, 0, 8)] })
      .build();
    expect(judge(history, { oracles: [broken, ...ALL_ORACLES] })).toMatchObject({ status: "FAIL" });
  });

  test("and no oracle at all is not a pass", () => {
    expect(judge(healthy().build(), { oracles: [] }).status).toBe("ERROR");
  });
});
