import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LabFixture, labFixture, runTestCell, testScenario } from "../testing/lab-fixture.ts";

describe("faults in a real lab", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  test("a dropped path fails over, a delayed restart of iscsid brings its session back, and a healthy kernel passes", async () => {
    const cell = await runTestCell(
      fixture,
      testScenario("recovery", async ({ ledger, path, iscsid, session, recovered }) => {
        await (await ledger.rewrite()).acknowledged();
        await iscsid.kill();
        await path.a.drop();
        const stuck = await ledger.rewrite();
        await session("a").failed();
        await stuck.acknowledged();
        await path.a.heal();
        await iscsid.restart({ afterMs: 300 });
        await session("a").loggedIn();
        await recovered();
        await (await ledger.rewrite()).acknowledged();
      }),
    );
    expect([cell.status, cell.reason, cell.findings]).toEqual(["PASS", undefined, []]);
    expect(cell.faults.map(({ fault, bit, gone }) => ({ fault, bit, gone }))).toEqual([
      { fault: "iscsid-kill#1", bit: true, gone: true },
      { fault: "path-drop:a#1", bit: true, gone: true },
    ]);
    expect(cell.faults[1]?.counters["packets"]).toBeGreaterThan(0);
  });

  test("what a timeline leaves broken is healed before the disk is read back", async () => {
    const cell = await runTestCell(
      fixture,
      testScenario("left broken", async ({ ledger, path, iscsid }) => {
        await (await ledger.rewrite()).acknowledged();
        await path.a.drop();
        await iscsid.kill();
        await (await ledger.rewrite()).acknowledged();
      }),
    );
    expect([cell.status, cell.reason]).toEqual(["PASS", undefined]);
    expect(cell.faults.every(({ gone }) => gone)).toBe(true);
  });

  test("a mistake in a timeline is an ERROR with its reason, and everything is healed all the same", async () => {
    const cell = await runTestCell(
      fixture,
      testScenario("mistake", async ({ ledger, path, iscsid }) => {
        const first = await ledger.rewrite();
        await path.b.drop();
        await first.acknowledged();
        await iscsid.restart();
      }),
    );
    expect([cell.status, cell.findings]).toEqual(["ERROR", []]);
    expect(cell.reason).toContain("iscsid was not killed");
    expect(cell.faults.map(({ fault, gone }) => [fault, gone])).toEqual([["path-drop:b#1", true]]);
  });
});
