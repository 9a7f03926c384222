import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Run, runSchema } from "../results/schema.ts";
import { runCli } from "../testing/cli.ts";
import { type MachineState, machineIsBackTo, machineState } from "../testing/machine-state.ts";

/** The reference comparison, as a user starts it: real kernels, real packets, a real corruption. */
describe("recovery/stale-write, debian-5.10 against debian-6.1", () => {
  let out: string;
  let before: MachineState;
  let status: number | null;
  let stderr: string;
  let run: Run;

  beforeAll(async () => {
    out = await mkdtemp(path.join(tmpdir(), "rig-reference-"));
    before = await machineState();
    // Without kernels: they are the scenario's reference.
    const result = await runCli("compare", "recovery/stale-write", "--repeat", "4", "--json", "--out", out);
    ({ status, stderr } = result);
    expect(result.stdout, stderr).not.toBe("");
    run = runSchema.parse(JSON.parse(result.stdout));
  });
  afterAll(() => rm(out, { recursive: true, force: true }));

  test("every cell of the base fails with stale data, every cell of the head passes", () => {
    const of = (kernel: string) =>
      run.cells
        .filter(cell => cell.kernel === kernel)
        .map(cell => [cell.status, cell.findings.some(finding => finding.class === "stale"), cell.reason]);
    expect(of("debian-5.10")).toEqual(Array.from({ length: 4 }, () => ["FAIL", true, undefined]));
    expect(of("debian-6.1")).toEqual(Array.from({ length: 4 }, () => ["PASS", false, undefined]));
  });

  test("the verdict is fixed, and nothing is wrong with the head", () => {
    expect(run.comparison.map(({ scenario, verdict }) => [scenario, verdict])).toEqual([
      ["recovery/stale-write", "fixed"],
    ]);
    expect([status, run.exitStatus, run.complete]).toEqual([0, 0, true]);
  });

  test("run.json on disk is what was printed, and the report and the log are beside it", async () => {
    const dir = path.join(out, run.id);
    expect(JSON.parse(await readFile(path.join(dir, "run.json"), "utf8"))).toEqual(run);
    expect((await stat(path.join(dir, "index.html"))).size).toBeGreaterThan(50_000);
    expect(await readFile(path.join(dir, "rig.log"), "utf8")).toMatch(/8\/8 {2}(PASS|FAIL)/);
  });

  test("a stored cell is judged again to the same findings, without a lab", async () => {
    const failed = run.cells.find(cell => cell.status === "FAIL");
    const dir = path.join(out, run.id, failed?.directory ?? "");
    const again = await runCli("check", dir, "--json");
    expect(again.status).toBe(1);
    const stored = JSON.parse(await readFile(path.join(dir, "cell.json"), "utf8")) as { findings: unknown };
    expect((JSON.parse(again.stdout) as { findings: unknown }).findings).toEqual(stored.findings);
  });

  test("both ends' captures and consoles are kept, and the faults' evidence", async () => {
    const dir = path.join(out, run.id, run.cells[0]?.directory ?? "");
    const cell = JSON.parse(await readFile(path.join(dir, "cell.json"), "utf8")) as {
      files: { name: string; bytes: number }[];
      faults: { fault: string; bit: boolean; gone: boolean }[];
    };
    const full = cell.files.filter(file => file.bytes > 0).map(file => file.name);
    expect(full).toEqual(
      expect.arrayContaining([
        "console-initiator.log",
        "console-target.log",
        "path-a-initiator.pcap",
        "path-a-target.pcap",
        "path-b-initiator.pcap",
        "history.ndjson",
      ]),
    );
    expect(cell.faults.map(({ fault, bit, gone }) => [fault, bit, gone]).toSorted()).toEqual([
      ["iscsid-kill#1", true, true],
      ["path-drop:a#1", true, true],
    ]);
  });

  test("the machine is as it was", async () => {
    await machineIsBackTo(before);
  });
});
