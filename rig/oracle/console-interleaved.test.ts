/** Reports whose lines were mixed with others, broken by them, or lost their opening. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { messageOf } from "./console-line.ts";
import { reportsOf } from "./console-report.ts";

const sample = (name: string): string[] =>
  readFileSync(join(import.meta.dirname, "testdata", "console", name), "utf8")
    .trimEnd()
    .split("\n");
const titles = (lines: readonly string[]): string[] =>
  reportsOf(lines).map(({ class: name, title }) => `${name}: ${title}`);
const at = (text: string): string => `[    1.000001] ${text}`;
/** The sample's lines as if one caller had printed them. */
const by = (caller: string, lines: readonly string[]): string[] =>
  lines.map(line => `[    1.000001][${caller.padStart(6)}] ${messageOf(line).message}`);

/** The lines of both, by turns of `step`. */
const mixed = (a: readonly string[], b: readonly string[], step: number): string[] => {
  const lines: string[] = [];
  for (let i = 0; i < Math.max(a.length, b.length); i += step)
    lines.push(...a.slice(i, i + step), ...b.slice(i, i + step));
  return lines;
};

describe("reports of two processors at the same time", () => {
  const warning = by("T301", sample("warning-5.10.txt"));
  const others: readonly [string, string][] = [
    ["null-dereference-5.10-panic.txt", "panic: NULL pointer dereference in __iscsi_complete_pdu"],
    ["kasan-use-after-free-5.10.txt", "bug: "],
    ["soft-lockup-6.1.txt", "lockup: soft lockup in iscsi_queuecommand"],
  ];

  test.each(others.flatMap(([name, title]) => [1, 2, 5].map(step => [name, title, step] as const)))(
    "a warning and %s come apart (%s, by turns of %i)",
    (name, title, step) => {
      const found = titles(mixed(warning, by("C1", sample(name)), step));
      expect(found).toHaveLength(2);
      expect(found).toContain("warning: WARNING in iscsi_stop_conn");
      expect(found.some(one => one.startsWith(title))).toBe(true);
    },
  );

  test("each has its own lines", () => {
    const reports = reportsOf(mixed(warning, by("C1", sample("soft-lockup-6.1.txt")), 1));
    for (const { lines } of reports) expect(new Set(lines.map(line => messageOf(line).caller)).size).toBe(1);
  });

  test("the stack that another processor prints belongs to who asked for it", () => {
    const lines = [
      ...by("C1", ["rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "Sending NMI from CPU 1 to CPUs 0:"]),
      ...by("C0", [
        "NMI backtrace for cpu 0",
        "RIP: 0010:iscsi_data_xmit+0x1/0x2",
        "Call Trace:",
        " iscsi_data_xmit+0x1/0x2",
      ]),
    ];
    expect(titles(lines)).toEqual(["rcu-stall: rcu stall in iscsi_data_xmit"]);
  });
});

describe("an opening line that was broken in two", () => {
  const whole = "WARNING: CPU: 0 PID: 301 at drivers/scsi/libiscsi.c:531 iscsi_free_task+0x1c4/0x1e0 [libiscsi]";
  const rest = ["CPU: 0 PID: 301 Comm: iscsid", "Call Trace:", " iscsi_free_task+0x1/0x2", "---[ end trace 0 ]---"];

  test.each([
    ["by nothing", []],
    ["by another processor's line", [at("sd 2:0:0:0: [sda] tag#3 timing out")]],
    ["by a program's line", ["iscsid: connection1:0 is operational"]],
    ["by three lines", ["one", at("two"), "three"]],
  ])("%s", (_name, between) => {
    for (const cut of [12, 20, 40, 60]) {
      const lines = [at(whole.slice(0, cut)), ...between, whole.slice(cut), ...rest.map(at)];
      expect(titles(lines)).toEqual(["warning: WARNING in iscsi_free_task"]);
      expect(reportsOf(lines)[0]?.start).toBe(0);
    }
  });

  test("of which the first part would do is told by the whole", () => {
    const kasan = "BUG: KASAN: slab-use-after-free in iscsi_sw_tcp_conn_stop+0x1a9/0x1d0";
    expect(titles([at(kasan.slice(0, 20)), at("eth1: link up"), kasan.slice(20)])).toEqual([
      "bug: BUG: KASAN: slab-use-after-free in iscsi_sw_tcp_conn_stop",
    ]);
  });

  test("of a panic", () => {
    expect(titles([at("Kernel panic - not sync"), "ing: Fatal exception"])).toEqual([
      "panic: Kernel panic: Fatal exception",
    ]);
  });

  test("and never came to its end is forgotten", () => {
    const far = Array.from({ length: 5 }, (_, i) => at(`line ${i}`));
    expect(titles([at(whole.slice(0, 20)), ...far, whole.slice(20)])).toEqual([]);
  });

  test("by the text of a program beyond recognition is known by what follows it", () => {
    const lines = [
      at("------------[ cut here ]------------"),
      `${at(whole.slice(0, 20))}iscsiadm: waiting`,
      whole.slice(20),
      ...rest.map(at),
    ];
    const [report] = reportsOf(lines);
    expect(report).toMatchObject({ class: "warning", title: "WARNING in iscsi_free_task", start: 0 });
    expect(report?.lines).toEqual(lines);
  });
});

test.each([
  ["follows another message", `${at("sd 2:0:0:0: timing out")}${at("kernel BUG at drivers/scsi/libiscsi.c:531!")}`],
  ["is followed by one", `${at("kernel BUG at drivers/scsi/libiscsi.c:531!")}${at("sd 2:0:0:0: timing out")}`],
  ["is broken by the next", `${at("kernel BUG at drivers/scsi/li")}${at("biscsi.c:531!")}`],
])("a report whose line has lost its newline and %s is told once, with the whole line", (_name, line) => {
  const [report, ...more] = reportsOf([line, at("RIP: 0010:iscsi_free_task+0x1/0x2")]);
  expect(more).toEqual([]);
  expect(report).toMatchObject({ class: "oops", title: "kernel BUG in iscsi_free_task", start: 0 });
  expect(report?.lines[0]).toBe(line);
});

test("what sysrq shows of blocked tasks is no report, and ends one", () => {
  const shown = [
    "sysrq: Show Blocked State",
    "task:iscsid          state:D stack:    0 pid:  301 ppid:     1 flags:0x00004002",
    "Call Trace:",
    " <TASK>",
    " __schedule+0x2d1/0x870",
    " iscsi_conn_teardown+0x1/0x2 [scsi_transport_iscsi]",
    " </TASK>",
  ];
  expect(titles(shown.map(at))).toEqual([]);
  const hung = sample("hung-task-6.1.txt").slice(0, 8);
  const [report, ...more] = reportsOf([...hung, ...shown.map(at)]);
  expect(more).toEqual([]);
  expect(report?.lines.join("\n")).not.toContain("iscsi_conn_teardown");
});
