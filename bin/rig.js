#!/usr/bin/env node
// Starts the rig with a Node.js that can run it: this one if it is new enough, else the one that npm installed beside it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const own = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
const main = fileURLToPath(new URL("../rig/cli/main.ts", import.meta.url));

if (Number(process.versions.node.split(".")[0]) >= 24) {
  await import(main);
} else if (existsSync(own)) {
  // The child gets the terminal's signals itself; this process must outlive it to pass its status on.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
  const result = spawnSync(own, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  process.exit(result.status ?? 3);
} else {
  console.error(`rig: expected Node.js 24 or newer, this is ${process.versions.node}, and none is installed beside it. Run: make setup`);
  process.exit(3);
}
