import { describe, expect, test } from "vitest";
import type { Node } from "../lab/node.ts";
import { multipathName, multipathTable, parseMultipathStatus, reinstatePath } from "./multipath.ts";

const BOTH = [
  { dev: "8:16", sectors: 131_072 },
  { dev: "8:0", sectors: 131_072 },
];
const TABLE = "0 131072 multipath 1 queue_if_no_path 0 2 1 round-robin 0 1 1 8:16 1000 round-robin 0 1 1 8:0 1000";

test("the table: one group a path, in their order, queueing when none is left", () => {
  expect(multipathTable(BOTH)).toBe(TABLE);
});

test("each LUN has a device of its own, and a path is given back to its own", async () => {
  expect([0, 1, 3].map(multipathName)).toEqual(["mp", "mp1", "mp3"]);
  const ran: string[] = [];
  const ssh = { execOk: (argv: readonly string[]) => Promise.resolve(void ran.push(argv.join(" "))) };
  await reinstatePath({ ssh } as unknown as Node, { lun: 2, dev: "8:32" });
  expect(ran).toEqual(["dmsetup message mp2 0 reinstate_path 8:32"]);
});

describe("a status line", () => {
  test.each<[string, string, Record<string, string>]>([
    ["both active", "2 0 1 0 2 1 A 0 1 2 8:16 A 0 0 1 E 0 1 2 8:0 A 0 0 1 ", { "8:16": "active", "8:0": "active" }],
    ["one failed", "2 0 1 0 2 2 D 0 1 2 8:16 F 3 0 1 A 0 1 2 8:0 A 0 0 1 ", { "8:16": "failed", "8:0": "active" }],
    ["large numbers", "2 0 0 0 1 1 A 0 1 2 259:1048575 F 1 0 1", { "259:1048575": "failed" }],
    ["gone", "GONE", {}],
    ["nothing", "", {}],
    ["garbage", "8:0 Active 8:16 X : A", {}],
  ])("%s", (_name, status, states) => {
    expect(Object.fromEntries(parseMultipathStatus(status))).toEqual(states);
  });
});
