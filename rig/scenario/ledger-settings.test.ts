import { expect, test } from "vitest";
import { ledgerSchema, misfitOf } from "./ledger-settings.ts";
import { scenarioDataSchema } from "./scenario.ts";

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
  ["too many connections", { connections: 9 }],
  ["a word that it does not know", { mix: { writes: 50 } }],
])("%s is refused", (_what, more) => {
  expect(ledgerSchema.safeParse({ slots: 32, slotBytes: 4096, ...more }).success).toBe(false);
});

const MIB = 2 ** 20;
const within = (more: object, devices = 1, discard = false) =>
  misfitOf(ledgerSchema.parse({ slots: 32, slotBytes: 4096, ...more }), { devices, discard });

test.each([
  ["slots alone", { slots: 64, slotBytes: MIB }, 1, true],
  ["a slot more", { slots: 65, slotBytes: MIB }, 1, false],
  ["a queue of the largest size", { slots: 64, slotBytes: MIB, depth: 64 }, 1, true],
  ["a deeper one", { slots: 64, slotBytes: MIB, depth: 65 }, 1, false],
  ["a queue of large operations over small slots", { slots: 512, depth: 33, mix: { blockBytes: [MIB] } }, 2, false],
  ["eight devices", { slots: 8, slotBytes: MIB, depth: 8 }, 8, true],
  ["eight devices with a slot more", { slots: 9, slotBytes: MIB, depth: 8 }, 8, false],
] as const)("data under way is bounded for all devices together: %s", (_what, ledger, devices, fits) => {
  expect(within(ledger, devices) === undefined).toBe(fits);
});

test("a ledger that does not fit its lab is refused with the scenario, in words", () => {
  const parse = (ledger: object, lab: object = {}) =>
    scenarioDataSchema.safeParse({
      title: "a scenario of a test",
      about: [],
      healthy: "It does what the test expects.",
      lab: { paths: 2, transport: "tcp", multipath: "failover", ...lab },
      ledger: { slots: 32, slotBytes: 4096, ...ledger },
    });
  const told = (result: ReturnType<typeof parse>) =>
    result.error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  expect(told(parse({ mix: { discards: 1 } }))).toEqual(["ledger: discards need lab.discard"]);
  expect(parse({ mix: { discards: 1 } }, { discard: true }).success).toBe(true);
  const slots = { slots: 9, slotBytes: MIB };
  expect(parse(slots, { luns: 4 }).success).toBe(false);
  expect(parse({ ...slots, depth: 9 }, { luns: 4 }).success).toBe(true);
  expect(told(parse({ ...slots, depth: 9 }, { luns: 4, devices: "paths" }))).toEqual([
    "ledger: the larger of depth times the largest size and slots times slotBytes, for every device, is 72 MiB; at most 64 MiB may be under way",
  ]);
});
