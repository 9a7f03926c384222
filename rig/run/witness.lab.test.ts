import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readHistory } from "../history/reader.ts";
import { type LabFixture, labFixture, runTestCell, testScenario } from "../testing/lab-fixture.ts";
import { cellDirectory } from "./cell-request.ts";

/** A clock of the host's that is read a moment after what it is read for. */
const LATE_NS = 2_000_000;

describe("the second witness in a real lab", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  test("saw every acknowledged write executed while it was on its way, and by which path", async () => {
    const scenario = testScenario("witness", async ({ ledger, path: paths }) => {
      await (await ledger.rewrite()).acknowledged();
      await paths.a.drop();
      await (await ledger.rewrite()).acknowledged();
      await paths.a.heal();
      await (await ledger.rewrite()).acknowledged();
    });
    const cell = await runTestCell(fixture, scenario);
    expect([cell.status, cell.reason, cell.findings]).toEqual(["PASS", undefined, []]);
    const directory = cellDirectory(cell.scenario, cell.kernel.name, cell.seed);
    const { events, operations } = await readHistory(path.join(fixture.out, directory, "history.ndjson"));
    const witness = events.find(({ kind }) => kind === "witness");
    expect(witness).toMatchObject({ by: "tracepoints", whole: true });
    const skewNs = (witness?.kind === "witness" ? witness.skewNs : 0) + LATE_NS;
    const commands = events.filter(event => event.kind === "command");
    expect(new Set(commands.map(({ session }) => session))).toEqual(new Set(["a#1", "b#1"]));
    const writes = [...operations].filter(({ action, state }) => action === "write" && state === "ok");
    expect(writes).toHaveLength(24);
    for (const { sector, sectors, invokeNs, doneNs } of writes) {
      const executed = commands.filter(
        command =>
          command.action === "write" &&
          // The kernel may have put neighbours together.
          command.sector <= sector &&
          command.sector + command.sectors >= sector + sectors &&
          command.status === 0 &&
          command.t > invokeNs - skewNs &&
          command.t < doneNs + skewNs,
      );
      expect(executed.length).toBeGreaterThan(0);
    }
  });
});
