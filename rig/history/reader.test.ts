import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { historyText } from "./encode.ts";
import type { HistoryEvent } from "./event.ts";
import { parseHistory, readHistory } from "./reader.ts";
import { HEADER } from "./testdata/histories.ts";

const note: HistoryEvent = { t: 1, kind: "note", text: "one" };
const text = (...lines: unknown[]): string[] =>
  lines.map(line => (typeof line === "string" ? line : JSON.stringify(line)));

describe("a history's lines", () => {
  test("a header and events; without the last line, the file was cut", async () => {
    const history = await parseHistory(text(HEADER, note, note), "h");
    expect(history).toMatchObject({ header: HEADER, events: [note, note], lines: [2, 3], damage: [], truncated: true });
    const whole = await parseHistory(historyText(HEADER, [note]).split("\n"), "h");
    expect(whole).toMatchObject({ header: HEADER, events: [note], lines: [2], damage: [], truncated: false });
  });

  test("operations may stand as objects", async () => {
    const history = await parseHistory(
      text(
        HEADER,
        { t: 1, kind: "invoke", op: 1, action: "write", via: "initiator", sector: 8, sectors: 8 },
        { t: 2, kind: "ok", op: 1 },
      ),
      "h",
    );
    expect(history.operations.get(1)).toMatchObject({ action: "write", state: "ok", invokeLine: 2, doneLine: 3 });
  });

  test("JSON written in another way is the same", async () => {
    const lines = text(HEADER, "[ 7, 1e3, 1 ]", " [2,0,64,8]", '[8,1,"x"] ', "[0, 1, 1, 5, 0, 8]");
    const history = await parseHistory(lines, "h");
    expect(history.operations.get(1)).toMatchObject({
      invokeNs: 1000,
      content: [{ is: "write", at: 64, n: 8, op: 5, i: 0 }],
    });
    expect(history.damage).toEqual([]);
  });

  test("a last line that was cut off is left out and told", async () => {
    const history = await parseHistory(text(HEADER, note, '{"t":2,"kind":"no'), "h");
    expect(history).toMatchObject({ events: [note], damage: [], truncated: true });
  });

  test("a last line that is whole but wrong is damage", async () => {
    const history = await parseHistory(text(HEADER, { ...note, t: -1 }), "h");
    expect(history.damage).toMatchObject([{ line: 2 }]);
  });

  test.each([
    ["nothing at all", text(), "header of version 2 on line 1."],
    ["a header that was cut off", text('{"kind":"hea'), "header of version 2 on line 1"],
    ["an event where the header should be", text(note), "header of version 2 on line 1 (kind"],
    ["an array where the header should be", text("[1]", note), "header of version 2 on line 1"],
    ["a header without its run", text({ ...HEADER, run: undefined }), "line 1 (run: "],
    [
      "a later version",
      text({ ...HEADER, version: 3 }),
      "written by a newer rig (history version 3; this one reads 2)",
    ],
    [
      "an older version",
      text({ ...HEADER, version: 1 }),
      "written by an older rig (history version 1; this one reads 2)",
    ],
    ["a version of a kind that there is not", text({ ...HEADER, version: "2" }), "line 1 (version: "],
  ])("%s is refused", async (_name, lines, message) => {
    await expect(parseHistory(lines, "h")).rejects.toMatchObject({ code: "RIG_BAD_RESULTS", blame: "environment" });
    await expect(parseHistory(lines, "h")).rejects.toThrow(message);
  });
});

describe("a history's file", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "rig-reader-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  test("a missing file is refused", async () => {
    await expect(readHistory("/nonexistent/history.ndjson")).rejects.toMatchObject({
      code: "RIG_BAD_RESULTS",
      cause: { code: "ENOENT" },
    });
  });

  test("only a newline ends a line, and the last needs none", async () => {
    const file = join(directory, "history.ndjson");
    const odd = { ...note, text: "a\u2028b" };
    await writeFile(file, text(HEADER, odd, note).join("\n"));
    expect((await readHistory(file)).events).toEqual([odd, note]);
  });

  test("that is longer than a chunk reads as it was written", async () => {
    const file = join(directory, "history.ndjson");
    const events = Array.from({ length: 80_000 }, (_, index): HistoryEvent => {
      const op = index + 1;
      return { t: index * 1000, kind: "invoke", op, action: "write", via: "initiator", sector: op * 1000, sectors: 8 };
    });
    const written = historyText(HEADER, [...events, { ...note, text: "\u00e9" }, note]);
    expect(written.length).toBeGreaterThan(1.2e6);
    await writeFile(file, written);
    const history = await readHistory(file);
    expect(history).toMatchObject({ damage: [], truncated: false });
    expect(history.events).toEqual([{ ...note, text: "\u00e9" }, note]);
    expect(history.operations.get(80_000)).toMatchObject({ sector: 80_000_000, invokeNs: 79_999_000 });
  });
});
