import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CONSOLE_FULL } from "../core/names.ts";
import { createRng } from "../core/rng.ts";
import { cleanLine } from "../core/untrusted.ts";
import { findingSchema } from "./finding.ts";
import { kernelLogOracle } from "./kernel-log.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";

const sample = (name: string): string[] =>
  readFileSync(join(import.meta.dirname, "testdata", "console", name), "utf8")
    .trimEnd()
    .split("\n");

const judge = (builder: HistoryBuilder) => {
  const judgement = kernelLogOracle.judge(builder.build());
  for (const finding of judgement.findings) findingSchema.parse(finding);
  return judgement;
};

const quiet = () =>
  new HistoryBuilder()
    .console("target", 1, ...sample("healthy-boot.txt"))
    .console("initiator", 1, ...sample("healthy-recovery.txt"));

describe("two consoles", () => {
  test("with nothing but an ordinary boot and an ordinary recovery", () => {
    expect(judge(quiet())).toEqual({ findings: [] });
  });

  test("one with a crash that ended in a panic", () => {
    const crash = sample("null-dereference-5.10-panic.txt");
    const history = quiet()
      .fault("path-drop:a#1", 2, 5)
      .console("initiator", 7.5, ...crash)
      .build();
    const [finding, ...rest] = kernelLogOracle.judge(history).findings;
    expect(rest).toEqual([]);
    expect(finding).toMatchObject({
      oracle: "kernel-log",
      class: "panic",
      title: "NULL pointer dereference in __iscsi_complete_pdu",
    });
    expect(finding?.explanation).toBe(
      'The initiator\'s kernel reported "NULL pointer dereference in __iscsi_complete_pdu" on its console at 7.500 s, ' +
        "2.400 s after path-drop:a#1 was healed. The report names __iscsi_complete_pdu. " +
        'The kernel did not survive it: "Kernel panic - not syncing: Fatal exception in interrupt".',
    );
    const shown = finding?.lines.map(line => {
      const event = history.events[line - 2];
      return event?.kind === "console" ? event.line.slice("[  103.902551] ".length).slice(0, 12) : event?.kind;
    });
    expect(shown).toEqual(["BUG: kernel ", "Kernel panic", "fault"]);
    expect(finding?.excerpt?.[0]).toContain("BUG: kernel NULL pointer dereference");
    expect(finding?.excerpt?.at(-1)).toContain("---[ end Kernel panic");
    expect(finding?.excerpt?.length).toBeGreaterThan(30);
  });

  test("one finding for each title and node, the worst first", () => {
    const builder = quiet()
      .console("initiator", 3, ...sample("several-6.1.txt"))
      .console("target", 4, ...sample("several-6.1.txt"));
    const { findings } = judge(builder);
    expect(findings.map(finding => finding.class)).toEqual(["oops", "oops", "warning", "warning"]);
    expect(findings.map(({ explanation }) => /^The (\w+)'s/.exec(explanation)?.[1])).toEqual([
      "target",
      "initiator",
      "target",
      "initiator",
    ]);
    expect(findings[2]?.explanation).toContain("It was reported 2 times.");
    expect(findings[2]?.lines).toHaveLength(2);
  });

  test("a title that came more than once is as bad as its worst", () => {
    const warning = "[    1.000001] WARNING: CPU: 0 PID: 1 at a/b.c:1 foo+0x1/0x2";
    const panic = "[    2.000001] Kernel panic - not syncing: panic_on_warn set ...";
    const other = "[    1.500001] BUG: KASAN: use-after-free in bar+0x1/0x2";
    const { findings } = judge(quiet().console("initiator", 5, warning, other, warning, panic));
    expect(findings.map(finding => [finding.class, finding.title])).toEqual([
      ["panic", "WARNING in foo"],
      ["bug", "BUG: KASAN: use-after-free in bar"],
    ]);
  });

  test("the lines of two nodes are not mixed", () => {
    const report = sample("warning-5.10.txt");
    const builder = quiet();
    for (const line of report)
      builder.console("target", 5, line).console("initiator", 5, "[    5.000001] eth0: link up");
    expect(judge(builder).findings.map(({ title }) => title)).toEqual(["WARNING in iscsi_stop_conn"]);
  });
});

test("fifty titles are told, and how many more there are", () => {
  const warnings = Array.from(
    { length: 60 },
    (_, i) => `[    1.000001] WARNING: CPU: 0 PID: 1 at a/b.c:1 f${i}+0x1/0x2`,
  );
  const { findings } = judge(quiet().console("initiator", 5, ...warnings));
  expect(findings).toHaveLength(50);
  expect(findings.at(-1)?.explanation).toMatch(/ There are 10 more titles\.$/);
});

describe("five megabytes of noise", () => {
  const rng = createRng(7);
  const noise = (): string[] => {
    const bytes = Buffer.alloc(5_000_000);
    for (let at = 0; at < bytes.length; at++) bytes[at] = rng.integer(0, 255);
    return bytes
      .toString("latin1")
      .split("\n")
      .map(line => cleanLine(line, 1000));
  };
  const escapes = Array.from({ length: 50_000 }, (_, i) =>
    cleanLine(`\u001b[2J\u001b[${i % 80};1H[  OK  ] BUG-free ${i} \u001b[31m`.repeat(2), 1000),
  );

  test.each([
    ["of random bytes", noise],
    ["of terminal escapes", () => escapes],
    ["of one line", () => ["[ ".repeat(2_500_000)]],
    [
      "of beginnings",
      () => Array.from({ length: 50_000 }, (_, i) => `[    1.000001][ T${i}] Oops ${"[ 1.000001".repeat(9)}`),
    ],
  ])("%s are no finding and cost little, and hide no report", (_name, lines) => {
    const text = lines();
    const history = quiet()
      .console("initiator", 5, ...text, ...sample("warning-5.10.txt"), ...text)
      .build();
    const began = performance.now();
    const { findings } = kernelLogOracle.judge(history);
    expect(performance.now() - began).toBeLessThan(4000);
    expect(findings.map(({ title }) => title)).toEqual(["WARNING in iscsi_stop_conn"]);
  });
});

test("blind where a console said too much to be read", () => {
  const full = judge(quiet().console("target", 5, CONSOLE_FULL));
  expect(full.findings).toEqual([]);
  expect(full.blind).toContain("The target's console said too much");
});

test("blind where a node's console was not seen", () => {
  expect(judge(new HistoryBuilder().console("target", 1, "up")).blind).toContain("the initiator's console");
  expect(judge(new HistoryBuilder()).blind).toContain("the target's and the initiator's console");
});
