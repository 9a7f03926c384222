import { mkdir, readdir, readlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { makeRunDirectory, newRunId } from "./directory.ts";

test("a run's id tells when it began, sorts by that, and differs from others of that second", () => {
  const ids = Array.from({ length: 20 }, newRunId);
  for (const id of ids) expect(id).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{4}$/);
  expect(new Set(ids).size).toBeGreaterThan(15);
});

describe("a run's directory", () => {
  test("is made with all above it, and `latest` leads to the newest", async () => {
    const out = path.join(await temporaryDirectory(), "deep/results");
    expect(await makeRunDirectory(out, "run-1")).toBe(path.join(out, "run-1"));
    await makeRunDirectory(out, "run-2");
    expect(await readlink(path.join(out, "latest"))).toBe("run-2");
    expect(await readdir(out)).toEqual(["latest", "run-1", "run-2"]);
  });

  test("can be made by many at once", async () => {
    const out = await temporaryDirectory();
    await Promise.all(Array.from({ length: 8 }, (_, i) => makeRunDirectory(out, `run-${i}`)));
    expect(await readlink(path.join(out, "latest"))).toMatch(/^run-\d$/);
    expect(await readdir(out)).toHaveLength(9);
  });

  test.each<[string, (out: string) => Promise<unknown>]>([
    ["a file stands in its way", out => writeFile(out, "x")],
    ["`latest` is something else", out => mkdir(path.join(out, "latest/x"), { recursive: true })],
  ])("cannot be made where %s, and says what to do", async (_name, prepare) => {
    const out = path.join(await temporaryDirectory(), "results");
    await prepare(out);
    await expect(makeRunDirectory(out, "run-1")).rejects.toMatchObject({
      code: "RIG_BAD_RESULTS",
      blame: "environment",
      message: expect.stringContaining("--out") as string,
    });
  });
});
