/** The report page in a real browser, from a file, as a reader meets it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReport, type ReportInBrowser } from "./reading.ts";

const HOSTILE = `</template></script><img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script>`;

let report: ReportInBrowser;
const reading: ReportInBrowser["reading"] = (...request) => report.reading(...request);

beforeAll(async () => {
  report = await openReport({
    mixed: true,
    change: o => ({
      ...o,
      consoleLines: o.seed === 2 ? [HOSTILE] : [],
      extraReads: o.seed === 4 ? 6_000 : 0,
      troubled: o.seed === 3 && !o.broken,
    }),
  });
}, 60_000);

afterAll(() => report.close());

const cellAt = (id: string): string => `[data-cell="${id}"]`;
const FIRST = cellAt("recovery/stale-write/debian-5.10/1");

test("the top says the verdict, all six counts and the comparison", () =>
  reading("", async page => {
    expect(await page.locator("h1").innerText()).toMatch(/debian-6.1 fixes .* recovery\/stale-write/);
    expect(await page.title()).toMatch(/debian-6.1 fixes/);
    const counts = await page.locator("header .chip").allInnerTexts();
    expect(counts.slice(0, 6)).toEqual(["5 FAIL", "1 ERROR", "1 MISS", "5 PASS", "0 DONE", "2 SKIP"]);
    expect(await page.locator(".sentence").innerText()).toMatch(/fixed\s.*debian-5.10 corrupts data in 5 of 5/s);
    const provenance = await page.locator(".provenance").innerText();
    for (const fact of [
      "5.10.0-46-amd64",
      "5.10.262-1",
      "3f0a8d2c51b7",
      "TCG",
      "probe guest",
      "7.2.22",
      "--repeat 5",
    ]) {
      expect(provenance).toContain(fact);
    }
  }));

test("the table has a square for every seed, the sides, the verdict and p", () =>
  reading("", async page => {
    const row = page.locator(".matrix tbody tr").first();
    expect(await row.locator(".seed.FAIL").count()).toBe(5);
    expect(await row.locator(".seed.PASS").count()).toBe(5);
    expect(await row.innerText()).toMatch(/5 FAIL\s+5 PASS\s+fixed\s+0\.008/);
    expect(await page.locator(".matrix thead").innerText()).toMatch(/debian-5.10 base\s+debian-6.1 head/);
  }));

test("the first failure is open: finding, sectors, story and timeline", () =>
  reading("", async page => {
    const cell = page.locator(FIRST);
    await cell.locator(".timeline svg").waitFor();
    expect(await cell.locator(".finding").innerText()).toMatch(/older data over newer acknowledged data/);
    expect(await cell.locator(".claim .extents tbody tr").allInnerTexts()).toEqual([
      "0 – 255\t256\tgeneration 2\tgeneration 1\tinitiator",
      "0 – 255\t256\tgeneration 2\tgeneration 1\ttarget's backing device",
    ]);
    expect(await cell.locator(".commands tbody tr").allInnerTexts()).toEqual([
      "7.5790 s\tpath a\ta#1\t136\t0x300\t0 – 7",
      "7.5792 s\tpath a\ta#1\t137\t0x301\t8 – 15",
      "7.5794 s\tpath a\ta#1\t138\t0x302\t16 – 23",
      "7.5796 s\tpath a\ta#1\t139\t0x303\t24 – 31",
    ]);
    await cell.getByRole("button", { name: "Show all 32 commands" }).click();
    expect(await cell.locator(".commands tbody tr").count()).toBe(32);
    expect(await cell.locator(".commands p").innerText()).toMatch(
      /^By the target kernel's tracepoints: every command .* within 1 ms of the host's clock\.$/,
    );
    expect(await cell.locator(".sector-panel").last().innerText()).toMatch(/256 of 256 sectors wrong/);
    expect(await cell.locator(".story .alarm").first().innerText()).toMatch(/orphaned in FIN-WAIT-1 with 130 KiB/);
    const timeline = await cell.locator(".timeline svg").textContent();
    for (const words of ["path-drop:a#1", "FAILED", "orphan FIN-WAIT-1", "found in 256 sectors", "32 commands named"])
      expect(timeline).toContain(words);
    expect(await cell.locator(".op.ok").count()).toBeGreaterThan(2);
    expect(await cell.locator(".command code").innerText()).toBe(
      "rig run recovery/stale-write --kernel debian-5.10 --seed 1",
    );
    expect(await cell.getByText("12 packets dropped on path a").count()).toBe(1);
    expect(await cell.locator(".console").last().innerText()).toMatch(/detected conn error \(1022\)/);
    const file = cell.locator(`a[href="./cells/recovery/stale-write/debian-5.10/1/history.ndjson"]`);
    expect(await file.count()).toBe(1);
  }));

test("a command of a finding leads to its line of the history", () =>
  reading("", async page => {
    const cell = page.locator(FIRST);
    await cell.locator(".commands a").first().click();
    await cell.locator("tr.target").waitFor();
    expect(await cell.locator("tr.target").innerText()).toMatch(
      /command\s+the target executes write of LUN 0, sectors 0 to 7 \(a#1, CmdSN 136, tag 0x300\)/,
    );
  }));

test("the rarer events are told: a power cut, blocked tasks with their stacks, what was left over", () =>
  reading("#cell=recovery/stale-write/debian-6.1/3", async page => {
    const cell = page.locator(cellAt("recovery/stale-write/debian-6.1/3"));
    await cell.locator(".timeline svg").waitFor();
    const story = await cell.locator(".story").innerText();
    for (const words of ["The power of the target is cut", "The cell was stopped", "3 sockets at the end"])
      expect(story).toContain(words);
    await cell.locator("summary", { hasText: "Blocked tasks (2)" }).click();
    expect(await cell.locator(".blocked article").first().innerText()).toMatch(
      /multipathd pid 211, initiator, seen at .*\n+io_schedule\nblk_mq_get_tag/,
    );
    expect(await cell.locator(".timeline svg").textContent()).toContain("target's power");
  }));

test("a square opens its cell, and going back returns", () =>
  reading("", async page => {
    await page.locator(FIRST).waitFor();
    await page.locator('.matrix a[href="#cell=recovery/stale-write/debian-6.1/2"]').click();
    const passed = page.locator(cellAt("recovery/stale-write/debian-6.1/2"));
    await passed.locator(".timeline svg").waitFor();
    expect(await passed.locator(".finding").count()).toBe(0);
    expect(await passed.innerText()).toMatch(/256 sectors, none wrong/);
    await page.locator('.matrix a[href="#cell=recovery/stale-write/debian-5.10/3"]').click();
    await page.locator(cellAt("recovery/stale-write/debian-5.10/3")).locator(".timeline svg").waitFor();
    await page.goBack();
    await passed.waitFor();
    expect(new URL(page.url()).hash).toBe("#cell=recovery/stale-write/debian-6.1/2");
  }));

test("a link to a line of the history shows that line", () =>
  reading("#cell=recovery/stale-write/debian-5.10/5&line=254", async page => {
    const row = page.locator(`${cellAt("recovery/stale-write/debian-5.10/5")} tr.target`);
    await row.waitFor();
    expect(await row.innerText()).toMatch(/^254\s/);
    await expect.poll(() => row.evaluate(r => r.getBoundingClientRect().top)).toBeLessThan(1000);
    expect(await page.locator(".hex").innerText()).toMatch(/7f 45 4c 46 .*\.?ELF/);
  }));

test("an ERROR and a MISS say why, large", () =>
  reading("#cell=recovery/logout-while-failing/debian-5.10/1", async page => {
    await expect.poll(() => page.locator(".reason").innerText()).toMatch(/^ERROR: path-drop:a#1 did not bite/);
    await page.locator(".group.MISS summary").click();
    expect(await page.locator(".reason.MISS").innerText()).toMatch(/no netem/);
  }));

test("what a guest printed is text, and does nothing", () =>
  reading("#cell=recovery/stale-write/debian-5.10/2", async page => {
    const cell = page.locator(cellAt("recovery/stale-write/debian-5.10/2"));
    await cell.locator(".console pre").waitFor();
    expect(await cell.locator(".console pre").innerText()).toContain(HOSTILE);
    expect(await page.evaluate(() => "hacked" in globalThis)).toBe(false);
    expect(await page.locator("img").count()).toBe(0);
  }));

test("a long history is shown in part, and the page says so", () =>
  reading("#cell=recovery/stale-write/debian-5.10/4", async page => {
    const cell = page.locator(cellAt("recovery/stale-write/debian-5.10/4"));
    expect(await cell.locator(".banner").innerText()).toMatch(
      /shows [\d,]+ of 12,\d+ events.*Left out: [\d,]+ operations/,
    );
    await cell.locator("summary", { hasText: "Every event" }).click();
    expect(await cell.locator(".events tbody tr").count()).toBe(200);
    await cell.getByRole("searchbox").fill("FIN-WAIT-1");
    expect(await cell.locator(".events tbody tr").count()).toBe(1);
  }));

test("the timeline zooms with buttons and by dragging, and the keyboard walks it", () =>
  reading("", async page => {
    const svg = page.locator(`${FIRST} .timeline svg`);
    await svg.waitFor();
    const label = () => svg.getAttribute("aria-label");
    const focused = await label();
    await page.getByRole("button", { name: "Whole cell" }).first().click();
    expect(await label()).toMatch(/^Timeline, 0\.000 s to 9\./);
    await page.getByRole("button", { name: "From the first fault" }).first().click();
    expect(await label()).toBe(focused);
    await svg.scrollIntoViewIfNeeded();
    const box = await svg.boundingBox();
    if (box === null) throw new Error("no timeline");
    await page.mouse.move(box.x + 400, box.y + 15);
    await page.mouse.down();
    await page.mouse.move(box.x + 600, box.y + 15, { steps: 4 });
    await page.mouse.up();
    expect(await label()).not.toBe(focused);
    await page.getByRole("button", { name: "From the first fault" }).first().click();
    await page
      .getByRole("group", { name: /^path a, session/ })
      .first()
      .focus();
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => page.locator(".tip").innerText()).toMatch(/path a, session 1: FAILED/);
    await page.keyboard.press("Enter");
    await page.locator("tr.target").waitFor();
    expect(await page.locator("tr.target").innerText()).toContain("FAILED");
  }));

test("nothing is wider than the window, on a narrow screen or a wide one", async () => {
  for (const width of [360, 420, 700, 1400]) {
    await reading(
      "",
      async page => {
        await page.locator(`${FIRST} .timeline svg`).waitFor();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        expect(wide).toBeLessThanOrEqual(width);
      },
      { viewport: { width, height: 900 } },
    );
  }
});

test("without scripts there is a summary", () =>
  reading(
    "",
    async page => {
      expect(await page.locator("noscript h1").innerText()).toMatch(/debian-6.1 fixes/);
      expect(await page.locator("noscript tbody tr").count()).toBe(1 + 14);
    },
    { javaScriptEnabled: false },
  ));
