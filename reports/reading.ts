/** For tests of the page: builds the app, writes a report of the fixture, and opens it in a real browser, from a file. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { expect } from "vitest";
import { writeHtmlReport } from "../rig/report/html.ts";
import { type FixtureOptions, writeFixture } from "../rig/report/testdata/results.ts";
import type { Run } from "../rig/results/schema.ts";

const CHROMIUM =
  process.env["RIG_CHROMIUM"] ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(f => existsSync(f));

// Chromium must stay on this machine, and must not need a sandbox where the tests run as root.
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface ReportInBrowser {
  /** Opens the report and, at the end, insists that nothing was complained of and nothing was fetched. */
  reading(hash: string, use: (page: Page) => Promise<void>, options?: BrowserContextOptions): Promise<void>;
  close(): Promise<void>;
}

/** A report of the fixture; `change` has the last word on its run. */
export const openReport = async (
  fixture: FixtureOptions,
  change: (run: Run) => Run = run => run,
): Promise<ReportInBrowser> => {
  if (CHROMIUM === undefined)
    throw new Error("Expected Chromium in RIG_CHROMIUM or /usr/bin. Run: apt-get install chromium");
  const directory = await mkdtemp(join(tmpdir(), "rig-browser-"));
  const outDir = join(directory, "app");
  await build({ configFile: join(import.meta.dirname, "vite.config.ts"), build: { outDir } });
  const run = change(await writeFixture(directory, fixture));
  await writeFile(join(directory, "run.json"), JSON.stringify(run));
  const { file } = await writeHtmlReport(directory, { appFile: join(outDir, "app.html") });
  const url = pathToFileURL(file).href;
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  return {
    reading: async (hash, use, options = {}) => {
      const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, ...options });
      try {
        const page = await context.newPage();
        const complaints: string[] = [];
        const fetched: string[] = [];
        page.on("console", message => complaints.push(message.text()));
        page.on("pageerror", error => complaints.push(error.message));
        page.on("request", request => {
          if (request.url() !== `${url}${hash}` && !request.url().startsWith("data:")) fetched.push(request.url());
        });
        await page.goto(`${url}${hash}`);
        await use(page);
        expect(complaints).toEqual([]);
        expect(fetched.filter(f => f.split("#")[0] !== url)).toEqual([]);
      } finally {
        await context.close();
      }
    },
    close: async () => {
      await browser.close();
      await rm(directory, { recursive: true });
    },
  };
};
