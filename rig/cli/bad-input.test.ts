import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCli, startCli } from "../testing/cli.ts";

/** One clear message, the right status, never a stack trace. None of these gets as far as a container. */
describe("bad input", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "rig-bad-"));
    await writeFile(path.join(dir, "cell.json"), "{");
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    [
      "a typo in a scenario",
      ["run", "recovery/stale-wrte", "--kernel", "debian-6.1"],
      2,
      /Did you mean recovery\/stale-write\?/,
    ],
    [
      "a scenario without its group",
      ["run", "stale-write", "--kernel", "debian-6.1"],
      2,
      /Did you mean recovery\/stale-write\?/,
    ],
    ["a typo in a kernel", ["run", "--kernel", "debian-6.2"], 2, /Did you mean debian-6\.1\?/],
    [
      "an unknown head",
      ["compare", "--base", "debian-5.10", "--head", "mainline"],
      2,
      /There are: debian-5\.10, debian-6\.1, debian-6\.12/,
    ],
    ["no kernel", ["run"], 2, /--kernel <name>/],
    [
      "one kernel twice",
      ["compare", "--base", "debian-6.1", "--head", "debian-6.1"],
      2,
      /a comparison needs two kernels/,
    ],
    [
      "a head that is the reference's base",
      ["compare", "recovery/stale-write", "--head", "debian-5.10"],
      2,
      /Base and head of recovery\/stale-write are both debian-5\.10/,
    ],
    ["a count that is none", ["run", "--kernel", "debian-6.1", "--repeat", "0"], 2, /whole number from 1 to 10000/],
    ["an unknown command", ["rn"], 2, /unknown command 'rn'/],
    ["an unknown node", ["shell", "targte"], 2, /Did you mean target\?/],
    ["a directory that is no run", ["report", tmpdir()], 2, /run\.json/],
    ["a directory that is no run, for its timing", ["timing", tmpdir()], 2, /run\.json: no such file/],
    ["figures by nothing there is", ["timing", tmpdir(), "--by", "seed"], 2, /Allowed choices are kernel, scenario/],
    ["a directory that is no cell", ["check", tmpdir()], 2, /Expected a cell's directory/],
    ["a directory that is not there", ["check", "/nowhere/at/all"], 2, /no such directory\. Expected the directory of/],
    ["a device in place of a directory", ["check", "/dev/null"], 2, /not a directory\. Expected the directory of/],
  ];
  test.each(cases)("%s", async (_, args, status, message) => {
    const result = await runCli(...args);
    expect(result.status, result.stderr).toBe(status);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/\n\s+at /);
    expect(result.stdout).toBe("");
  });

  test("a damaged cell.json", async () => {
    const result = await runCli("check", dir);
    expect([result.status, result.stderr]).toEqual([3, expect.stringContaining("cell.json: expected JSON")]);
  });

  test("a Docker daemon that does not answer", async () => {
    const result = await startCli(["run", "--kernel", "debian-6.1"], { DOCKER_HOST: "unix:///nowhere/docker.sock" })
      .result;
    expect(result.status, result.stderr).toBe(3);
    expect(result.stderr).toMatch(/No Docker daemon answers at DOCKER_HOST|needs root/);
  });

  test("a cache that cannot be written", async () => {
    const result = await startCli(["run", "--kernel", "debian-6.1"], { XDG_CACHE_HOME: path.join(dir, "cell.json") })
      .result;
    expect(result.status, result.stderr).toBe(3);
    expect(result.stderr).toMatch(/cell\.json|needs root|No Docker daemon/);
    expect(result.stderr).not.toContain("bug");
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });
});
