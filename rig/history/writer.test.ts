import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { monotonicNs } from "../core/clock.ts";
import { CONSOLE_CHARS, ITEM_CHARS, ITEMS, TEXT_CHARS } from "./encode.ts";
import { readHistory } from "./reader.ts";
import { historyOn, openHistory } from "./writer.ts";

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
    writer.record({ kind: "invoke", op: 1001, action: "read", via: "initiator", sector: 8, sectors: 8 });
    writer.record({ kind: "ok", op: 1001, content: [{ is: "write", at: 8, n: 8, op: 1, i: 0 }] });
    await writer.close();
    const history = await readHistory(file);
    expect(history.header).toMatchObject({ ...about, kind: "header", version: 2 });
    expect(history.header.monotonicStartNs).toBe(writer.startNs.toString());
    expect(history).toMatchObject({ truncated: false, damage: [] });
    expect([...history.operations].map(({ op, sector }) => sector / op)).toEqual([
      ...Array<number>(1000).fill(8),
      8 / 1001,
    ]);
    expect(history.operations.get(1001)?.content).toEqual([{ is: "write", at: 8, n: 8, op: 1, i: 0 }]);
  });

  test("ends with the number and the sum of all lines before", async () => {
    const writer = await openHistory(file, about);
    writer.record({ kind: "note", text: "\u00e9" });
    writer.record({ kind: "invoke", op: 1, action: "flush", via: "initiator", sector: 0, sectors: 0 });
    expect(writer.lines).toBe(4);
    await writer.close();
    const text = await readFile(file, "utf8");
    const at = text.lastIndexOf("\n", text.length - 2) + 1;
    const sha256 = createHash("sha256").update(text.slice(0, at)).digest("hex");
    expect(text.slice(at)).toBe(`{"kind":"end","lines":4,"sha256":"${sha256}"}\n`);
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
    const many = Array.from({ length: ITEMS + 1 }, () => `a\u0007${"z".repeat(1e4)}`);
    writer.record({ kind: "blocked-task", node: "initiator", pid: 1, comm: "x\n", frames: many });
    const invoke = { kind: "invoke", action: "write", via: "initiator", sector: 0, sectors: 1 } as const;
    writer.record({ ...invoke, op: 1, label: `b\n${"l".repeat(1e5)}` });
    writer.record({ kind: "fail", op: 1, error: "I/O\u0000 error\u2028" });
    await writer.close();
    const { events, operations, damage } = await readHistory(file);
    expect(damage).toEqual([]);
    expect(events[0]).toMatchObject({ line: 'BUG: x{"kind":"ok"}' });
    expect(events[1]?.kind === "console" && events[1].line.length).toBe(CONSOLE_CHARS);
    expect(events[2]?.kind === "note" && events[2].text.length).toBe(TEXT_CHARS);
    expect(events[3]).toMatchObject({ comm: "x" });
    const frames = events[3]?.kind === "blocked-task" ? events[3].frames : [];
    expect(frames).toHaveLength(ITEMS);
    for (const frame of frames) expect(frame).toMatch(new RegExp(`^az{${ITEM_CHARS - 2}}\u2026$`));
    expect(operations.get(1)).toMatchObject({ error: "I/O error", label: `b${"l".repeat(TEXT_CHARS - 2)}\u2026` });
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

// A machine that is too busy may hold the child up for longer than it may take to write.
test("a rig that is killed loses no more than the last 100 ms", async () => {
  const program = join(import.meta.dirname, "testdata/write-until-killed.ts");
  const child = spawn(process.execPath, [program, file], { stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  child.stdout.setEncoding("utf8").on("data", text => {
    told += String(text);
  });
  const [, signal] = (await once(child, "close")) as [unknown, string];
  expect([signal, told]).toEqual(["SIGKILL", "10 of 14\n"]);
  const { operations, damage, truncated } = await readHistory(file);
  expect({ damage, truncated }).toEqual({ damage: [], truncated: true });
  expect(operations.count).toBeGreaterThanOrEqual(10);
  expect(operations.get(10)?.state).toBe("ok");
});
