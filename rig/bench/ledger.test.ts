import { expect, test } from "vitest";
import { parseFio } from "./ledger.ts";

test("fio's report may come after notes", () => {
  const report = JSON.stringify({ "fio version": "fio-3.33", jobs: [{ jobname: "floor", write: { iops: 934.5 } }] });
  expect(parseFio(`fio: a note\n${report}\n`)).toBe(934.5);
});

test.each([
  ["nothing", ""],
  ["text", "fio: no such device"],
  ["a report without jobs", '{"jobs":[]}'],
  ["a run that did nothing", '{"jobs":[{"write":{"iops":0}}]}'],
  ["half a report", '{"jobs":[{"write":'],
])("%s is no measurement", (_what, text) => {
  expect(() => parseFio(text)).toThrow("Expected fio's report");
});
