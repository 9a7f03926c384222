/** Kernel sources from a commit of a git repository, which is only read. */
import { rm } from "node:fs/promises";
import path from "node:path";
import { contentKey } from "../core/cache.ts";
import { run, runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { lastLines } from "../core/untrusted-tail.ts";
import { exists, peekSource, type SourceOptions, type SourceTree, unpacked, unusable } from "./source-tree.ts";

const git = (dir: string, args: readonly string[], signal: AbortSignal | undefined) =>
  run(["git", "-C", dir, ...args], { signal, env: { GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" } });

const commitOf = async (dir: string, ref: string, signal: AbortSignal | undefined): Promise<string> => {
  if (!(await exists(dir))) throw unusable(`Expected a git repository at ${dir}; there is none.`);
  const inside = await git(dir, ["rev-parse", "--git-dir"], signal);
  if (inside.exitCode !== 0)
    throw unusable(`Expected a git repository at ${dir}; git cannot use it.\n${lastLines(inside.stderr, 3)}`);
  const found = await git(dir, ["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`], signal);
  const commit = found.stdout.trim();
  if (found.exitCode !== 0 || !/^[0-9a-f]{40,64}$/.test(commit))
    throw unusable(
      `Expected a commit, tag or branch called ${JSON.stringify(ref.slice(0, 100))} in ${dir}; git knows none. Look with: git -C ${dir} log --oneline --all`,
    );
  return commit;
};

const titleOf = (dir: string, ref: string, commit: string): string => {
  const short = commit.slice(0, 12);
  return `${path.basename(dir)} ${commit.startsWith(ref) ? short : `${ref} (${short})`}`;
};

/** The source of a commit. */
export const fromCommit = async (
  dir: string,
  ref: string,
  log: Log,
  { signal }: SourceOptions,
): Promise<SourceTree> => {
  const commit = await commitOf(dir, ref, signal);
  const title = titleOf(dir, ref, commit);
  return unpacked({ key: contentKey("git commit", commit), title, log, signal }, async to => {
    const tar = path.join(to, ".archive.tar");
    await runOk(["git", "-C", dir, "archive", "--format=tar", `--output=${tar}`, commit], "RIG_KERNEL_SOURCE", {
      signal,
      env: { GIT_OPTIONAL_LOCKS: "0" },
    });
    await runOk(["tar", "-xf", tar, "-C", to, "--no-same-owner"], "RIG_KERNEL_SOURCE", { signal });
    await rm(tar);
  });
};

/** The source of a commit, if it is unpacked. */
export const cachedFromCommit = async (
  dir: string,
  ref: string,
  signal?: AbortSignal,
): Promise<SourceTree | undefined> => {
  const commit = await commitOf(dir, ref, signal);
  return peekSource(contentKey("git commit", commit), titleOf(dir, ref, commit));
};
