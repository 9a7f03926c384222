import { mkdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Scope } from "../core/scope.ts";
import type { HistorySink } from "../history/event.ts";
import { readHistory } from "../history/reader.ts";
import { openHistory } from "../history/writer.ts";
import { sessionOracle } from "../oracle/session.ts";
import { openBench } from "../scenario/bench.ts";
import { timelineContext } from "../scenario/controls.ts";
import { type LabFixture, labFixture, runTestCell, testScenario } from "../testing/lab-fixture.ts";

const SIGSTOP = 19;
const SIGCONT = 18;

describe("sessions in a real lab", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  test("a logout over a healthy path is done, and the cell goes on without that session", async () => {
    const cell = await runTestCell(
      fixture,
      testScenario("logout", async ({ ledger, session, path: paths }) => {
        await (await ledger.rewrite()).acknowledged();
        await session("b").logout();
        // Only for the evidence: something has to be broken while something is under way.
        await paths.b.drop();
        await (await ledger.rewrite()).acknowledged();
        await paths.b.heal();
      }),
    );
    // A path without a session has no packets that could be dropped.
    expect([cell.findings, cell.reason]).toEqual([[], expect.stringMatching(/^The fault path-drop:b#1 did not bite/)]);
  });

  test("a kernel that has no instruments makes the cell a miss", async () => {
    const needs = { instruments: ["slow-stop" as const] };
    const cell = await runTestCell(
      fixture,
      testScenario("needs", () => Promise.reject(new Error("The timeline must not begin.")), { needs }),
    );
    expect([cell.status, cell.reason]).toEqual(["MISS", expect.stringContaining("with the suffix +slow-stop")]);
  });

  /** An iscsid that is stopped hears nothing and answers nothing, as one that a kernel forgot, and yet it runs. */
  test("an iscsid that is not told of a loss, and a logout that never returns, are found", async () => {
    const dir = path.join(fixture.out, "session");
    await mkdir(dir);
    const signal = new AbortController().signal;
    const about = { run: "test", scenario: "test/session", kernel: fixture.kernel.name, seed: 1 };
    const history = await openHistory(path.join(dir, "history.ndjson"), about);
    const scope = new Scope(() => undefined);
    const heard = Promise.withResolvers<undefined>();
    const sink: HistorySink = {
      record: event => {
        history.record(event);
        if (event.kind === "syslog" && event.program === "iscsid") heard.resolve(undefined);
      },
    };
    const scenario = testScenario("session", () => Promise.resolve());
    const bay = await fixture.bays.take();
    const ready = await fixture.labs.ready({
      bay,
      kernel: fixture.kernel,
      scenario,
      backingMiB: scenario.lab.lunMiB,
      sink,
      artefacts: dir,
      timeoutScale: 1,
      signal,
      phase: (_, work) => work(),
      onCleanupFailure: () => undefined,
    });
    const { lab, configured } = ready;
    try {
      const bench = await openBench({
        lab,
        configured,
        scenario,
        seed: 1,
        sink,
        identity: "session",
        scale: 1,
        signal,
        scope,
      });
      const { path: paths, session } = timelineContext(bench);
      // Its silence counts only where it is heard at all.
      await session("b").logout();
      await heard.promise;
      await lab.nodes.initiator.agent.kill(SIGSTOP, "iscsid");
      await paths.a.drop();
      await session("a").failed();
      // It is killed in the end; that takes longer than two views of a session may differ.
      await session("a").logout();
      await paths.a.heal();
      await lab.nodes.initiator.agent.kill(SIGCONT, "iscsid");
    } finally {
      await scope.close();
      await lab[Symbol.asyncDispose]();
      await bay[Symbol.asyncDispose]();
      await history.close();
    }
    const { findings, blind } = sessionOracle.judge(await readHistory(history.file));
    expect([findings.map(finding => finding.class), blind]).toEqual([["split-view", "stuck"], undefined]);
    expect(findings[1]?.title).toBe("a logout never returned and the session stays");
  });
});
