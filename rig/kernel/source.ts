/**
 * Kernel sources that the rig builds from: a linux-source package of Debian, a directory, or a commit of a git repository.
 * Whatever it was, it becomes a directory of the rig's own, and object trees link their files from there. A user's
 * directory or repository is only read.
 */
import type { Log } from "../core/log.ts";
import { cachedFromCommit, fromCommit } from "./source-commit.ts";
import { cachedFromDirectory, fromDirectory } from "./source-directory.ts";
import { cachedFromPackage, fromPackage } from "./source-package.ts";
import type { SourceOptions, SourceTree } from "./source-tree.ts";
import type { KernelOrigin } from "./spec.ts";

type SourceOrigin = Extract<KernelOrigin, { kind: "git" | "source" }>;

/** The source, unpacked. A package that is known is not asked for again unless `refresh` says so. */
export const sourceTree = (origin: SourceOrigin, log: Log, options: SourceOptions = {}): Promise<SourceTree> => {
  if (origin.kind === "git") return fromCommit(origin.dir, origin.ref, log, options);
  return "dir" in origin.from ? fromDirectory(origin.from.dir, log, options) : fromPackage(origin.from, log, options);
};

/** The source, if it is unpacked already; asks no archive and unpacks nothing. */
export const cachedSourceTree = async (origin: SourceOrigin, signal?: AbortSignal): Promise<SourceTree | undefined> => {
  if (origin.kind === "git") return cachedFromCommit(origin.dir, origin.ref, signal);
  return "dir" in origin.from ? cachedFromDirectory(origin.from.dir, signal) : cachedFromPackage(origin.from);
};
