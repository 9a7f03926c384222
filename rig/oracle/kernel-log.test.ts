import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
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
    expect(finding?.excerpt?.length).toBeLessThanOrEqual(60);
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

test("blind where a node's console was not seen", () => {
  expect(judge(new HistoryBuilder().console("target", 1, "up")).blind).toContain("the initiator's console");
  expect(judge(new HistoryBuilder()).blind).toContain("the target's and the initiator's console");
});
