/** A history's file that was cut, edited or overwritten: what is whole is read, and what is not is never passed over. */
import { describe, expect, test } from "vitest";
import { historyOf } from "./collect.ts";
import { MAX_LINE_BYTES } from "./compact.ts";
import { DAMAGE_TOLD } from "./damage.ts";
import { historyText } from "./encode.ts";
import type { History, HistoryEvent } from "./event.ts";
import { HistoryParser } from "./parse.ts";
import { HEADER, saidBy } from "./testdata/histories.ts";

const EVENTS: readonly HistoryEvent[] = [
  { t: 5, kind: "note", text: "one" },
  { t: 1000, kind: "invoke", op: 1, action: "write", via: "initiator", sector: 64, sectors: 8, label: "x" },
  { t: 1500, kind: "invoke", op: 2, action: "read", via: "initiator", sector: 64, sectors: 8 },
  { t: 2000, kind: "ok", op: 1 },
  { t: 2100, kind: "ok", op: 2, content: [{ is: "zero", at: 64, n: 8 }] },
  { t: 2200, kind: "invoke", op: 3, action: "flush", via: "initiator", sector: 0, sectors: 0 },
  { t: 2300, kind: "fail", op: 3, error: "EIO" },
  { t: 3000, kind: "phase", name: "heal", edge: "begin" },
];
const TEXT = historyText(HEADER, EVENTS);
const WHOLE = saidBy(historyOf(HEADER, EVENTS));
const HEADER_BYTES = TEXT.indexOf("\n");

const read = (bytes: Uint8Array | string, chunkBytes = 1 << 20): History => {
  const parser = new HistoryParser("h");
  const all = Buffer.from(bytes);
  for (let at = 0; at < all.length; at += chunkBytes) parser.add(all.subarray(at, at + chunkBytes));
  return parser.finish();
};
/** The lines of a file without its last, so that only what a test does to it is damage. */
const lines = (): string[] => TEXT.split("\n").slice(0, -2);
const readLines = (...all: readonly string[]) => read(`${all.join("\n")}\n`);

