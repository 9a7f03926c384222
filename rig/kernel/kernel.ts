/** A kernel ready to boot: its bundle and its identity. */
import { RigError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { KernelIdentity } from "../results/schema.ts";
import { type BootBundle, bundleOf, cachedBundle } from "./bundle.ts";
import { type Located, locate, type ResolveOptions } from "./locate.ts";
import { isBuilt, type KernelSpec } from "./spec.ts";

export interface Kernel {
  readonly name: string;
  readonly identity: KernelIdentity;
  readonly bundle: BootBundle;
  /** Of a kernel that the rig built. */
  readonly built?: { readonly config: string; readonly log: string };
}

const kernelOf = (spec: KernelSpec, located: Located, bundle: BootBundle): Kernel => {
  const { built, package: pkg } = located;
  return {
    name: spec.name,
    bundle,
    ...(built === undefined ? {} : { built: { config: built.config, log: built.log } }),
    identity: {
      name: spec.name,
      ...(spec.text === spec.name ? {} : { given: spec.text }),
      release: bundle.release,
      ...(pkg === undefined ? {} : { package: pkg.name, packageVersion: pkg.version }),
      ...(built === undefined
        ? {}
        : { sourceVersion: built.sourceVersion, sourceKey: built.sourceKey, suffixes: [...spec.suffixes] }),
      ...(bundle.configSha256 === undefined ? {} : { configSha256: bundle.configSha256 }),
      sha256: bundle.sha256,
      source: located.source,
    },
  };
};

/** Makes a kernel ready to boot: from the cache, or fetched, built and bundled. */
export const resolveKernel = async (spec: KernelSpec, log: Log, options: ResolveOptions = {}): Promise<Kernel> => {
  const located = await locate(spec, { ...options, log });
  if (located === undefined) throw new RigError("RIG_BUG", `Expected ${spec.name} to be found or made; it was not.`);
  const { content, open } = located;
  const bundle = await bundleOf({ name: spec.name, content, open, log, signal: options.signal });
  return kernelOf(spec, located, bundle);
};

/** What it takes to run a kernel: nothing, seconds for its bundle, an archive, or a build; or why it cannot be. */
export const KERNEL_STATES = ["cached", "to bundle", "to fetch", "to build", "cannot"] as const;

export interface KernelStatus {
  readonly state: (typeof KERNEL_STATES)[number];
  /** Why it cannot be used. */
  readonly why?: string;
  readonly kernel?: Kernel;
  readonly located?: Located;
}

export type KernelState = KernelStatus["state"];

/** What is there of a kernel. Asks no archive, and makes nothing. */
export const kernelStatus = async (spec: KernelSpec): Promise<KernelStatus> => {
  try {
    const located = await locate(spec, undefined);
    if (located === undefined) return { state: isBuilt(spec.origin) ? "to build" : "to fetch" };
    const bundle = await cachedBundle(located.content);
    if (bundle === undefined) return { state: "to bundle", located };
    return { state: "cached", located, kernel: kernelOf(spec, located, bundle) };
  } catch (error) {
    if (error instanceof RigError) return { state: "cannot", why: error.message };
    throw error;
  }
};

export const kernelState = async (spec: KernelSpec): Promise<KernelState> => (await kernelStatus(spec)).state;
