/** The seed's defects, each brought back by a variant of one source: base has it, head has not, and nothing else differs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Run, runSchema } from "../results/schema.ts";
import { runCli } from "../testing/cli.ts";

const REPEAT = 2;

let out: string;
beforeAll(async () => {
  out = await mkdtemp(path.join(tmpdir(), "rig-defects-"));
});
afterAll(() => rm(out, { recursive: true, force: true }));

const compare = async (...args: string[]): Promise<Run> => {
  const { stdout, stderr } = await runCli("compare", ...args, "--repeat", String(REPEAT), "--json", "--out", out);
  expect(stdout, stderr).not.toBe("");
  return runSchema.parse(JSON.parse(stdout));
};

/** Status, and the classes of what was found, of every cell of a scenario on one side. */
const seen = (run: Run, scenario: string, side: "base" | "head") => {
  const kernel = run.comparison.find(one => one.scenario === scenario)?.[side].kernel;
  return run.cells
    .filter(cell => cell.scenario === scenario && cell.kernel === kernel)
    .map(({ status, reason, findings }) => ({ status, reason, classes: findings.map(finding => finding.class) }));
};

const expectDefect = (run: Run, scenario: string, ...classes: string[]) => {
  const base = seen(run, scenario, "base");
  expect(base.map(({ status }) => status)).toEqual(Array.from({ length: REPEAT }, () => "FAIL"));
  for (const cell of base) expect(cell.classes).toEqual(expect.arrayContaining(classes));
  expect(seen(run, scenario, "head")).toEqual(
    Array.from({ length: REPEAT }, () => ({ status: "PASS", reason: undefined, classes: [] })),
  );
};

describe("with linux-5.10 as its references have it", () => {
  let run: Run;
  beforeAll(async () => {
    run = await compare("recovery/offload-stale-write", "recovery/late-stop", "recovery/destroy-again");
  }, 1_500_000);

  test("an endpoint that nobody disconnects: the initiator dies, and the disk has what nobody wrote there", () => {
    expectDefect(run, "recovery/offload-stale-write", "panic");
    // What the dead connection delivers is old data, or whatever its memory holds by then.
    for (const { classes } of seen(run, "recovery/offload-stale-write", "base"))
      expect(classes).toSatisfy((all: string[]) => ["stale", "foreign", "misdirected"].some(one => all.includes(one)));
  });

  test("a stop that comes after the recovery: a device goes offline on a healthy path", () => {
    expectDefect(run, "recovery/late-stop", "offline");
  });

  test("a destroy that is refused: the session stays for good", () => {
    expectDefect(run, "recovery/destroy-again", "stuck");
  });
});

test("tasks cleaned up before their endpoint is disconnected: the initiator dies", async () => {
  const run = await compare(
    "recovery/cleanup-order",
    ...["--base", "linux-5.10+seed-defect-2+offload-model+slow-disconnect"],
    ...["--head", "linux-5.10+offload-model+slow-disconnect"],
  );
  expectDefect(run, "recovery/cleanup-order", "panic");
}, 1_500_000);
