/** A kernel ready to boot: its bundle and its identity. */
import type { Log } from "../core/log.ts";
import type { KernelIdentity } from "../results/schema.ts";
import { type BootBundle, bundleOfPackage } from "./bundle.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import { kernelPackage } from "./package.ts";

export interface Kernel {
  readonly name: string;
  readonly identity: KernelIdentity;
  readonly bundle: BootBundle;
}

/** Resolves a catalogue entry to a kernel: from the cache, or fetched and bundled. */
export const resolveKernel = async (
  entry: CatalogueEntry,
  log: Log,
  options: { refresh?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<Kernel> => {
  const pkg = await kernelPackage(entry, log, options);
  const bundle = await bundleOfPackage(entry.name, pkg.deb, pkg.sha256, log, options.signal);
  return {
    name: entry.name,
    bundle,
    identity: {
      name: entry.name,
      release: bundle.release,
      package: pkg.package,
      packageVersion: pkg.version,
      sha256: bundle.sha256,
      source: `${entry.title}, ${entry.package} of ${entry.suites.join(", ")}`,
    },
  };
};
