import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findLabs } from "../lab/lab-file.ts";
import { type LabFixture, labFixture, runTestCell, testScenario } from "../testing/lab-fixture.ts";

/**
 * A cell in which nothing was put to the test must not pass, nor one whose lab broke under the rig. What a broken kernel would do
 * is in trials.lab.test.ts.
 */
describe("oracles in a real lab", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  test("evidence: a fault that struck nothing makes the cell ERROR, not PASS", async () => {
    const quiet = { timing: { noopInterval: 0, noopTimeout: 0, replacementTimeout: 5, targetNopinTimeout: 0 } };
    const cell = await runTestCell(
      fixture,
      testScenario(
        "evidence",
        async ({ ledger, path: paths }) => {
          await (await ledger.rewrite()).acknowledged();
          await paths.b.drop();
          await paths.b.heal();
        },
        quiet,
      ),
    );
    expect([cell.status, cell.findings]).toEqual(["ERROR", []]);
    expect(cell.reason).toMatch(/path-drop:b#1|under way/);
  });

  test("a node that dies under the rig is an ERROR that says so, not a finding and not a pass", async () => {
    const cell = await runTestCell(
      fixture,
      testScenario("dead node", async ({ ledger }) => {
        await (await ledger.rewrite()).acknowledged();
        const [bay] = (await findLabs()).filter(found => found.lab?.labels.run === "test");
        await fixture.host.docker.getContainer(`iscsi-rig-${bay?.lab?.labels.lab ?? ""}-target`).kill();
        await (await ledger.rewrite()).acknowledged();
      }),
    );
    expect(cell.status).toBe("ERROR");
    expect(cell.reason).toMatch(/target's (microVM|container) ended/);
  });
});
