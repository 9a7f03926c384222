/**
 * What a kernel is to be built from, worked out before anything is: its flavours and variants told apart, its patches
 * applied in memory, its configuration merged, and the key that all of this gives.
 */
import { contentKey } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import { suggestion } from "../core/nearest.ts";
import { CONFIG_DIR, type Configuration, configText, flavourNames, loadFragments, mergeFragments } from "./config.ts";
import type { SourceTree } from "./source-tree.ts";
import { type AppliedVariants, applyVariants, inOrder, loadVariants, VARIANTS_DIR, type Variant } from "./variants.ts";

/** Raised when the way a kernel is built changes. */
const RECIPE = "kernel-build 2";

/** Where fragments and variants are read from; the project's own unless a test says otherwise. */
export interface BuildPlaces {
  readonly config?: string;
  readonly variants?: string;
}

export interface BuildPlan {
  readonly source: SourceTree;
  /** For messages. */
  readonly what: string;
  readonly flavours: readonly string[];
  readonly suffixes: readonly string[];
  readonly asked: Configuration;
  readonly applied: AppliedVariants;
  readonly compiler: string;
  readonly localVersion: string;
  readonly key: string;
}

/** Bytes in `uname -r`, without its end. */
const MAX_RELEASE = 64;

/** What follows the version in `uname -r`: the suffixes, or a hash of them where they are too long. */
export const localVersionOf = (version: string, suffixes: readonly string[]): string => {
  const whole = `-rig${suffixes.map(suffix => `+${suffix}`).join("")}`;
  return version.length + whole.length <= MAX_RELEASE ? whole : `-rig+${contentKey(...suffixes).slice(0, 12)}`;
};

const compilerVersion = async (): Promise<string> => {
  const [gcc, ld] = await Promise.all([
    runOk(["gcc", "--version"], "RIG_KERNEL_BUILD"),
    runOk(["ld", "--version"], "RIG_KERNEL_BUILD"),
  ]);
  return [gcc, ld].map(({ stdout }) => stdout.split("\n")[0] ?? "").join("; ");
};

/** Tells flavours from variants. */
const sortSuffixes = (
  suffixes: readonly string[],
  flavours: readonly string[],
  variants: readonly Variant[],
): { flavours: readonly string[]; variants: readonly Variant[] } => {
  const known = [...flavours, ...variants.map(({ name }) => name)];
  const unknown = suffixes.find(suffix => !known.includes(suffix));
  if (unknown !== undefined)
    throw new RigError(
      "RIG_UNKNOWN_KERNEL",
      `There is no variant or flavour ${JSON.stringify(unknown.slice(0, 100))}. ${suggestion(unknown, known)} All of them: rig kernels variants`,
      { blame: "usage" },
    );
  return {
    flavours: flavours.filter(name => suffixes.includes(name)),
    variants: inOrder(variants.filter(({ name }) => suffixes.includes(name))),
  };
};

/** The plan for a source with these suffixes, in whatever order they are given. */
export const planBuild = async (
  source: SourceTree,
  suffixes: readonly string[],
  places: BuildPlaces,
): Promise<BuildPlan> => {
  const configDir = places.config ?? CONFIG_DIR;
  const sorted = sortSuffixes(
    suffixes,
    await flavourNames(configDir),
    await loadVariants(places.variants ?? VARIANTS_DIR),
  );
  const { flavours } = sorted;
  const names = [...sorted.variants.map(({ name }) => name), ...flavours];
  const asked = mergeFragments(await loadFragments(flavours, configDir), source.version);
  const applied = await applyVariants(source.directory, source.title, sorted.variants);
  const compiler = await compilerVersion();
  const localVersion = localVersionOf(source.version, names);
  return {
    source,
    what: `${source.title}${names.map(name => `+${name}`).join("")}`,
    flavours,
    suffixes: names,
    asked,
    applied,
    compiler,
    localVersion,
    key: contentKey(
      RECIPE,
      source.key,
      configText(asked),
      JSON.stringify(applied.used.map(({ text }) => text)),
      compiler,
      localVersion,
    ),
  };
};