describe("a file", () => {
  test("is the same in chunks of any size", () => {
    for (let bytes = 1; bytes < 200; bytes++) {
      const history = read(TEXT, bytes);
      expect(saidBy(history)).toEqual(WHOLE);
      expect(history).toMatchObject({ damage: [], truncated: false });
    }
  });

  test("cut anywhere after its header has no damage, is told as cut, and says nothing that is not so", () => {
    const bytes = Buffer.from(TEXT);
    for (let length = HEADER_BYTES; length < bytes.length - 1; length++) {
      const history = read(bytes.subarray(0, length));
      expect(history, String(length)).toMatchObject({ damage: [], truncated: true });
      expect(WHOLE.events.slice(0, history.events.length)).toEqual(history.events);
      for (const operation of saidBy(history).operations) {
        const { action, sector, label } = WHOLE.operations[operation.op - 1] ?? {};
        expect(operation).toMatchObject({ action, sector, label });
      }
    }
    expect(read(bytes.subarray(0, bytes.length - 1))).toMatchObject({ damage: [], truncated: false });
  });

  test("cut in its header is refused", () => {
    for (let length = 0; length < HEADER_BYTES; length++)
      expect(() => read(TEXT.slice(0, length))).toThrow("h: expected a history's header");
  });

  test("with any one byte changed is damaged or cut, and is read all the same", () => {
    for (let at = HEADER_BYTES + 1; at < TEXT.length; at++)
      for (const flip of [0x01, 0x02, 0x10, 0x20, 0x80, 0x2a]) {
        const bytes = Buffer.from(TEXT);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        const { damage, truncated } = read(bytes);
        expect(damage.length > 0 || truncated, `byte ${at} ^ ${flip}`).toBe(true);
      }
  });

  test("with any one byte of its header changed is refused or damaged", () => {
    for (let at = 0; at < HEADER_BYTES; at++) {
      const bytes = Buffer.from(TEXT);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      let told: unknown;
      try {
        told = read(bytes).damage.length > 0 ? "damage" : "nothing";
      } catch (error) {
        told = error;
      }
      expect(told === "damage" || (told as { code?: string }).code === "RIG_BAD_RESULTS", String(at)).toBe(true);
    }
  });

  test("without one of its lines, with one twice or in another place, is damaged", () => {
    const all = TEXT.split("\n").slice(0, -1);
    for (let at = 1; at < all.length - 1; at++) {
      const line = all[at] ?? "";
      expect(readLines(...all.toSpliced(at, 1)).damage).not.toEqual([]);
      expect(readLines(...all.toSpliced(at, 0, line)).damage).not.toEqual([]);
    }
    const swapped = all.toSpliced(2, 2, all[3] ?? "", all[2] ?? "");
    expect(readLines(...swapped).damage.at(-1)?.problem).toMatch(
      /^expected 12 lines with SHA-256 \w{12} before this line, found 12 lines with .* edited or is not whole$/,
    );
    expect(readLines(...all, '{"t":1,"kind":"note","text":"more"}', "x").damage).toEqual([
      {
        line: 14,
        problem: "expected nothing after the history's last line; 1 line more up to line 15 left out with it",
      },
    ]);
  });

  test("of noise is damage, however much", () => {
    const noise = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (Math.imul(i + 7, 2654435761) >>> 13) & 0xff));
    const history = read(Buffer.concat([Buffer.from(TEXT.slice(0, HEADER_BYTES + 1)), noise]));
    expect(history.truncated).toBe(true);
    expect(history.operations.count).toBe(0);
    expect(history.damage.length).toBeGreaterThan(0);
    expect(history.damage.length).toBeLessThanOrEqual(DAMAGE_TOLD + 1);
    for (const { problem } of history.damage) expect(problem).toMatch(/^[ -~\u00a0-\uffff]{1,400}$/);
  });

  test("with a line of megabytes goes on after it, and holds no such line", () => {
    const all = lines();
    for (const bytes of [MAX_LINE_BYTES + 1, 3 * MAX_LINE_BYTES]) {
      const history = readLines(...all.slice(0, 2), "x".repeat(bytes), ...all.slice(2));
      expect(saidBy(history)).toEqual(WHOLE);
      expect(history.damage).toEqual([{ line: 3, problem: "expected a line of at most 1048576 bytes" }]);
    }
    const cut = readLines(...all.slice(0, 2), "x".repeat(2 * MAX_LINE_BYTES)).damage;
    expect(cut).toEqual([{ line: 3, problem: "expected a line of at most 1048576 bytes" }]);
    expect(() => read("x".repeat(3 * MAX_LINE_BYTES))).toThrow("expected a history's header");
  });
});

