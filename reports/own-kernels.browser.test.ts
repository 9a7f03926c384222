/** The report of a run in which each scenario has a base and a head of its own, with the long names of built kernels. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { OWN_BASE, OWN_HEAD } from "../rig/report/testdata/results.ts";
import { openReport, type ReportInBrowser } from "./reading.ts";

let report: ReportInBrowser;
const reading: ReportInBrowser["reading"] = (...request) => report.reading(...request);

beforeAll(async () => {
  report = await openReport({ ownKernels: true });
}, 60_000);

afterAll(() => report.close());

test("the top counts scenarios, and has a sentence for each", () =>
  reading("", async page => {
    expect(await page.title()).toBe("2 scenarios, each on its own base and head: 0 regressed, 2 fixed.");
    const sentences = await page.locator(".sentence").allInnerTexts();
    expect(sentences).toHaveLength(2);
    expect(sentences[1]).toContain(`${OWN_BASE.name} corrupts data in 5 of 5 cells`);
  }));

test("the table has a base and a head, and says which kernels they are of each scenario", () =>
  reading("", async page => {
    expect(await page.locator(".matrix thead th").allInnerTexts()).toEqual([
      "scenario",
      "base",
      "head",
      "verdict",
      "p",
    ]);
    const rows = page.locator(".matrix tbody tr");
    const kernels = (row: number) => rows.nth(row).locator(".own").allInnerTexts();
    expect([await kernels(0), await kernels(1)]).toEqual([
      ["debian-5.10", "debian-6.1"],
      [OWN_BASE.name, OWN_HEAD.name],
    ]);
    for (const row of [0, 1]) {
      expect(await rows.nth(row).locator("td").nth(0).locator(".seed.FAIL").count()).toBe(5);
      expect(await rows.nth(row).locator("td").nth(1).locator(".seed.PASS").count()).toBe(5);
    }
    expect(await page.locator(".matrix").innerText()).not.toContain("not run");
  }));

test("all kernels are told, each once, and a cell of a long name can be opened", () =>
  reading("", async page => {
    expect(await page.locator(".provenance .kernel-name").allInnerTexts()).toEqual([
      "debian-5.10",
      "debian-6.1",
      OWN_BASE.name,
      OWN_HEAD.name,
    ]);
    await page.locator(".matrix tbody tr").nth(1).locator(".seed.FAIL").nth(1).click();
    const cell = page.locator(`[data-cell="recovery/offload-stale-write/${OWN_BASE.name}/2"]`);
    await cell.locator(".timeline svg").waitFor();
    expect(await cell.locator(".finding").count()).toBe(1);
    const file = `./cells/recovery/offload-stale-write/${encodeURIComponent(OWN_BASE.name)}/2/history.ndjson`;
    expect(await cell.locator("a", { hasText: "history.ndjson" }).first().getAttribute("href")).toBe(file);
  }));

test("many kernels are folded", async () => {
  const many = await openReport({ ownKernels: true, seeds: 1 }, run => ({
    ...run,
    kernels: [...run.kernels, { ...OWN_BASE, name: "linux-5.10+kasan" }],
  }));
  try {
    await many.reading("", async page => {
      const kernels = page.locator(".provenance .kernel-name");
      expect(await kernels.first().isVisible()).toBe(false);
      await page.locator(".provenance summary", { hasText: "5 kernels" }).click();
      expect(await kernels.first().isVisible()).toBe(true);
      expect(await kernels.count()).toBe(5);
    });
  } finally {
    await many.close();
  }
}, 60_000);

test("nothing is wider than the window, and the table fits where there is room", async () => {
  for (const width of [360, 700, 1000, 1400]) {
    await reading(
      "",
      async page => {
        await page.locator(".timeline svg").first().waitFor();
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
        if (width < 1000) return;
        const { inner, outer } = await page
          .locator(".scroll", { has: page.locator(".matrix") })
          .evaluate(e => ({ inner: e.scrollWidth, outer: e.clientWidth }));
        expect(inner).toBeLessThanOrEqual(outer);
      },
      { viewport: { width, height: 900 } },
    );
  }
});
