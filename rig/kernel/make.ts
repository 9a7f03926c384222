/** Running make in an object tree, and telling what went wrong in it. */
import { appendFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { RigError } from "../core/errors.ts";
import { type ExecResult, run } from "../core/exec.ts";
import type { ObjectTree } from "./object-tree.ts";

/** Nothing in the environment of whoever calls the rig may change what is compiled. */
const ENVIRONMENT = {
  LC_ALL: "C",
  TZ: "UTC",
  KBUILD_BUILD_USER: "rig",
  KBUILD_BUILD_HOST: "iscsi-rig",
  KBUILD_BUILD_VERSION: "1",
  KBUILD_BUILD_TIMESTAMP: "Thu Jan  1 00:00:00 UTC 1970",
};

export interface MakeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with each line that make says. */
  readonly onLine?: (line: string) => void;
}

/** Arguments for make that keep the tree's own place out of debugging information, the only thing that it gets into. */
export const withoutPlace = (tree: ObjectTree): readonly string[] =>
  ["KCFLAGS", "KAFLAGS"].map(name => `${name}=-ffile-prefix-map=${tree.source}=/linux`);

/** Runs make in the tree. It ends when the rig does, and its processes hold the tree's lock. */
export const make = async (
  tree: ObjectTree,
  args: readonly string[],
  { signal, onLine }: MakeOptions = {},
): Promise<ExecResult> => {
  await mkdir(tree.objects, { recursive: true });
  return run(
    [
      ...(["sh", "-c", 'exec "$@" >&2', "sh"] as const),
      ...["setpriv", "--pdeathsig", "TERM"],
      ...["flock", "--no-fork", path.join(tree.dir, "make.lock")],
      ...["nice", "-n", "10"],
      ...["env", "-i", `PATH=${process.env["PATH"] ?? ""}`, `HOME=${tree.dir}`],
      ...Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`),
      ...["make", "-C", tree.source, "O=obj", "ARCH=x86_64", `-j${availableParallelism()}`],
      // Kconfig writes down which versions of these it finds, needed or not.
      ...["PAHOLE=none", "RUSTC=none", "BINDGEN=none"],
      ...args,
    ],
    {
      signal,
      onLine: line => {
        try {
          appendFileSync(tree.log, `${line}\n`);
        } catch {
          // A disk that is full stops make too, and make says so.
        }
        onLine?.(line);
      },
    },
  );
};

/** The line of a build's output that says what went wrong first. */
export const firstError = (output: string): string => {
  const lines = output.split("\n");
  const found =
    lines.find(line => /(?:^|\s)(?:fatal )?error:/i.test(line)) ??
    lines.find(line => /undefined reference|multiple definition|No space left|command not found|Killed/.test(line)) ??
    lines.find(line => /\*\*\*/.test(line)) ??
    lines.findLast(line => line.trim() !== "") ??
    "make said nothing";
  return found.trim().slice(0, 300);
};

/** A make that failed, as an error. */
export const buildError = (what: string, tree: ObjectTree, result: ExecResult): RigError => {
  if (/No space left on device|ENOSPC/.test(result.stderr))
    return new RigError(
      "RIG_NO_SPACE",
      `No space left on the device while building ${what} in ${tree.dir}. Free some space, or set XDG_CACHE_HOME to a larger disk, and run the command again. Log: ${tree.log}`,
      { blame: "environment" },
    );
  const how = result.signal === undefined ? `exit status ${result.exitCode}` : `signal ${result.signal}`;
  return new RigError(
    "RIG_KERNEL_BUILD",
    `Expected ${what} to compile; make ended with ${how}. First error: ${firstError(result.stderr)}\nLog: ${tree.log}`,
    { blame: "environment" },
  );
};
