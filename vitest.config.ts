import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["rig/**/*.test.ts", "scenarios/**/*.test.ts", "reports/**/*.test.ts", "containers/**/*.test.ts"],
          exclude: ["**/*.lab.test.ts", "**/*.browser.test.ts", "**/node_modules/**"],
          testTimeout: 30_000,
        },
      },
    ],
  },
});
