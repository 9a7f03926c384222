import { open, readdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findLabs } from "../lab/lab-file.ts";
import { type LabFixture, labFixture, runTestCell, testScenario } from "../testing/lab-fixture.ts";

/**
 * A verdict that cannot be wrong is worthless. Here the rig's own hand does what a broken kernel would, in a real lab, and
 * every oracle has to notice; and a cell in which nothing was put to the test must not pass.
 */
describe("oracles in a real lab", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  /** The image behind the LUN of the lab that runs. */
  const imageBehind = async (): Promise<string> => {
    const [bay] = (await findLabs()).filter(found => found.lab?.labels.run === "test");
    const node = path.join(bay?.directory ?? "", "target");
    const [room] = (await readdir(node, { withFileTypes: true })).filter(entry => entry.isDirectory());
    return path.join(node, room?.name ?? "", "backing.img");
  };
  const writeBehind = async (offset: number, bytes: Buffer): Promise<void> => {
    await using image = await open(await imageBehind(), "r+");
    await image.write(bytes, 0, bytes.length, offset);
  };
  const readBehind = async (offset: number, length: number): Promise<Buffer> => {
    await using image = await open(await imageBehind(), "r");
    const bytes = Buffer.alloc(length);
    await image.read(bytes, 0, length, offset);
    return bytes;
  };

  test("integrity: foreign, stale, torn and misdirected sectors on the target's disk are told apart", async () => {
    const cell = await runTestCell(
      fixture,
      testScenario("integrity", async ({ ledger, path: paths }) => {
        await (await ledger.rewrite()).acknowledged();
        const old = await readBehind(0, 8 * 4096);
        await paths.b.drop();
        await (await ledger.rewrite()).acknowledged();
        await ledger.observe();
        await writeBehind(0, Buffer.alloc(512, 0xee));
        await writeBehind(4096, old.subarray(4096, 8192));
        await writeBehind(2 * 4096 + 100, Buffer.from("half of another sector"));
        await writeBehind(3 * 4096, await readBehind(4 * 4096, 4096));
        await paths.b.heal();
      }),
    );
    expect(cell.status).toBe("FAIL");
    expect(cell.findings.map(finding => finding.class).toSorted()).toEqual(["foreign", "misdirected", "stale", "torn"]);
    const stale = cell.findings.find(finding => finding.class === "stale");
    expect(
      stale?.extents?.map(({ sector, sectors, found, expected }) => [sector, sectors, found.label, expected[0]?.label]),
    ).toContainEqual([8, 8, "generation 0", "generation 1"]);
  });

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
