/** Asks for the cache entry named by the first argument; a builder that runs says so and takes its time. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { cached } from "../cache.ts";
import { sleep } from "../clock.ts";
import { silentLog } from "../log.ts";

const dir = await cached({
  kind: "thing",
  key: process.argv[2] ?? "",
  what: "the thing",
  needsMiB: 1,
  log: silentLog,
  build: async building => {
    process.stdout.write("building\n");
    await writeFile(path.join(building, "half"), "half");
    await sleep(Number(process.argv[3] ?? 0));
    await writeFile(path.join(building, "data"), "whole");
  },
});
process.stdout.write(`${dir}\n`);
