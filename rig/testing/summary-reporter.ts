/** Prints `N passed, N failed` alone on the last line of a test run, for whoever reads only that; and why tests were skipped. */
import type { Reporter, TestCase, TestModule, TestRunEndReason, Vitest } from "vitest/node";

export const createSummaryReporter = (): Reporter => {
  const skipped: string[] = [];
  let vitest: Vitest | undefined;
  return {
    onInit: (instance: Vitest) => {
      vitest = instance;
    },
    onTestCaseResult: (test: TestCase) => {
      const result = test.result();
      if (result.state === "skipped") skipped.push(`${test.fullName}: ${result.note ?? "no reason given"}`);
    },
    onTestRunEnd: (modules: readonly TestModule[], errors: readonly unknown[], reason: TestRunEndReason) => {
      const count = { passed: 0, failed: 0, skipped: 0 };
      for (const module of modules) {
        for (const test of module.children.allTests()) {
          const { state } = test.result();
          if (state !== "pending") count[state]++;
        }
        // A file that does not load has no tests to count, and must not vanish from the sum.
        if (
          module.state() === "failed" &&
          [...module.children.allTests()].every(test => test.result().state !== "failed")
        )
          count.failed++;
      }
      count.failed += errors.length;
      if (reason === "interrupted") count.failed++;
      for (const line of skipped) vitest?.logger.log(`skipped: ${line}`);
      vitest?.logger.log(
        `${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ""}`,
      );
    },
  };
};
