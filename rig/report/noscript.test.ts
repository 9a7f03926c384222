import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { escapeHtml, noscriptSummary } from "./noscript.ts";
import { writeFixture } from "./testdata/results.ts";

const fixture = async () => {
  const directory = await mkdtemp(join(tmpdir(), "rig-noscript-"));
  try {
    return await writeFixture(directory, { mixed: true });
  } finally {
    await rm(directory, { recursive: true });
  }
};

test("every character that means something in HTML is escaped", () => {
  expect(escapeHtml(`<a href="x" title='y'>&</a>`)).toBe(
    "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;&lt;/a&gt;",
  );
});

test("the summary has the verdict, all six statuses and a row for every cell", async () => {
  const run = await fixture();
  const html = noscriptSummary(run);
  expect(html).toContain(`<h1>${escapeHtml(run.verdict)}</h1>`);
  expect(html).toContain("5 FAIL, 1 ERROR, 1 MISS, 5 PASS, 0 DONE, 2 SKIP");
  expect(html.match(/<tr><td>(FAIL|ERROR|MISS|PASS|SKIP)<\/td>/g)).toHaveLength(run.cells.length);
  expect(html).toContain("did not bite");
});

test("text of a guest cannot end the summary or start an element", async () => {
  const run = await fixture();
  const hostile = `</noscript></template><script>alert(1)</script><img src=x onerror="alert(1)">`;
  const html = noscriptSummary({
    ...run,
    verdict: hostile,
    cells: run.cells.map(c => ({
      ...c,
      reason: hostile,
      findings: [{ oracle: "integrity", class: hostile, title: hostile }],
    })),
  });
  expect(html).not.toMatch(/<\/noscript|<script|<img|<\/template/i);
  const tags = new Set([...html.matchAll(/<\/?([a-z0-9]+)/g)].map(m => m[1]));
  expect([...tags].sort()).toEqual(["caption", "h1", "p", "table", "tbody", "td", "th", "thead", "tr"]);
});
