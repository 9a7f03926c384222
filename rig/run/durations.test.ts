import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { CellSummary } from "../results/schema.ts";
import { ownCache } from "../testing/bench-dir.ts";
import { knownDurations, rememberDurations } from "./durations.ts";

const cell = (scenario: string, kernel: string, durationMs: number): CellSummary => ({
  scenario,
  kernel,
  seed: 1,
  status: "PASS",
  findings: [],
  phases: [],
  durationMs,
  directory: "cells/x",
});

describe("durations", () => {
  test("are not known before the first run", async () => {
    await ownCache();
    expect((await knownDurations())("g/one", "6.1")).toBeUndefined();
  });

  test("are the medians of each scenario and kernel", async () => {
    const cache = await ownCache();
    await rememberDurations([
      ...[900, 10, 30].map(ms => cell("g/one", "6.1", ms)),
      cell("g/one", "6.12", 50),
      cell("g/two", "6.1", 70),
    ]);
    const known = await knownDurations();
    expect([known("g/one", "6.1"), known("g/one", "6.12"), known("g/two", "6.1")]).toEqual([30, 50, 70]);
    expect(known("g/two", "6.12")).toBeUndefined();
    expect(await readdir(cache)).toEqual(["durations.json"]);
  });

  test("of later runs take the place of earlier ones; what did not run stays", async () => {
    await ownCache();
    await rememberDurations([cell("g/one", "k", 10), cell("g/two", "k", 20)]);
    await rememberDurations([cell("g/two", "k", 99)]);
    await rememberDurations([]);
    const known = await knownDurations();
    expect([known("g/one", "k"), known("g/two", "k")]).toEqual([10, 99]);
  });

  test.each(["", "{", "null", "[]", '{"g/one k":"long"}'])("in a damaged file (%j) are forgotten", async text => {
    const cache = await ownCache();
    const file = path.join(cache, "durations.json");
    await mkdir(cache, { recursive: true });
    await writeFile(file, text);
    expect((await knownDurations())("g/one", "k")).toBeUndefined();
    await rememberDurations([cell("g/one", "k", 5)]);
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ "g/one k": 5 });
  });

  test("that cannot be written end no run", async () => {
    const cache = await ownCache();
    await mkdir(path.dirname(cache), { recursive: true });
    await writeFile(cache, "a file where the cache should be");
    await rememberDurations([cell("g/one", "k", 5)]);
    expect((await knownDurations())("g/one", "k")).toBeUndefined();
  });
});
