import { expect, test } from "vitest";
import { ledgerSchema } from "./ledger-settings.ts";

test("a ledger of which nothing is said but its slots writes whole slots", () => {
  expect(ledgerSchema.parse({ slots: 32, slotBytes: 4096 })).toEqual({
    slots: 32,
    slotBytes: 4096,
    depth: 32,
    connections: 1,
    mix: { blockBytes: [4096], alignBytes: 4096, near: 0, reads: 0, flushes: 0, discards: 0, zeroes: 0, fua: 0 },
  });
});

test("operations are aligned to the smallest size where nothing else is said", () => {
  const { mix } = ledgerSchema.parse({ slots: 64, slotBytes: 65_536, mix: { blockBytes: [4096, 512, 1_048_576] } });
  expect(mix.alignBytes).toBe(512);
});

test.each([
  ["a size that is no whole sector", { mix: { blockBytes: [1000] } }],
  ["a size above 1 MiB", { mix: { blockBytes: [2_097_152] } }],
  ["shares without writes", { mix: { reads: 60, flushes: 40 } }],
  ["an operation larger than all slots", { mix: { blockBytes: [524_288] } }],
  ["too deep a queue", { depth: 257 }],
  ["too much under way", { slots: 4096, slotBytes: 1_048_576, depth: 65 }],
  ["too many connections", { connections: 9 }],
  ["a word that it does not know", { mix: { writes: 50 } }],
])("%s is refused", (_what, more) => {
  expect(ledgerSchema.safeParse({ slots: 32, slotBytes: 4096, ...more }).success).toBe(false);
});
