import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import { HistoryBuilder, written } from "../oracle/testdata/history-builder.ts";
import { judgeCell } from "./judge-cell.ts";
import { stoppedEvent } from "./stopped.ts";

const cell = () =>
  new HistoryBuilder()
    .console("target", 0, "[    0.000000] Linux version 6.1.0")
    .console("initiator", 0, "[    0.000000] Linux version 6.1.0")
    .loggedIn(0)
    .counted(0, "begin")
    .counted(0.1, "end")
    .limits(0, 10_000)
    .write(1, { at: 1, ok: 2, sectors: 8 });

/** The step that waited for a write gave up. */
const unanswered = new RigError("RIG_DEADLINE", "Expected every write to be answered", {
  blame: "scenario",
  context: { unanswered: true },
});
const unrecovered = new RigError("RIG_DEADLINE", "Expected every session to be logged in again", {
  context: { unrecovered: true },
});
const other = new RigError("RIG_DEADLINE", "Expected the session to fail", { blame: "scenario" });

/** As a cell that this error stopped is judged. */
const judgeStopped = (builder: HistoryBuilder, error: RigError) =>
  judgeCell(builder.add({ t: 4e9, ...stoppedEvent(error) }).build());

const hung = () => cell().write(2, { at: 3, sectors: 8 }).note(60);
const early = () => cell().write(2, { at: 3, sectors: 8 }).note(5);
const fine = () =>
  cell()
    .readBack(10, 8, [written(1, 0, 8)])
    .note(60);

describe("a cell that stopped", () => {
  test("because an operation had no answer fails when the oracle says that it hangs", () => {
    const { status, findings } = judgeStopped(hung(), unanswered);
    expect({ status, oracles: findings.map(({ oracle }) => oracle) }).toEqual({ status: "FAIL", oracles: ["hang"] });
  });

  test("for that reason before the time that is allowed is an error of the rig", () => {
    expect(judgeStopped(early(), unanswered)).toMatchObject({
      status: "ERROR",
      reason: expect.stringContaining(unanswered.message) as string,
    });
    expect(judgeStopped(fine(), unanswered)).toMatchObject({ status: "ERROR", reason: unanswered.message });
  });

  test("because an operation failed fails when the oracle says that it must not, and is an error of the rig if it does not", () => {
    const failed = new RigError("RIG_NBD", "Expected every write to be acknowledged", { context: { failed: true } });
    const bad = (on: string) =>
      cell()
        .fault("path-drop:a#1", 2, 2.5)
        .add({ t: 2e9, kind: "fault", fault: "broken#1", on, action: "inject", edge: "begin" })
        .add({ t: 2.9e9, kind: "fault", fault: "broken#1", on, action: "heal", edge: "end" })
        .evidence("broken#1", 2.9, { bit: true, gone: true })
        .write(2, { at: 2.2, fail: 2.4, sectors: 8 })
        .readBack(10, 8, [written(1, 0, 8)])
        .note(60);
    const { status, findings } = judgeStopped(bad("path b"), failed);
    expect({ status, classes: findings.map(finding => finding.class) }).toEqual({
      status: "FAIL",
      classes: ["io-error"],
    });
    expect(judgeStopped(bad("target"), failed)).toMatchObject({
      status: "ERROR",
      findings: [],
      reason: failed.message,
    });
  });

  test("because a session did not come back fails when the oracle says so, and is an error of the rig if it does not", () => {
    const down = () =>
      cell()
        .says(0.1, "iSCSI logger with pid=80 started!")
        .fault("path-drop:a#1", 1, 3)
        .session(3, "a", "FREE")
        .readBack(10, 8, [written(1, 0, 8)])
        .note(60);
    const { status, findings } = judgeStopped(down(), unrecovered);
    expect({ status, classes: findings.map(finding => finding.class) }).toEqual({
      status: "FAIL",
      classes: ["split-view"],
    });
    expect(judgeStopped(down(), other).status).toBe("ERROR");
    expect(judgeStopped(fine(), unrecovered)).toMatchObject({ status: "ERROR", reason: unrecovered.message });
  });

  test("for another reason is an error, although something hangs: the rig may be why", () => {
    expect(judgeStopped(hung(), other).status).toBe("ERROR");
  });
});

test("a cell that ran to its end is judged as it is", () => {
  expect(judgeCell(fine().build())).toEqual({ findings: [], status: "PASS", starved: false, worstWaitMs: 0 });
  expect(judgeCell(hung().build()).status).toBe("FAIL");
});

test("a cell whose history is damaged is an error, and no reason to run it again", () => {
  const damage = [{ line: 9, problem: "expected JSON" }];
  expect(judgeCell({ ...hung().build(), damage })).toEqual({
    findings: [],
    status: "ERROR",
    reason: "The history is damaged and carries no verdict: line 9: expected JSON.",
    starved: false,
    worstWaitMs: 0,
  });
});

describe("a cell whose lab waited for a CPU", () => {
  const waited = (waitMs: number, builder = cell()) =>
    builder
      .phase("timeline", 0.5, 50)
      .phase("heal", 50, 51)
      .write(2, { at: 3, sectors: 8 })
      .console("initiator", 20, "[   20.000001] Kernel panic - not syncing: x")
      .add({ t: 5e9, kind: "load", node: "initiator", windowMs: 1000, waitMs })
      .note(60);
  const reason =
    "starved: the initiator waited 812 ms of 1000 for a CPU of this machine; run again when the machine has less to do.";

  test("for too long is an error, whatever was found", () => {
    expect(judgeCell(waited(812).build())).toEqual({
      findings: [],
      status: "ERROR",
      reason,
      starved: true,
      worstWaitMs: 812,
    });
  });

  test("not for too long fails by what was found", () => {
    const { status, findings, ...rest } = judgeCell(waited(799).build());
    expect({ status, oracles: findings.map(({ oracle }) => oracle) }).toEqual({
      status: "FAIL",
      oracles: ["kernel-log", "hang"],
    });
    expect(rest).toMatchObject({ starved: false, worstWaitMs: 799 });
  });

  test("and passes where nothing was found", () => {
    const builder = cell()
      .phase("timeline", 0.5, 9)
      .readBack(10, 8, [written(1, 0, 8)])
      .add({ t: 5e9, kind: "load", node: "target", windowMs: 100, waitMs: 60 });
    expect(judgeCell(builder.build())).toEqual({ findings: [], status: "PASS", starved: false, worstWaitMs: 60 });
  });

  test("and which stopped is starved first: that is most likely why it stopped", () => {
    for (const error of [unanswered, other]) {
      expect(judgeStopped(waited(812), error)).toMatchObject({
        findings: [],
        status: "ERROR",
        reason: `${reason} ${error.message}`,
        starved: true,
      });
    }
  });

  test("and which the machine stopped is a miss: running it again would not help", () => {
    const full = new RigError("RIG_NO_SPACE", "No space left.", { blame: "environment" });
    expect(judgeStopped(waited(812), full)).toEqual({
      findings: [],
      status: "MISS",
      reason: `No space left. ${reason}`,
      starved: false,
      worstWaitMs: 812,
    });
  });
});
