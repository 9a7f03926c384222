/** All that is known of a kernel without asking an archive and without building it, for people and for programs. */
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { KernelIdentity } from "../results/schema.ts";
import { type Configuration, parseConfig } from "./config.ts";
import { type KernelState, kernelStatus } from "./kernel.ts";
import { type KernelSpec, type KnownSuffix, originText } from "./spec.ts";

/** Symbols that are worth knowing of: what a scenario may need, and what changes how bugs show. */
const HIGHLIGHTS = [
  ...["ISCSI_TCP", "INFINIBAND_ISER", "INFINIBAND_ISERT", "RDMA_RXE", "RDMA_SIW", "DM_MULTIPATH", "NET_SCH_NETEM"],
  ...["PREEMPT_NONE", "PREEMPT_VOLUNTARY", "PREEMPT", "HZ", "NR_CPUS"],
  ...["KASAN", "PROVE_LOCKING", "DEBUG_LIST", "SLUB_DEBUG_ON", "DEBUG_INFO", "DETECT_HUNG_TASK"],
  ...["PVH", "MODULES", "IKCONFIG"],
];

export interface KernelFile {
  /** What it is. */
  readonly what: string;
  readonly file: string;
  /** That it takes on the disk. */
  readonly bytes: number;
}

export interface KernelAbout {
  readonly name: string;
  readonly title: string;
  /** Where it comes from, as on the command line. */
  readonly from: string;
  readonly state: KernelState;
  readonly why?: string;
  readonly identity?: KernelIdentity;
  /** The package, also of a kernel that is not bundled yet. */
  readonly package?: { readonly name: string; readonly version: string };
  readonly suffixes: readonly KnownSuffix[];
  /** CONFIG_ symbols, without that; `n` where it is off or unknown to this kernel. Absent where nothing is known of any. */
  readonly config?: Readonly<Record<string, string>>;
  /** How it is started. */
  readonly entry?: string;
  /** What make said, where the rig built it. */
  readonly log?: string;
  /** What of it is kept in the cache, or lies on this machine. */
  readonly files: readonly KernelFile[];
  /** Of all files in the cache. */
  readonly bytes: number;
}

/** Bytes that a file, or everything in a directory, takes on disk. */
const bytesOf = async (place: string): Promise<number> => {
  const facts = await stat(place);
  if (!facts.isDirectory()) return facts.blocks * 512;
  const inside = await Promise.all((await readdir(place)).map(name => bytesOf(path.join(place, name))));
  return inside.reduce((sum, bytes) => sum + bytes, 0);
};

const highlights = (config: Configuration): Readonly<Record<string, string>> =>
  Object.fromEntries(HIGHLIGHTS.map(symbol => [symbol, config.get(`CONFIG_${symbol}`) ?? "n"]));

const measured = async (what: string, file: string): Promise<KernelFile> => ({
  what,
  file,
  bytes: await bytesOf(file),
});

export const aboutKernel = async (spec: KernelSpec, known: readonly KnownSuffix[]): Promise<KernelAbout> => {
  const { state, why, kernel, located } = await kernelStatus(spec);
  const files = await Promise.all([
    ...(located?.files ?? []).map(({ what, file }) => measured(what, file)),
    ...(kernel === undefined ? [] : [measured("boot bundle", kernel.bundle.directory)]),
  ]);
  const config = kernel?.bundle.config ?? located?.built?.config;
  return {
    name: spec.name,
    title: spec.title,
    from: originText(spec.origin),
    state,
    ...(why === undefined ? {} : { why }),
    ...(kernel === undefined ? {} : { identity: kernel.identity, entry: kernel.bundle.entry }),
    ...(located?.package === undefined ? {} : { package: located.package }),
    ...(located?.built === undefined ? {} : { log: located.built.log }),
    suffixes: known.filter(({ name }) => spec.suffixes.includes(name)),
    ...(config === undefined ? {} : { config: highlights(parseConfig(await readFile(config, "utf8"))) }),
    files,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
  };
};
