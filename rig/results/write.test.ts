import { readdir, readFile, symlink } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { writeJson } from "./write.ts";

test("a result file is replaced whole", async () => {
  const dir = await temporaryDirectory();
  const file = path.join(dir, "run.json");
  await writeJson(file, { a: 1 });
  await writeJson(file, { a: [2] });
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ a: [2] });
  expect(await readdir(dir)).toEqual(["run.json"]);
});

test("one that cannot be written is told, a full disk as what it is", async () => {
  const dir = await temporaryDirectory();
  await expect(writeJson(path.join(dir, "no/run.json"), {})).rejects.toMatchObject({ code: "RIG_BAD_RESULTS" });
  await symlink("/dev/full", path.join(dir, "run.json.new"));
  await expect(writeJson(path.join(dir, "run.json"), {})).rejects.toMatchObject({ code: "RIG_NO_SPACE" });
});