describe("a bad line", () => {
  const clock = "[7,1000,1]";
  const write = "[1,10,64,8]";

  test("that is an object costs nothing but itself", () => {
    const bad = [
      ['{"t":1,"kind":"magic"}', "expected an event (kind: "],
      ['{"t":-1,"kind":"note","text":"x"}', "expected an event (t: Too small"],
      ['{"t":1e300,"kind":"note","text":"x"}', "expected an event (t: "],
      ['{"t":1,"kind":"note","text":"x","extra":1}', "expected an event (: Unrecognized key"],
      ['{"t":1,"kind":"fail","op":9,"error":"x"}', "answers operation 9, which was never invoked"],
    ] as const;
    for (const [line, problem] of bad) {
      const history = readLines(JSON.stringify(HEADER), clock, write, line, write);
      expect(history.operations.count).toBe(2);
      expect(history.damage).toEqual([{ line: 4, problem: expect.stringContaining(problem) as string }]);
    }
  });

  test.each([
    ["half a line", '[1,10,"'],
    ["a blank line", ""],
    ["a word", "hello"],
    ["a number", "17"],
    ["half an object", '{"t":1,"kind":"no'],
    ["no such code", "[40,1,1]"],
    ["a negative code", "[-7,1,1]"],
    ["an action that there is not", "[6,1]"],
    ["a time before the start", "[1,-2000,64,8]"],
    ["an absurd time", "[1,9007199254740991,64,8]"],
    ["an absurd number", "[1,10,90071992547409919,8]"],
    ["a fraction", "[1,10,6.4,8]"],
    ["a negative address", "[1,10,-64,8]"],
    ["too many fields", "[1,10,64,8,0,0,0]"],
    ["too few fields", "[0,10]"],
    ["a label that was not told", "[1,10,64,8,3]"],
    ["an error that was not told", "[6,10,1,3]"],
    ["a text out of turn", '[8,2,"x"]'],
    ["a text that is none", "[8,1,null]"],
    ["a clock that says too little", "[7,1000]"],
    ["a clock before the start", "[7,-1,1]"],
    ["a command that cannot be", "[16,1,6,64]"],
    ["a command with too many fields", "[16,1,1,64,0,0,0,0,0,0,0,0,0,0]"],
    ["an array of something else", '[{"t":1}]'],
    ["an empty array", "[]"],
  ])("that cannot be understood, such as %s, costs the rest of its section", (_name, line) => {
    const note = '{"t":1,"kind":"note","text":"x"}';
    const history = readLines(
      JSON.stringify(HEADER),
      clock,
      write,
      line,
      write,
      note,
      "[0,1,1]",
      "[7,5000,7]",
      write,
      "[0,1,1]",
      "[0,1,6]",
    );
    expect([...history.operations].map(({ op, state, invokeNs }) => [op, state, invokeNs])).toEqual([
      [1, "unanswered", 1010],
      [7, "ok", 5010],
    ]);
    expect(history.events).toHaveLength(1);
    expect(history.damage).toEqual([
      {
        line: 4,
        problem: expect.stringMatching(
          /^expected .*; 2 lines more up to line 7 left out with it; 1 later answer left out whose invocation was lost$/,
        ) as string,
      },
    ]);
  });

  test.each([
    ["a second answer", "[0,1,1]", "answers operation 1 a second time"],
    ["an answer to nothing", "[0,1,-5]", "answers operation 7, which was never invoked"],
    ["an answer before its invocation", "[0,-900,1]", "answers operation 1 a second time"],
    ["an address beyond the last", "[1,0,4294967296]", "beyond the last sector"],
    ["a device beyond the last", "[1,0,1,1,0,256]", "beyond the last sector"],
  ])("that contradicts the history, such as %s, is left out alone", (_name, line, problem) => {
    const history = readLines(JSON.stringify(HEADER), clock, write, "[0,1,1]", line, "[2,1,64,8]", "[0,1,1,0]");
    expect(history.damage).toEqual([{ line: 5, problem: expect.stringContaining(problem) as string }]);
    expect([...history.operations].at(-1)).toMatchObject({
      action: "read",
      state: "ok",
      content: [{ is: "zero", n: 8 }],
    });
  });

  test.each([
    ["more sectors than the read has", "[0,1,1,1,0,9,2]"],
    ["fewer sectors than the read has", "[0,1,1,1,0,7]"],
    ["many more sectors than the read has", "[0,1,1,1,0,8,0,0,500]"],
    ["more sectors than the read has, an object before them", '[0,1,1,{"is":"foreign","at":64,"n":1,"head":""},1,0,8]'],
    ["fewer sectors, an object behind them", '[0,1,1,1,0,6,{"is":"foreign","at":70,"n":1,"head":""}]'],
    ["zeros with a place in a write", "[0,1,1,0,1]"],
    ["a negative operation", "[0,1,1,-1]"],
    ["a number too large", "[0,1,1,4294967296]"],
    ["an extent that is none", '[0,1,1,{"is":"magic"}]'],
    ["an object in the wrong place", '[0,1,1,1,{"is":"zero","at":64,"n":8}]'],
    ["null", "[0,1,1,null]"],
  ])("of content that cannot be, such as %s, leaves its read unanswered", (_name, line) => {
    const history = readLines(JSON.stringify(HEADER), clock, "[2,0,64,8]", line, write);
    expect(history.damage).toEqual([{ line: 4, problem: "expected content that the read covers" }]);
    expect([...history.operations].map(({ state }) => state)).toEqual(["unanswered", "unanswered"]);
  });

  test("is told in words a hundred times, and then counted", () => {
    const history = readLines(JSON.stringify(HEADER), ...Array.from({ length: 250 }, () => '{"t":1}'));
    expect(history.damage).toHaveLength(DAMAGE_TOLD + 1);
    expect(history.damage.at(-1)).toEqual({ line: 102, problem: "and 150 more lines like these" });
  });
});
