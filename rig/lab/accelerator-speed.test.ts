import { describe, expect, test } from "vitest";
import { run } from "../core/exec.ts";
import { bootSector, factorOf, timedArgv } from "./accelerator-speed.ts";

describe("the factor", () => {
  test.each([
    ["of a fast machine is 1", "85 30000\n85 40000\n85 31000\n", 1],
    ["is that of the best run", "85 9000000\n85 1100000\n85 2000000\n", 2.2],
    ["is bounded", "85 99000000\n", 10],
    ["leaves out a guest that did not answer", "1 20000\n85 1000000\n", 2],
    ["is 1 where nothing was measured", "1 20000\nsh: no qemu\n", 1],
    ["is 1 where nothing was said", "", 1],
  ])("%s", (_name, said, factor) => {
    expect(factorOf(said)).toBe(factor);
  });
});

test("three runs are timed, whatever the command's status", async () => {
  const [program = "", ...rest] = timedArgv(["sh", "-c", "exit 85"]);
  const { stdout, exitCode } = await run([program, ...rest]);
  expect(exitCode).toBe(0);
  expect(
    stdout
      .trim()
      .split("\n")
      .map(line => line.split(" ")[0]),
  ).toEqual(["85", "85", "85"]);
});

test("a boot sector counts, answers, and ends as the PC wants it", () => {
  expect(bootSector(0x01020304).toString("hex", 0, 17)).toBe("66b904030201" + "664975fc" + "b02ae6f4f4ebfd");
  expect(bootSector(1).toString("hex", 510)).toBe("55aa");
});
