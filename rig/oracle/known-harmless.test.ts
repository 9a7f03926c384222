import { describe, expect, test } from "vitest";
import { reportsOf } from "./console-report.ts";
import { harmlessReason, KNOWN_HARMLESS } from "./known-harmless.ts";

/** For each entry a line that it silences, and the nearest one that it must not. */
const EXAMPLES: readonly (readonly [harmless: string, report: string, title: string])[] = [
  [
    "BUG: MAX_LOCKDEP_CHAIN_HLOCKS too low!",
    "BUG: MAX_LOCKDEP_DEPTH_SOMETHING_ELSE seen",
    "BUG: MAX_LOCKDEP_DEPTH_SOMETHING_ELSE seen",
  ],
  [
    "Kernel panic - not syncing: sysrq triggered crash",
    "Kernel panic - not syncing: sysrq handler crashed",
    "Kernel panic: sysrq handler crashed",
  ],
];

const found = (...messages: string[]) =>
  reportsOf(messages.map(text => `[    1.000001] ${text}`)).map(({ title }) => title);

test("every entry has its example, and a reason", () => {
  expect(KNOWN_HARMLESS).toHaveLength(EXAMPLES.length);
  for (const [index, { pattern, reason }] of KNOWN_HARMLESS.entries()) {
    expect(EXAMPLES[index]?.[0]).toMatch(pattern);
    expect(reason).toMatch(/\w\.$/);
  }
});

describe.each(EXAMPLES)("%s", (harmless, report, title) => {
  test("is no report", () => {
    expect(harmlessReason(harmless)).toBeDefined();
    expect(found(harmless)).toEqual([]);
  });

  test("does not silence what only looks like it", () => {
    expect(harmlessReason(report)).toBeUndefined();
    expect(found(report)).toEqual([title]);
  });

  test("does not silence what follows", () => {
    const warning = "WARNING: CPU: 0 PID: 1 at a/b.c:1 foo+0x1/0x2";
    expect(found(harmless, warning)).toEqual(["WARNING in foo"]);
    expect(found(warning, "---[ end trace 0 ]---", harmless)).toEqual(["WARNING in foo"]);
  });
});
