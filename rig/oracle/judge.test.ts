import { describe, expect, test } from "vitest";
import { ALL_ORACLES, judge } from "./judge.ts";
import type { Oracle } from "./oracle.ts";
import { HistoryBuilder, written } from "./testdata/history-builder.ts";

/** A cell in which everything was seen and all is well. */
const healthy = () =>
  new HistoryBuilder()
    .console("target", 0, "[    0.000000] Linux version 6.1.0")
    .console("initiator", 0, "[    0.000000] Linux version 6.1.0")
    .loggedIn(0)
    .counted(0, "begin")
    .counted(59, "end")
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
      [healthy().counted(59.5, "end", { "initiator host": ["host9"] }), "session"],
      [healthy().write(20, { at: 5, fail: 6 }), "errors"],
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
    ["that contradicts itself", healthy().write(1, { at: 1 }), "The history is damaged and carries no verdict: line"],
  ])("%s is an error", (_name, builder, words) => {
    const { status, reason } = judge(builder.build());
    expect(status).toBe("ERROR");
    expect(reason).toContain(words);
  });

  test.each<[string, { fail?: number; error?: string }]>([
    ["is shorter than its LUN", { fail: 12, error: "it ends at byte 4096, while it is read" }],
    ["cannot be read", { fail: 12, error: "EIO: i/o error, read" }],
    ["takes for ever to be read", {}],
  ])("whose disk image %s is an error, for no kernel made it so", (_name, end) => {
    const builder = new HistoryBuilder()
      .console("target", 0, "[    0.000000] Linux version 6.1.0")
      .console("initiator", 0, "[    0.000000] Linux version 6.1.0")
      .loggedIn(0)
      .counted(0, "begin")
      .counted(59, "end")
      .limits(0, 10_000)
      .write(1, { at: 1, ok: 2, sectors: 8 })
      .phase("read-back", 9, 13)
      .read(2, { at: 10, ok: 10.1, sectors: 8, content: [written(1, 0, 8)] })
      .read(3, { at: 11, ...end, sectors: 8, via: "backing" })
      .note(60);
    const { status, reason, findings } = judge(builder.build());
    expect({ status, findings }).toEqual({ status: "ERROR", findings: [] });
    expect(reason).toContain(`The target's disk image could not be read (read 3): ${end.error ?? "no answer"}.`);
  });

  test("that was stopped is an error or a miss, by blame, whatever was seen until then", () => {
    const stopped = (blame: "harness" | "environment") =>
      judge(healthy().stopped(30, "ssh is gone", { blame }).build());
    expect(stopped("harness")).toEqual({ findings: [], status: "ERROR", reason: "ssh is gone" });
    expect(stopped("environment")).toMatchObject({ status: "MISS" });
  });

  test("whose node crashed fails although the rig stumbled over it, and the reason is kept", () => {
    const crashed = healthy().console("initiator", 20, "[   20.000001] Oops: 0000 [#1]");
    expect(judge(crashed.stopped(21, "ssh is gone").build())).toMatchObject({ status: "FAIL", reason: "ssh is gone" });
  });
});

describe("a history that is not whole", () => {
  const stale = () => healthy().read(20, { at: 9, ok: 9.5, sectors: 8, content: [written(1, 0, 8)] });
  const CUT = "The history ends before the cell's end: the rig died while it wrote, or the file was cut.";

  test("because it is cut is judged as far as it goes, and never passes", () => {
    const cut = (builder: HistoryBuilder) => judge({ ...builder.build(), truncated: true });
    expect(cut(healthy())).toEqual({ findings: [], status: "ERROR", reason: CUT });
    expect(cut(stale())).toMatchObject({ status: "FAIL", reason: CUT });
    expect(cut(healthy().console("target", 20, "[   20.000001] Kernel panic - not syncing: x")).status).toBe("FAIL");
  });

  test("proves nothing by what is missing at its end", () => {
    const hung = healthy().read(20, { at: 20, ok: 40 }).session(3, "b", "FAILED").build();
    expect(judge(hung).status).toBe("FAIL");
    expect(judge({ ...hung, truncated: true })).toMatchObject({ status: "ERROR" });
  });

  test("because lines of it are damaged carries no verdict, not even for what is whole", () => {
    const damage = [17, 23, 31, 40, 41].map(line => ({ line, problem: "expected JSON" }));
    const judged = judge({ ...stale().build(), damage });
    expect(judged).toEqual({
      findings: [],
      status: "ERROR",
      reason:
        "The history is damaged and carries no verdict: line 17: expected JSON; line 23: expected JSON; line 31: expected JSON; and 2 more places.",
    });
    expect(judge({ ...stale().build(), damage: damage.slice(0, 1) }).reason).toMatch(
      /verdict: line 17: expected JSON\.$/,
    );
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
