import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../core/exec.ts";
import type { Run } from "../results/schema.ts";
import { runCli, startCli } from "../testing/cli.ts";
import { type MachineState, machineIsBackTo, machineState } from "../testing/machine-state.ts";

describe("what a run leaves behind", () => {
  let before: MachineState;
  let out: string;
  const cell = (...more: readonly string[]) => [
    "run",
    "recovery/stale-write",
    "--kernel",
    "debian-6.1",
    "--out",
    out,
    ...more,
  ];

  beforeAll(async () => {
    before = await machineState();
    out = await mkdtemp(path.join(tmpdir(), "rig-clean-"));
  });
  afterAll(() => rm(out, { recursive: true, force: true }));

  /** Resolves when Docker knows both containers of a lab. */
  const labIsThere = async (): Promise<void> => {
    for (;;) {
      const names = await run(["docker", "ps", "--filter", "label=org.iscsi-rig.run", "--format", "{{.Names}}"]);
      if (names.stdout.trim().split("\n").length >= 2) return;
    }
  };

  test("Ctrl-C ends with one message, exit 3 and nothing left", async () => {
    const rig = startCli(cell());
    await labIsThere();
    rig.kill("SIGINT");
    const { status, stderr } = await rig.result;
    expect(status, stderr).toBe(3);
    expect(stderr).toContain("Stopped by SIGINT");
    expect(stderr).not.toMatch(/\n\s+at /);
    await machineIsBackTo(before);
  });

  test("what SIGKILL leaves, rig reap removes, and nothing that is not the rig's", async () => {
    const other = (await run(["docker", "network", "create", "not-of-the-rig"])).stdout.trim();
    try {
      const rig = startCli(cell());
      await labIsThere();
      rig.kill("SIGKILL");
      await rig.result;
      expect((await machineState()).containers.length).toBe(before.containers.length + 2);
      const dry = await runCli("reap", "--dry-run");
      expect(dry.stdout.match(/would remove container/g)?.length).toBe(2);
      const reaped = await runCli("reap");
      expect([reaped.status, reaped.stdout.match(/removed (container|network|directory)/g)?.length]).toEqual([0, 5]);
      expect((await runCli("reap")).stdout).toContain("nothing is left over");
      expect((await machineState()).networks).toContain("not-of-the-rig");
    } finally {
      await run(["docker", "network", "rm", other]);
    }
    await machineIsBackTo(before);
  });

  test("the next start removes what SIGKILL left; reap leaves a running rig alone", async () => {
    const killed = startCli(cell());
    await labIsThere();
    killed.kill("SIGKILL");
    await killed.result;
    const next = startCli(cell("--json"));
    await next.said(/Left over from a rig that was killed, removed: container/);
    await labIsThere();
    expect((await runCli("reap")).stdout).toContain("nothing is left over");
    const { status, stdout, stderr } = await next.result;
    expect(status, stderr).toBe(0);
    expect((JSON.parse(stdout) as Run).cells[0]?.status).toBe("PASS");
    await machineIsBackTo(before);
  });

  test("two rigs at the same time do not disturb each other", async () => {
    const results = await Promise.all([
      startCli(cell("--json")).result,
      startCli(cell("--json", "--seed", "2")).result,
    ]);
    for (const { status, stdout, stderr } of results) {
      expect(status, stderr).toBe(0);
      expect((JSON.parse(stdout) as Run).cells.map(item => item.status)).toEqual(["PASS"]);
    }
    await machineIsBackTo(before);
  });

  test("a kept lab can be entered by rig shell, survives the next start, and goes with rig reap", async () => {
    const kept = await runCli(...cell("--keep-lab"));
    expect(kept.status, kept.stderr).toBe(0);
    expect(kept.stderr).toMatch(/The lab \w+ is kept/);
    const shown = await runCli(
      "shell",
      "initiator",
      "--",
      "sh",
      "-c",
      "hostname; ls /sys/class/iscsi_session | wc -l; exit 7",
    );
    expect([shown.status, shown.stdout]).toEqual([7, "initiator\n2\n"]);
    expect((await runCli("shell", "initator")).stderr).toContain("Did you mean initiator?");
    const log = await readFile(path.join(out, "latest/rig.log"), "utf8");
    expect(log).toContain("rig shell --lab");
    expect((await runCli("reap")).stdout).toContain("removed container");
    await machineIsBackTo(before);
  });
});
