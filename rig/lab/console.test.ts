import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { poll, sleep } from "../core/clock.ts";
import { CONSOLE_FULL } from "../core/names.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { Console } from "./console.ts";

/** A console, and the guest's end of it. */
const start = async (): Promise<{ console: Console; lines: string[]; guest: Socket; file: string }> => {
  const dir = await temporaryDirectory();
  const lines: string[] = [];
  const file = path.join(dir, "console.log");
  const socketPath = path.join(dir, "c.sock");
  let last = 0n;
  const console = await Console.listen(socketPath, file, (line, at) => {
    expect(at).toBeGreaterThanOrEqual(last);
    last = at;
    lines.push(line);
  });
  const guest = connect(socketPath);
  onTestFinished(() => void guest.destroy());
  await once(guest, "connect");
  return { console, lines, guest, file };
};

const says = async (guest: Socket, ...pieces: readonly (string | Buffer)[]): Promise<void> => {
  for (const piece of pieces) {
    await new Promise(resolve => guest.write(piece, resolve));
    await sleep(5);
  }
};

describe("a console", () => {
  test("gives lines as they come, put together from pieces and made clean", async () => {
    const { console, lines, guest, file } = await start();
    await says(guest, "[    0.0", "00000] Linux\r\n\u001b[31mBUG:", "\u001b[0m x\n", "one\ntwo\nthr", "ee\n");
    await console.waitFor(/three/, 5000, "three");
    expect(lines).toEqual(["[    0.000000] Linux", "BUG: x", "one", "two", "three"]);
    expect(console.tail(2)).toEqual(["two", "three"]);
    await says(guest, "an unfinished last li");
    await poll(() => Promise.resolve(guest.bytesWritten > 0 || undefined), {
      everyMs: 5,
      withinMs: 1000,
      expected: "",
    });
    await console[Symbol.asyncDispose]();
    expect(lines.at(-1)).toBe("an unfinished last li");
    expect((await readFile(file, "utf8")).split("\n").map(line => line.slice(10))).toEqual([...lines, ""]);
    expect(await readFile(file, "utf8")).toMatch(/^ +\d+\.\d{3} \[ +0\.000000\] Linux\n/);
  });

  test("keeps bytes that are no text from doing harm", async () => {
    await using console = (await start()).console;
    expect(console.tail(1)).toEqual([]);
    const { console: other, lines, guest } = await start();
    await using _other = other;
    await says(guest, Buffer.from([0xff, 0x00, 0x1b, 0x5b, 0x80, 0x0a]), "after\n");
    await other.waitFor(/after/, 5000, "after");
    expect(lines).toHaveLength(2);
  });

  test("bounds a line that never ends", async () => {
    const { console, lines, guest } = await start();
    await using _console = console;
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 64; i++) await new Promise(resolve => guest.write("x".repeat(262_144), resolve));
    await says(guest, "\nnext\n");
    await console.waitFor(/^next$/, 5000, "next");
    expect(lines.map(line => line.length)).toEqual([1000, 4]);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 2 ** 20);
  });

  test("takes five megabytes of noise, and of newlines tells nothing", async () => {
    const { console, lines, guest } = await start();
    const noise = Buffer.alloc(5_000_000, "\u001b[31m\u0000\u00ff\u001b]0;x");
    await says(guest, noise, "\n".repeat(2_000_000), "the end\n");
    await console.waitFor(/the end/, 20_000, "the end");
    expect(lines.length).toBeLessThan(10);
    expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(1000);
  });

  test("tells 200000 lines, and that there were more", async () => {
    const { console, lines, guest } = await start();
    await says(guest, "x\n".repeat(200_100), "the end\n");
    await console.waitFor(/the end/, 20_000, "the end");
    expect(lines).toHaveLength(200_001);
    expect(lines.at(-1)).toBe(CONSOLE_FULL);
  });

  test("can be disposed of twice", async () => {
    const { console } = await start();
    await console[Symbol.asyncDispose]();
    await console[Symbol.asyncDispose]();
  });

  test("whose log cannot be written goes on", async () => {
    const dir = await temporaryDirectory();
    const console = await Console.listen(path.join(dir, "c.sock"), "/dev/full", () => undefined);
    const guest = connect(path.join(dir, "c.sock"));
    await says(guest, "a\n", "b\n");
    expect(await console.waitFor(/b/, 5000, "b")).toBe("b");
    await console[Symbol.asyncDispose]();
    guest.destroy();
  });
});

describe("waiting for a line", () => {
  test("finds one that is there already, and one that is yet to come", async () => {
    const { console, guest } = await start();
    await using _console = console;
    const coming = console.waitFor(/up$/, 5000, "the guest to boot");
    await says(guest, "rig-init: up\n", "later\n");
    expect(await coming).toBe("rig-init: up");
    expect(await console.waitFor(/^rig-init: (up|cannot)/, 1, "the guest to boot")).toBe("rig-init: up");
  });

  test("ends at its deadline, and with the caller's reason", async () => {
    const { console } = await start();
    await using _console = console;
    await expect(console.waitFor(/never/, 20, "the guest to boot")).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      message: "Expected the guest to boot within 20 ms; it did not happen.",
    });
    const controller = new AbortController();
    const waiting = console.waitFor(/never/, 60_000, "it", controller.signal);
    controller.abort(new Error("the other node died"));
    await expect(waiting).rejects.toThrow("the other node died");
  });

  test("many at once are no trouble", async () => {
    const { console, guest } = await start();
    await using _console = console;
    const all = Promise.all(
      Array.from({ length: 30 }, (_, i) => console.waitFor(new RegExp(`^line ${i}$`), 5000, "it")),
    );
    await says(guest, Array.from({ length: 30 }, (_, i) => `line ${i}\n`).join(""));
    expect(await all).toHaveLength(30);
  });
});
