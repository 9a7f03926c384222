import { z } from "zod";
import { STATUSES, VERDICTS } from "../core/names.ts";
import { findingSchema } from "../oracle/finding.ts";

/**
 * The result files: `run.json` for a run, `cell.json` for each cell. Their JSON Schemas are generated from these
 * definitions (docs/schema). Unknown fields are kept out on purpose: a reader may rely on what is here.
 */
export const RESULTS_VERSION = 1;

const nonneg = z.number().int().nonnegative();
const status = z.enum(STATUSES);

/** What a kernel is, so that a result can be tied to a build: the name alone says too little. */
export const kernelIdentitySchema = z.strictObject({
  name: z.string(),
  /** `uname -r`, read from the image. */
  release: z.string(),
  /** `uname -v`, read from the running guest where a cell ran. */
  version: z.string().optional(),
  package: z.string().optional(),
  packageVersion: z.string().optional(),
  /** What `--kernel` takes for it, where that is not its name. */
  given: z.string().optional(),
  /** Of a kernel that the rig built: the version in the source's Makefile, a hash of the source, what was built in. */
  sourceVersion: z.string().optional(),
  sourceKey: z.string().optional(),
  suffixes: z.array(z.string()).optional(),
  /** SHA-256 of the kernel's .config, where it could be had. */
  configSha256: z.string().optional(),
  /** SHA-256 of the kernel image as it was fetched, found or built. */
  sha256: z.string(),
  /** Where it came from, in words. */
  source: z.string(),
});
export type KernelIdentity = z.infer<typeof kernelIdentitySchema>;

export const machineSchema = z.strictObject({
  hostname: z.string(),
  os: z.string(),
  kernel: z.string(),
  cpus: nonneg,
  cpuModel: z.string(),
  memoryMiB: nonneg,
  accelerator: z.enum(["kvm", "tcg"]),
  acceleratorWhy: z.string(),
  docker: z.string(),
  qemu: z.string(),
});
export type Machine = z.infer<typeof machineSchema>;

const phase = z.strictObject({ name: z.string(), ms: z.number().nonnegative() });

/** What a cell tells of how it came to run. Optional: results of earlier rigs do not have it. */
const origin = {
  /** How the cell's lab came up: booted, or restored from one that was booted before. */
  lab: z
    .strictObject({
      how: z.enum(["cold", "restored"]),
      /** Why it could not be restored. */
      why: z.string().optional(),
    })
    .optional(),
  /** 1 for the first try; more where earlier ones were starved of CPU and thrown away. */
  attempt: z.number().int().positive().optional(),
};

export const cellSummarySchema = z.strictObject({
  scenario: z.string(),
  kernel: z.string(),
  seed: z.number().int(),
  status,
  /** Why it is ERROR, MISS or SKIP. */
  reason: z.string().optional(),
  findings: z.array(z.strictObject({ oracle: z.string(), class: z.string(), title: z.string() })),
  phases: z.array(phase),
  durationMs: z.number().nonnegative(),
  ...origin,
  /** The cell's directory, relative to the run's. */
  directory: z.string(),
});
export type CellSummary = z.infer<typeof cellSummarySchema>;

export const cellSchema = z.strictObject({
  version: z.literal(RESULTS_VERSION),
  run: z.string(),
  scenario: z.string(),
  title: z.string(),
  about: z.array(z.string()),
  kernel: kernelIdentitySchema,
  seed: z.number().int(),
  status,
  reason: z.string().optional(),
  findings: z.array(findingSchema),
  phases: z.array(phase),
  startedAt: z.string(),
  durationMs: z.number().nonnegative(),
  ...origin,
  /** iSCSI parameters as negotiated, one object a path, and the timing as read back from sysfs. */
  sessions: z.array(z.strictObject({ path: z.string(), values: z.record(z.string(), z.string()) })),
  faults: z.array(
    z.strictObject({
      fault: z.string(),
      bit: z.boolean(),
      gone: z.boolean(),
      text: z.string(),
      counters: z.record(z.string(), z.number()),
    }),
  ),
  operations: z.strictObject({ invoked: nonneg, ok: nonneg, failed: nonneg, unanswered: nonneg }),
  /** The command that runs this one cell again. */
  reproduce: z.string(),
  files: z.array(z.strictObject({ name: z.string(), bytes: nonneg, sha256: z.string() })),
});
export type Cell = z.infer<typeof cellSchema>;

const side = z.strictObject({ kernel: z.string(), fail: nonneg, pass: nonneg, other: nonneg });

export const comparisonSchema = z.strictObject({
  scenario: z.string(),
  base: side,
  head: side,
  verdict: z.enum(VERDICTS),
  /** Fisher's exact test, two-sided, on fail and pass of base and head; 1 where nothing was counted. */
  p: z.number().min(0).max(1),
  /** The verdict in words, and when inconclusive how many more cells would decide. */
  words: z.string(),
});
export type Comparison = z.infer<typeof comparisonSchema>;

/** A try at a cell that was thrown away: the machine was too busy for what it saw to be believed. */
const starved = z.strictObject({
  scenario: z.string(),
  kernel: z.string(),
  seed: z.number().int(),
  attempt: z.number().int().positive(),
  reason: z.string(),
  /** What the try left, relative to the run's directory. */
  directory: z.string(),
});
export type Starved = z.infer<typeof starved>;

export const runSchema = z.strictObject({
  version: z.literal(RESULTS_VERSION),
  id: z.string(),
  tool: z.strictObject({ name: z.literal("iscsi-rig"), version: z.string(), commit: z.string().optional() }),
  command: z.array(z.string()),
  startedAt: z.string(),
  durationMs: z.number().nonnegative(),
  machine: machineSchema,
  kernels: z.array(kernelIdentitySchema),
  scenarios: z.array(
    z.strictObject({ name: z.string(), title: z.string(), about: z.array(z.string()), healthy: z.string() }),
  ),
  cells: z.array(cellSummarySchema),
  /** Labs side by side: how many were asked for, and the most that ran at once. */
  jobs: z.strictObject({ asked: z.union([z.literal("auto"), z.number().int().positive()]), most: nonneg }).optional(),
  starved: z.array(starved).optional(),
  comparison: z.array(comparisonSchema),
  /** The whole run in one sentence. */
  verdict: z.string(),
  /** False where the run was interrupted: what is here is what there is. */
  complete: z.boolean(),
  exitStatus: nonneg,
});
export type Run = z.infer<typeof runSchema>;
