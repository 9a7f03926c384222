/** What tests of modules that call programs and write files need: a directory of their own, and stand-ins for programs. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished, vi } from "vitest";

/** A directory that is gone when the test is over. */
export const temporaryDirectory = async (): Promise<string> => {
  const dir = await mkdtemp(path.join(tmpdir(), "rig-test-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
};

/** A cache of the test's own. */
export const ownCache = async (): Promise<string> => {
  const dir = await temporaryDirectory();
  vi.stubEnv("XDG_CACHE_HOME", dir);
  onTestFinished(() => void vi.unstubAllEnvs());
  return path.join(dir, "iscsi-rig");
};

/**
 * Puts shell scripts in front of the programs of these names. Each call's name and arguments are put down before the
 * script runs; the function returned reads them.
 */
export const standIns = async (
  scripts: Readonly<Record<string, string>>,
): Promise<() => Promise<readonly (readonly string[])[]>> => {
  const dir = await temporaryDirectory();
  const calls = path.join(dir, "calls");
  const bin = path.join(dir, "bin");
  await mkdir(bin);
  for (const [name, script] of Object.entries(scripts)) {
    const file = path.join(bin, name);
    await writeFile(file, `#!/bin/sh\n{ printf '%s\\0' ${name} "$@"; echo; } >> ${calls}\n${script}\n`);
    await chmod(file, 0o755);
  }
  vi.stubEnv("PATH", `${bin}:${process.env["PATH"] ?? ""}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  return async () =>
    (await readFile(calls, "utf8").catch(() => ""))
      .split("\0\n")
      .slice(0, -1)
      .map(line => line.split("\0"));
};
