import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import { HistoryBuilder, written } from "../oracle/testdata/history-builder.ts";
import { judgeCell } from "./judge-cell.ts";

const cell = () =>
  new HistoryBuilder()
    .console("target", 0, "[    0.000000] Linux version 6.1.0")
    .console("initiator", 0, "[    0.000000] Linux version 6.1.0")
    .limits(0, 10_000)
    .write(1, { at: 1, ok: 2, sectors: 8 });

/** The step that waited for a write gave up. */
const unanswered = new RigError("RIG_DEADLINE", "Expected every write to be answered", {
  blame: "scenario",
  context: { unanswered: true },
});
const other = new RigError("RIG_DEADLINE", "Expected the session to fail", { blame: "scenario" });

const hung = () => cell().write(2, { at: 3, sectors: 8 }).note(60).build();
const early = () => cell().write(2, { at: 3, sectors: 8 }).note(5).build();
const fine = () =>
  cell()
    .readBack(10, 8, [written(1, 0, 8)])
    .note(60)
    .build();

describe("a cell that stopped", () => {
  test("because an operation had no answer fails when the oracle says that it hangs", () => {
    const { status, findings } = judgeCell(hung(), { error: unanswered });
    expect({ status, oracles: findings.map(({ oracle }) => oracle) }).toEqual({ status: "FAIL", oracles: ["hang"] });
  });

  test("for that reason before the time that is allowed is an error of the rig", () => {
    expect(judgeCell(early(), { error: unanswered })).toMatchObject({
      status: "ERROR",
      reason: expect.stringContaining(unanswered.message) as string,
    });
    expect(judgeCell(fine(), { error: unanswered })).toMatchObject({ status: "ERROR", reason: unanswered.message });
  });

  test("for another reason is an error, although something hangs: the rig may be why", () => {
    expect(judgeCell(hung(), { error: other }).status).toBe("ERROR");
  });
});

test("a cell that ran to its end is judged as it is", () => {
  expect(judgeCell(fine())).toEqual({ findings: [], status: "PASS" });
  expect(judgeCell(hung()).status).toBe("FAIL");
});
