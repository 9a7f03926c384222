import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { messageOf } from "./console-line.ts";
import { REPORT_LINES, reportsOf } from "./console-report.ts";
import { panicTitle } from "./console-start.ts";

const DIRECTORY = join(import.meta.dirname, "testdata", "console");
const samples = readdirSync(DIRECTORY).filter(name => name.endsWith(".txt"));
const linesOf = (sample: string): string[] => readFileSync(join(DIRECTORY, sample), "utf8").trimEnd().split("\n");

interface Expected {
  readonly reports: readonly { class: string; title: string; start: number; panic?: number }[];
}
const expectedOf = (sample: string): Expected =>
  JSON.parse(readFileSync(join(DIRECTORY, sample.replace(/txt$/, "json")), "utf8")) as Expected;

const summary = (lines: readonly string[]): Expected => ({
  reports: reportsOf(lines).map(report => ({
    class: report.class,
    title: report.title,
    start: report.start + 1,
    ...(report.panic === undefined ? {} : { panic: report.panic + 1 }),
  })),
});

test.each(samples)("%s", sample => {
  expect(summary(linesOf(sample))).toEqual(expectedOf(sample));
});

describe("the same reports are found", () => {
  const stamped = samples.filter(sample => !sample.startsWith("healthy") && !sample.includes("plain"));

  test.each(stamped)("in %s without time stamps", sample => {
    const bare = linesOf(sample).map(line => messageOf(line).message);
    expect(summary(bare)).toEqual(expectedOf(sample));
  });

  test.each(stamped)("in %s with caller ids and log levels", sample => {
    const dressed = linesOf(sample).map(line => `<6>[   99.123456][  T777] ${messageOf(line).message}`);
    expect(summary(dressed)).toEqual(expectedOf(sample));
  });

  test.each(stamped)("in %s with caller ids alone", sample => {
    const dressed = linesOf(sample).map(line => `[   C1] ${messageOf(line).message}`);
    expect(summary(dressed)).toEqual(expectedOf(sample));
  });
});

describe("a message", () => {
  test.each([
    ["[    1.234567] hello", "hello", true, ""],
    ["[    1.234567][   T12] hello", "hello", true, "T12"],
    ["<4>[12345.234567][   C0]  hello", " hello", true, "C0"],
    ["[   T12] hello", "hello", false, "T12"],
    ["login: [    1.234567] hello", "hello", true, ""],
    ["hello [world]", "hello [world]", false, ""],
  ])("%s", (line, message, kernel, caller) => {
    expect(messageOf(line)).toEqual({ message, kernel, caller });
  });
});

describe("what is kept of a report", () => {
  test("begins at the cut and ends with the report", () => {
    const [report] = reportsOf(linesOf("warning-5.10.txt"));
    expect(report?.lines[0]).toContain("[ cut here ]");
    expect(report?.lines.at(-1)).toContain("---[ end trace");
    expect(report?.frame).toBe("iscsi_stop_conn");
  });

  test("does not run on into what came after", () => {
    const [first] = reportsOf(linesOf("hung-task-6.1.txt"));
    expect(first?.lines.join("\n")).not.toContain("Failing path");
  });

  test("ends where the report says so", () => {
    const last = (sample: string) => reportsOf(linesOf(sample))[0]?.lines.at(-1);
    expect(last("several-6.1.txt")).toContain("---[ end trace");
    expect(last("kasan-slab-6.12-caller.txt")).toMatch(/={20}$/);
    expect(last("ubsan-6.6.txt")).toContain("---[ end trace ]---");
  });

  test("is bounded, and keeps the panic", () => {
    const trace = Array.from({ length: 500 }, (_, i) => `[    2.000001]  function_${i}+0x1/0x2`);
    const lines = ["[    1.000001] Oops: 0000 [#1]", "[    1.000002] Call Trace:", ...trace];
    const [report] = reportsOf([...lines, "[    3.000001] Kernel panic - not syncing: Fatal exception"]);
    expect(report?.lines).toHaveLength(REPORT_LINES);
    expect(report?.lines.at(-1)).toContain("Kernel panic");
    expect(report?.class).toBe("panic");
  });
});

test("a panic long after a warning is an event of its own", () => {
  const warning = "[    1.000001] WARNING: CPU: 0 PID: 1 at a/b.c:1 foo+0x1/0x2";
  const reports = reportsOf([
    warning,
    "[    9.000001] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
  ]);
  expect(reports.map(({ title }) => title)).toEqual(["WARNING in foo", "Kernel panic: Attempted to kill init"]);
});

test.each([
  ["INFO: task iscsid:7 blocked for more than 120 seconds.", "hung_task: blocked tasks", 1],
  ["watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [x:1]", "softlockup: hung tasks", 1],
  ["watchdog: Watchdog detected hard LOCKUP on cpu 0", "Hard LOCKUP", 1],
  ["rcu: INFO: rcu_sched self-detected stall on CPU", "RCU Stall", 1],
  ["BUG: KASAN: use-after-free in foo+0x1/0x2", "KASAN: panic_on_warn set ...", 1],
  ["WARNING: CPU: 0 PID: 1 at a/b.c:1 foo+0x1/0x2", "kernel: panic_on_warn set ...", 1],
  ["WARNING: CPU: 0 PID: 1 at a/b.c:1 foo+0x1/0x2", "hung_task: blocked tasks", 2],
  ["INFO: task iscsid:7 blocked for more than 120 seconds.", "kernel: panic_on_warn set ...", 2],
])("after %s a panic for %s makes %i event(s)", (report, reason, events) => {
  const reports = reportsOf([`[    1.000001] ${report}`, `[    2.000001] Kernel panic - not syncing: ${reason}`]);
  expect(reports).toHaveLength(events);
  expect(reports.at(-1)?.class).toBe("panic");
});

test("a panic's title has nothing that differs from run to run", () => {
  expect(panicTitle("stack-protector: Kernel stack is corrupted in: iscsi_eh+0x12/0x34")).toBe(
    "Kernel panic: stack-protector: Kernel stack is corrupted in: iscsi_eh",
  );
  expect(panicTitle("corrupted stack end ffff888012345678 on 12")).toBe("Kernel panic: corrupted stack end ADDR on N");
});
