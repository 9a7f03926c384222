import { expect, test } from "vitest";
import { parseCapabilities } from "./capabilities.ts";

test("what was tried and how it went; other lines are noise", () => {
  expect(
    parseCapabilities([
      "bridge and tap|1|",
      "tc netem|0|Error: Specified qdisc kind is unknown.",
      "made up|1|",
      "modprobe: WARNING",
      "",
      "|1|",
    ]),
  ).toEqual([
    { name: "bridge and tap", works: true, why: "" },
    { name: "tc netem", works: false, why: "Error: Specified qdisc kind is unknown." },
  ]);
});
