/** What is encoded is what is decoded, whatever it is. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { historyOf } from "./collect.ts";
import { compactSchemas, endSchema, SECTION_LINES } from "./compact.ts";
import { Encoder, historyText } from "./encode.ts";
import { eventSchema, type HistoryEvent, headerSchema } from "./event.ts";
import { parseHistory } from "./reader.ts";
import { anyEvents, HEADER, saidBy } from "./testdata/histories.ts";

const read = (text: string) => parseHistory(text.split("\n"), "h");

test("any events come back as they were recorded", async () => {
  await fc.assert(
    fc.asyncProperty(anyEvents, async events => {
      const [seen, expected] = [await read(historyText(HEADER, events)), historyOf(HEADER, events)];
      expect(saidBy(seen)).toEqual(saidBy(expected));
      expect(seen.damage.map(({ problem }) => problem)).toEqual(expected.damage.map(({ problem }) => problem));
      expect(seen.truncated).toBe(false);
    }),
    { numRuns: 500 },
  );
});

test("lines are told as they are in the file", async () => {
  await fc.assert(
    fc.asyncProperty(anyEvents, async events => {
      const text = historyText(HEADER, events);
      const lines = text.split("\n");
      const history = await read(text);
      history.events.forEach((event, index) => {
        const line = lines[(history.lines[index] ?? 0) - 1] ?? "";
        if (event.kind === "command") expect(line).toMatch(/^\[16,/);
        else expect(JSON.parse(line)).toEqual(event);
      });
      for (const { invokeLine, doneLine, state } of history.operations) {
        expect(lines[invokeLine - 1]).toMatch(/^\[\d+,/);
        if (doneLine !== undefined) expect(lines[doneLine - 1]).toMatch(state === "ok" ? /^\[0,/ : /^\[6,/);
      }
    }),
  );
});

test("every line fits the published schema", () => {
  const schema = z.union([headerSchema, eventSchema, endSchema, ...Object.values(compactSchemas)]);
  fc.assert(
    fc.property(anyEvents, events => {
      const lines = historyText(HEADER, events).trimEnd().split("\n");
      for (const line of lines) expect(schema.safeParse(JSON.parse(line)).success, line).toBe(true);
    }),
  );
});

test("a section may end anywhere", async () => {
  await fc.assert(
    fc.asyncProperty(anyEvents, fc.infiniteStream(fc.boolean()), async (events, ends) => {
      const encoder = new Encoder();
      let text = encoder.header(HEADER);
      for (const { t, ...event } of events) {
        text += encoder.encode(event, t);
        if (ends.next().value) encoder.endSection();
      }
      expect(saidBy(await read(text))).toEqual(saidBy(historyOf(HEADER, events)));
      expect(encoder.lines).toBe(text.split("\n").length - 1);
    }),
  );
});

test("operations and commands are short, and say only what is new", () => {
  const invoke = (t: number, op: number, sector: number): HistoryEvent => ({
    t,
    kind: "invoke",
    op,
    action: op === 3 ? "read" : "write",
    via: op === 4 ? "backing" : "initiator",
    sector,
    sectors: 8,
    label: "generation 1",
    ...(op === 2 ? { fua: true } : {}),
  });
  const command = (t: number, sector: number): HistoryEvent => ({
    t,
    kind: "command",
    action: "write",
    lun: 1,
    sector,
    sectors: 8,
    path: "b",
    session: "b#1",
    tag: 77,
    cmdSN: 5,
    receivedNs: t - 9,
    doneNs: t + 20,
    status: 0,
  });
  const text = historyText(HEADER, [
    invoke(1000, 1, 64),
    invoke(1010, 2, 72),
    invoke(1010, 3, 64),
    invoke(1011, 4, 72),
    { t: 1020, kind: "ok", op: 1 },
    { t: 1005, kind: "fail", op: 2, error: "EIO" },
    { t: 1030, kind: "ok", op: 3, content: [{ is: "write", at: 64, n: 8, op: 1, i: 0 }] },
    command(1040, 64),
    command(1050, 72),
  ]);
  expect(text.split("\n").slice(1, -2)).toEqual([
    "[7,1000,1]",
    '[8,1,"generation 1"]',
    "[1,0,64,8,1]",
    "[9,10,72]",
    "[2,0,64,8,1]",
    "[17,1]",
    "[0,9,4]",
    '[8,2,"EIO"]',
    "[6,-15,3,2]",
    "[0,25,2,1]",
    '[8,3,"b#1"]',
    "[16,10,1,64,77,6,10,21,8,3,2,1,1]",
    "[16,10,1,72]",
  ]);
});

test("a section has a bounded number of lines", () => {
  const events = Array.from({ length: 3 * SECTION_LINES }, (_, index): HistoryEvent => {
    return { t: index, kind: "invoke", op: index + 1, action: "flush", via: "initiator", sector: 0, sectors: 0 };
  });
  const clocks = historyText(HEADER, events)
    .split("\n")
    .filter(line => line.startsWith("[7,"));
  expect(clocks).toEqual(["[7,0,1]", `[7,${SECTION_LINES},${SECTION_LINES + 1}]`, "[7,1024,1025]"]);
});
