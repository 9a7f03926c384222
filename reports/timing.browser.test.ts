/** Where the time goes, as a reader of the report sees it. */
import type { Locator } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hurried } from "../rig/report/testdata/hurried.ts";
import { openReport, type ReportInBrowser } from "./reading.ts";

const HOSTILE = `</template><img src=x onerror="globalThis.hacked=1">`;

let report: ReportInBrowser;
const reading: ReportInBrowser["reading"] = (...request) => report.reading(...request);

beforeAll(async () => {
  report = await openReport({ mixed: true }, plain => {
    const run = hurried(plain);
    const odd = { name: "defrost", ms: 250 };
    const cells = run.cells.map(cell => (cell.seed === 1 ? cell : { ...cell, phases: [odd, ...cell.phases] }));
    return { ...run, cells, starved: run.starved?.map((s, i) => (i === 0 ? { ...s, reason: HOSTILE } : s)) };
  });
}, 60_000);

afterAll(() => report.close());

const boxOf = async (what: Locator) => {
  const box = await what.boundingBox();
  if (box === null) throw new Error("not shown");
  return box;
};

test("a bar for each scenario and kernel, to one scale", () =>
  reading("", async page => {
    const rows = page.locator(".stack-row");
    expect(await rows.count()).toBe(2);
    expect(await rows.first().innerText()).toMatch(/^debian-5\.10\s/);
    const [base, head] = [rows.first().locator(".phase-timeline"), rows.last().locator(".phase-timeline")];
    expect(await base.getAttribute("title")).toBe("timeline 3.88 s; 3.86 s to 3.90 s in 5 of 5 cells");
    const [wide, narrow] = [await boxOf(base), await boxOf(head)];
    expect(wide.width / narrow.width).toBeCloseTo(3.878 / 2.99, 1);
    expect(await rows.first().getByRole("img").getAttribute("aria-label")).toMatch(
      /^restore 670 ms, open 160 ms, timeline 3\.88 s/,
    );
    expect(await page.locator(".timing .phase-boot:not(.swatch)").count()).toBe(0);
  }));

test("a phase that only another rig knows is shown, in a colour of its own kind", () =>
  reading("", async page => {
    const odd = page.locator(".stack-row .phase-other").first();
    expect(await odd.getAttribute("title")).toBe("defrost 250 ms; 250 ms to 250 ms in 4 of 5 cells");
    expect(await page.locator(".timing .key").innerText()).toMatch(/judge\s*defrost/);
  }));

test("words that do not fit into their part of a bar are out of sight as a whole", () =>
  reading(
    "",
    async page => {
      for (const part of await page.locator(".stack > span").all()) {
        const { x, y, width, height } = await boxOf(part);
        for (const word of await part.locator("b, i").all()) {
          const text = await boxOf(word);
          const seen = text.y < y + height;
          if (seen) expect(text.x + text.width).toBeLessThanOrEqual(x + width + 1);
        }
      }
    },
    { viewport: { width: 500, height: 900 } },
  ));

test("the figures are there without colours, and tell how many cells had a phase", () =>
  reading("", async page => {
    const figures = page.locator(".timing details", { hasText: "In figures" });
    await figures.locator("summary").click();
    const row = await figures.locator("tbody tr").first().innerText();
    expect(row).toMatch(/debian-5\.10\s+5\s+4\.19 s in 1\s+675 ms in 4\s+2\.01 s in 1\s+160 ms\s+3\.88 s\s/);
  }));

test("pace, labs and tries thrown away; what a guest may have said in a reason is text", () =>
  reading("#cell=recovery/stale-write/debian-5.10/4", async page => {
    const timing = page.locator(".timing");
    expect(await timing.innerText()).toContain("3 at most (asked for: auto). 8 labs were restored, 2 booted.");
    const starved = timing.locator(".starved");
    expect(await starved.locator("li").first().isVisible()).toBe(false);
    await starved.locator("summary", { hasText: "2 tries were thrown away because the machine was too busy" }).click();
    expect(await starved.locator("li").first().innerText()).toContain(HOSTILE);
    expect(await starved.locator("li").last().innerText()).toMatch(/seed 4, try 1: the guests waited 412 ms/);
    expect(await page.evaluate(() => "hacked" in globalThis)).toBe(false);
    expect(await page.locator("img").count()).toBe(0);
  }));

test("a cell says how its lab came up and which try it was", () =>
  reading("#cell=recovery/stale-write/debian-5.10/4", async page => {
    const head = page.locator('[data-cell="recovery/stale-write/debian-5.10/4"] .cell-head');
    expect(await head.innerText()).toMatch(/lab restored · try 2/);
    await head.getByRole("link", { name: "try 2" }).click();
    await expect.poll(() => page.locator("#time").evaluate(e => e.getBoundingClientRect().top)).toBeLessThan(1000);
    await page.locator('.matrix a[href$="debian-5.10/1"]').first().click();
    const first = page.locator('[data-cell="recovery/stale-write/debian-5.10/1"]');
    await first.locator(".phases").waitFor();
    expect(await first.innerText()).toMatch(/lab booted\s[^]*not restored: no lab of this kernel had been kept yet/);
  }));

test.each(["light", "dark"] as const)("nothing is wider than a narrow window, %s", colorScheme =>
  reading(
    "",
    async page => {
      for (const fold of await page.locator(".timing summary").all()) await fold.click();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    },
    { viewport: { width: 360, height: 900 }, colorScheme },
  ),
);
