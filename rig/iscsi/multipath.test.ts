import { describe, expect, test } from "vitest";
import type { Session } from "./initiator.ts";
import { multipathTable, parseMultipathStatus } from "./multipath.ts";

const session = (path: "a" | "b", dev: string): Session => ({
  path,
  sid: "1",
  disk: "sda",
  dev,
  sectors: 131_072,
  values: {},
});
const BOTH = [session("a", "8:16"), session("b", "8:0")];
const TABLE = "0 131072 multipath 1 queue_if_no_path 0 2 1 round-robin 0 1 1 8:16 1000 round-robin 0 1 1 8:0 1000";

test("the table: one group a path, in their order, queueing when none is left", () => {
  expect(multipathTable(BOTH)).toBe(TABLE);
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
