import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseHistory, readHistory } from "./reader.ts";

const header = {
  kind: "header",
  version: 1,
  run: "run-1",
  scenario: "writes/six",
  kernel: "6.1",
  seed: 1,
  startedAt: "2024-01-01T00:00:00.000Z",
  monotonicStartNs: "12",
};
const note = { t: 1, kind: "note", text: "one" };
const text = (...lines: unknown[]): string[] =>
  lines.map(line => (typeof line === "string" ? line : JSON.stringify(line)));

describe("a history's lines", () => {
  test("a header and events", async () => {
    const history = await parseHistory(text(header, note, note), "h");
    expect(history).toEqual({ header, events: [note, note], truncated: false });
  });

  test("a last line that was cut off is left out and told", async () => {
    const history = await parseHistory(text(header, note, '{"t":2,"kind":"no'), "h");
    expect(history).toEqual({ header, events: [note], truncated: true });
  });

  test.each([
    ["nothing at all", text(), "header on line 1 of h"],
    ["a header that was cut off", text('{"kind":"hea'), "header on line 1 of h"],
    ["an event where the header should be", text(note), "line 1 of h"],
    ["a later version", text({ ...header, version: 2 }), "version 1 (version"],
    ["a broken line in the middle", text(header, note, "{", note), "JSON on line 3 of h"],
    ["a blank line in the middle", text(header, "", note), "JSON on line 2 of h"],
    ["an event of no known kind", text(header, { t: 1, kind: "magic" }), "an event (kind"],
    ["a last line that is whole but wrong", text(header, { ...note, t: -1 }), "line 2 of h"],
    ["an event with a field too many", text(header, { ...note, extra: 1 }), "line 2 of h"],
  ])("%s is refused", async (_name, lines, message) => {
    await expect(parseHistory(lines, "h")).rejects.toMatchObject({ code: "RIG_BAD_RESULTS" });
    await expect(parseHistory(lines, "h")).rejects.toThrow(message);
  });
});

describe("a history's file", () => {
  test("a missing file is refused", async () => {
    await expect(readHistory("/nonexistent/history.ndjson")).rejects.toMatchObject({ code: "RIG_BAD_RESULTS" });
  });

  test("only a newline ends a line, and the last needs none", async () => {
    const directory = await mkdtemp(join(tmpdir(), "rig-reader-"));
    try {
      const file = join(directory, "history.ndjson");
      const odd = { ...note, text: "a\u2028b" };
      await writeFile(file, text(header, odd, note).join("\n"));
      expect((await readHistory(file)).events).toEqual([odd, note]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
