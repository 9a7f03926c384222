import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { monotonicNs } from "../core/clock.ts";
import { readHistory } from "./reader.ts";
import { CONSOLE_CHARS, historyOn, openHistory } from "./writer.ts";

const about = { run: "run-1", scenario: "writes/six", kernel: "6.1", seed: 3 };
let directory = "";
let file = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "rig-history-"));
  file = join(directory, "history.ndjson");
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe("a history on disk", () => {
  test("begins with a header and reads back as it was recorded, in order", async () => {
    const writer = await openHistory(file, about);
    for (let op = 1; op <= 1000; op++) {
      writer.record({ kind: "invoke", op, action: "write", via: "initiator", sector: op * 8, sectors: 8 });
      if (op % 100 === 0) await new Promise(setImmediate);
    }
    writer.record({ kind: "ok", op: 1, content: [{ is: "write", at: 8, n: 8, op: 1, i: 0 }] });
    expect(writer.lines).toBe(1002);
    await writer.close();
    const history = await readHistory(file);
    expect(history.header).toMatchObject({ ...about, kind: "header", version: 1 });
    expect(history.header.monotonicStartNs).toBe(writer.startNs.toString());
    expect(history.truncated).toBe(false);
    expect(history.events.slice(0, 1000).map(event => (event.kind === "invoke" ? event.op : -1))).toEqual(
      Array.from({ length: 1000 }, (_, i) => i + 1),
    );
    expect(history.events[1000]).toMatchObject({ kind: "ok", content: [{ is: "write", at: 8, n: 8, op: 1, i: 0 }] });
  });

  test("has its own clock, and takes a moment that was noted earlier", async () => {
    const startNs = monotonicNs() - 5_000_000_000n;
    await using writer = await openHistory(file, about, startNs);
    writer.record({ kind: "note", text: "now" });
    writer.record({ kind: "note", text: "then" }, startNs + 17n);
    writer.record({ kind: "note", text: "before it all" }, startNs - 17n);
    await writer.close();
    const [now, then, before] = (await readHistory(file)).events;
    expect(now?.t).toBeGreaterThanOrEqual(5e9);
    expect(now?.t).toBeLessThan(65e9);
    expect(then?.t).toBe(17);
    expect(before?.t).toBe(0);
  });

  test("keeps text from the machine under test on one bounded, printable line", async () => {
    await using writer = await openHistory(file, about);
    writer.record({ kind: "console", node: "initiator", line: '\u001b[31mBUG:\u001b[0m x\r\n{"kind":"ok"}' });
    writer.record({ kind: "console", node: "initiator", line: "x".repeat(1e6) });
    writer.record({ kind: "note", text: "y".repeat(1e6) });
    writer.record({ kind: "fail", op: 1, error: "I/O\u0000 error\u2028" });
    await writer.close();
    const { events } = await readHistory(file);
    expect(events[0]).toMatchObject({ line: 'BUG: x{"kind":"ok"}' });
    expect(events[1]?.kind === "console" && events[1].line.length).toBe(CONSOLE_CHARS);
    expect(events[2]?.kind === "note" && events[2].text.length).toBe(4000);
    expect(events[3]).toMatchObject({ error: "I/O error" });
  });

  test("what is recorded after the end is dropped, and closing twice is fine", async () => {
    const writer = await openHistory(file, about);
    const closing = writer.close();
    writer.record({ kind: "note", text: "late" });
    await closing;
    await writer.close();
    expect((await readHistory(file)).events).toEqual([]);
  });

  test("an existing history is never written over", async () => {
    await writeFile(file, "precious");
    await expect(openHistory(file, about)).rejects.toMatchObject({ code: "RIG_BAD_RESULTS" });
    expect(await readFile(file, "utf8")).toBe("precious");
  });
});

test("a full disk is told at the end, with the machine to blame", async () => {
  const writer = historyOn(await open("/dev/full", "a"), "/dev/full", about, monotonicNs());
  writer.record({ kind: "note", text: "lost" });
  await expect(writer.close()).rejects.toMatchObject({ code: "RIG_NO_SPACE", blame: "environment" });
});
