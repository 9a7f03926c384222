import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { historyOf } from "../history/collect.ts";
import { historyText } from "../history/encode.ts";
import { parseHistory } from "../history/reader.ts";
import { HEADER, saidBy } from "../history/testdata/histories.ts";
import { bytesPerOperation, historyCost, operationEvents } from "./history.ts";

test("operations are half writes and half reads, at most 32 in flight, and all come back", async () => {
  const events = [...operationEvents(5000)];
  const expected = historyOf(HEADER, events);
  const history = await parseHistory(historyText(HEADER, events).split("\n"), "h");
  expect(saidBy(history)).toEqual(saidBy(expected));
  const all = [...history.operations];
  expect(all.every(({ state }) => state === "ok")).toBe(true);
  expect(all.filter(({ action }) => action === "read").length / 5000).toBeCloseTo(0.5, 1);
  expect(all.at(-1)?.invokeNs ?? 0).toBeGreaterThan(5000 * 90_000);
});

test("a million operations stay under 40 MB", () => {
  expect(bytesPerOperation(20_000)).toBeLessThan(40);
});

test("the cost is measured on a real file", async () => {
  const directory = await mkdtemp(path.join(tmpdir(), "rig-bench-"));
  try {
    const cost = await historyCost(path.join(directory, "history.ndjson"), 20_000);
    expect(cost.bytes).toBeLessThan(40);
    expect(cost.recordNs).toBeGreaterThan(0);
    expect(cost.readNs).toBeGreaterThan(0);
  } finally {
    await rm(directory, { recursive: true });
  }
});
