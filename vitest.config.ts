import { defineConfig } from "vitest/config";
import { createSummaryReporter } from "./rig/testing/summary-reporter.ts";

/** Projects run one after another: a lab beside a busy test suite would have its NOP timeouts starved. */
export default defineConfig({
  test: {
    reporters: ["default", createSummaryReporter()],
    projects: [
      {
        test: {
          setupFiles: ["rig/testing/plain-output.ts"],
          name: "unit",
          include: ["rig/**/*.test.ts", "scenarios/**/*.test.ts", "reports/**/*.test.ts", "containers/**/*.test.ts"],
          exclude: ["**/*.lab.test.ts", "**/*.browser.test.ts", "**/node_modules/**"],
          testTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          setupFiles: ["rig/testing/plain-output.ts"],
          name: "browser",
          include: ["reports/**/*.browser.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          setupFiles: ["rig/testing/plain-output.ts"],
          name: "lab",
          include: ["rig/**/*.lab.test.ts"],
          fileParallelism: false,
          // Labs of one file, side by side: more would take the CPU from each other.
          maxConcurrency: 3,
          testTimeout: 240_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
