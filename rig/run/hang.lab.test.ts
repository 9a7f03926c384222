import { mkdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep } from "../core/clock.ts";
import { Scope } from "../core/scope.ts";
import { readHistory } from "../history/reader.ts";
import { openHistory } from "../history/writer.ts";
import { script } from "../lab/node.ts";
import { judge } from "../oracle/judge.ts";
import { openBench } from "../scenario/bench.ts";
import { type LabFixture, labFixture, testScenario } from "../testing/lab-fixture.ts";

/** A mapped device that is suspended answers nobody: I/O hangs, and the kernel's own watch on blocked tasks says so. */
describe("hang and kernel log in a real lab", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  test("operations without an answer and a task that the kernel calls hung are found", async () => {
    const dir = path.join(fixture.out, "hang");
    await mkdir(dir);
    const signal = new AbortController().signal;
    const about = { run: "test", scenario: "test/hang", kernel: fixture.kernel.name, seed: 1 };
    const history = await openHistory(path.join(dir, "history.ndjson"), about);
    const scope = new Scope(() => undefined);
    const scenario = testScenario("hang", () => Promise.resolve());
    const bay = await fixture.bays.take();
    const ready = await fixture.labs.ready({
      bay,
      kernel: fixture.kernel,
      scenario,
      backingMiB: scenario.lab.lunMiB,
      sink: history,
      artefacts: dir,
      timeoutScale: 1,
      signal,
      phase: (_, work) => work(),
      onCleanupFailure: () => undefined,
    });
    const { lab, configured } = ready;
    try {
      const identity = "hang";
      const bench = await openBench({
        lab,
        configured,
        scenario,
        seed: 1,
        sink: history,
        identity,
        scale: 1,
        signal,
        scope,
      });
      await bench.ledger.rewrite().acknowledged(10_000);
      // A limit of its own: the configuration's is made for networks, and this test need not wait that long.
      history.record({ kind: "limits", answerWithinMs: 1000, why: "this test's own limit" });
      await script(
        lab.nodes.initiator,
        "echo 1 > /proc/sys/kernel/hung_task_timeout_secs; dmsetup suspend --noflush --nolockfs mp; dd if=/dev/zero of=/dev/mapper/mp bs=4k count=1 seek=1000 conv=fsync > /dev/null 2>&1 &",
      );
      const stuck = bench.ledger.rewrite();
      await lab.nodes.initiator.console.waitFor(
        /blocked for more than \d+ seconds/,
        20_000,
        "the kernel to notice the blocked task",
        signal,
      );
      await sleep(1200, signal);
      expect(stuck.inFlight).toBe(8);
    } finally {
      await scope.close();
      await lab[Symbol.asyncDispose]();
      await bay[Symbol.asyncDispose]();
      await history.close();
    }
    const verdict = judge(await readHistory(history.file));
    expect(verdict.status).toBe("FAIL");
    expect(verdict.findings.map(finding => finding.class)).toEqual(expect.arrayContaining(["hang", "hung-task"]));
  });
});
