import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { run } from "../../core/exec.ts";
import { temporaryDirectory } from "../../testing/bench-dir.ts";
import { HANG_COMMANDS } from "./hang-commands.ts";

/** Runs them here with these programs in the place of the real ones, which this machine may not have. */
const runWith = async (programs: Readonly<Record<string, string>>, partS: number, allS: number) => {
  const directory = await temporaryDirectory();
  const [bin, temporary] = [path.join(directory, "bin"), path.join(directory, "tmp")];
  await mkdir(bin);
  await mkdir(temporary);
  const quiet = Object.fromEntries(["pidof", "dmsetup", "iscsiadm", "ss", "ps"].map(name => [name, "exit 0"]));
  for (const [name, text] of Object.entries({ ...quiet, ...programs })) {
    await writeFile(path.join(bin, name), `#!/bin/sh\n${text}\n`);
    await chmod(path.join(bin, name), 0o755);
  }
  const env = { PATH: `${bin}:${process.env["PATH"] ?? ""}`, TMPDIR: temporary };
  const result = await run(["sh", "-eu", "-s", "--", String(partS), String(allS)], { env, input: HANG_COMMANDS });
  return { ...result, left: await readdir(temporary) };
};

test("what commands say is shown, and with which status they fail", async () => {
  const { exitCode, stdout, left } = await runWith(
    { dmsetup: 'echo "dm $1"', ss: "echo sockets; exit 3", ps: "echo tasks" },
    5,
    20,
  );
  expect(exitCode).toBe(0);
  expect(stdout).toContain("== dmsetup info\ndm info\n== dmsetup table\ndm table\n");
  expect(stdout).toContain("== ss -tnoie\nsockets\n(status 3)\n");
  expect(stdout.endsWith("tasks\n")).toBe(true);
  expect(left).toEqual([]);
});

// A process that nobody can kill cannot be had here; a timeout that kills nothing leaves the script as alone.
const HELPLESS = { timeout: 'shift 3; exec "$@"' };

test("a command that cannot be killed is left behind, with what it has said, and the others are run", async () => {
  const { exitCode, stdout, durationMs } = await runWith(
    { ...HELPLESS, dmsetup: "echo begun; if [ $1 = info ]; then sleep 15; fi", ps: "echo tasks" },
    1,
    20,
  );
  expect(exitCode).toBe(0);
  expect(stdout).toContain("== dmsetup info\nbegun\n(it did not end)\n== dmsetup table\nbegun\n");
  expect(stdout).toContain("tasks");
  expect(durationMs).toBeLessThan(10_000);
});

test("all together end in time, and say what was left out", async () => {
  const { exitCode, stdout, durationMs } = await runWith({ ...HELPLESS, dmsetup: "echo begun; sleep 15" }, 1, 2);
  expect(exitCode).toBe(0);
  expect(stdout).toContain("begun\n(it did not end)\n");
  expect(stdout).toMatch(/ps -eLo .*\n\(no time left\)\n$/);
  expect(durationMs).toBeLessThan(8000);
});
