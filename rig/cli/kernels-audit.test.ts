import { writeFile } from "node:fs/promises";
import path from "node:path";
import { Command } from "commander";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Answer } from "../kernel/audit.ts";
import type { CellSummary } from "../results/schema.ts";
import type { RunRequest } from "../run/run.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { auditCommand } from "./kernels-audit.ts";

/** What was asked to run, and the status that every cell of it gets. */
const lab: { asked: { scenarios: string[]; seeds: number[] }[]; status: "PASS" | "FAIL" } = vi.hoisted(() => ({
  asked: [],
  status: "PASS",
}));

vi.mock("../run/host.ts", () => ({ prepareHost: () => Promise.resolve({ docker: {} }) }));
vi.mock("../lab/reaper.ts", () => ({ reap: () => Promise.resolve([]) }));
vi.mock("./resolve-kernels.ts", () => ({ resolveKernels: () => Promise.resolve(() => ({ name: "kernel" })) }));
vi.mock("../run/run.ts", () => ({
  runAll: ({ trials, seeds }: RunRequest) => {
    lab.asked.push({ scenarios: trials.map(({ scenario }) => scenario.name), seeds: [...seeds] });
    const cells = trials.flatMap(({ scenario }) =>
      seeds.map(seed => ({
        scenario: scenario.name,
        seed,
        status: lab.status,
        findings: lab.status === "FAIL" ? [{ oracle: "integrity", class: "stale", title: "old data over newer" }] : [],
      })),
    ) as Partial<CellSummary>[];
    return Promise.resolve({ run: { cells }, directory: "results/x", report: undefined });
  },
}));

/** `rig kernels audit ...args --json` for an image; the answers by id, and the exit status. */
const audit = async (...args: readonly string[]) => {
  const file = path.join(await temporaryDirectory(), "vmlinuz");
  await writeFile(file, "x");
  let said = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation(text => {
    said += String(text);
    return true;
  });
  onTestFinished(() => {
    write.mockRestore();
    process.exitCode = undefined;
  });
  lab.asked.length = 0;
  const parent = new Command("kernels").option("--json", "as JSON", false).addCommand(auditCommand());
  await parent.parseAsync(["audit", `image:${file}`, "--json", ...args], { from: "user" });
  write.mockRestore();
  const { fixes, ...facts } = JSON.parse(said) as { fixes: Answer[] };
  const answers = new Map(fixes.flatMap(fix => [fix, ...fix.parts]).map(answer => [answer.id, answer]));
  return { answers, facts, status: process.exitCode };
};

test("an image without --run: nothing is known, nothing is run", async () => {
  const { answers, facts, status } = await audit();
  expect(lab.asked).toEqual([]);
  expect(new Set([...answers.values()].map(({ verdict }) => verdict))).toEqual(new Set(["unknown"]));
  expect(facts).toMatchObject({ noSource: expect.stringContaining("image") as string });
  expect(status).toBe(0);
});

test("an image with --run: the scenario that can tell runs, on three seeds, and its fix is present", async () => {
  lab.status = "PASS";
  const { answers, facts } = await audit("--run");
  expect(lab.asked).toEqual([{ scenarios: ["recovery/stale-write"], seeds: [1, 2, 3] }]);
  expect(facts).toMatchObject({ results: "results/x" });
  expect(answers.get("c0920cd36f17")).toMatchObject({ verdict: "present", how: "scenario" });
  expect(answers.get("788b71c54f21")?.verdict).toBe("unknown");
  expect(answers.get("788b71c54f21")?.why).toMatch(/recovery\/stale-write does not decide/);
  expect(answers.get("23d6fefbb3f6 (1)")?.why).toMatch(/unless the kernel is built with \+offload-model/);
  expect(answers.get("0aadafb5c344")).toMatchObject({ verdict: "unknown", how: "nothing" });
});

test("where the scenario fails its fix is absent, and --fail-on tells", async () => {
  lab.status = "FAIL";
  const { answers, status } = await audit("--run", "--repeat", "2", "--seed", "7", "--fail-on", "absent");
  expect(lab.asked[0]?.seeds).toEqual([7, 8]);
  expect(answers.get("c0920cd36f17")).toMatchObject({
    verdict: "absent",
    how: "scenario",
    why: "recovery/stale-write failed in 2 of 2: old data over newer",
  });
  expect(status).toBe(1);
});
