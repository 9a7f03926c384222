/**
 * Snapshots: both guests of a lab, frozen at one moment. A guest's memory is a file that QEMU maps: shared while the lab is
 * made, so that saving costs nothing but the devices' state; copy-on-write when it is restored, so that any number of labs
 * share one copy (QEMU's capability x-ignore-shared). A snapshot is bound to everything that shaped it by its key.
 */
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { contentKey } from "../core/cache.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { NODE_NAMES, type NodeName } from "../core/names.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LabHost } from "./host.ts";
import { backingFile, type LabShape, MEMORY_MIB, type MicroVm, ONE_DEVICE, qemuArgv } from "./qemu-argv.ts";
import type { Qmp } from "./qmp.ts";

/** Raised when what is saved, or how, changes. */
const RECIPE = "snapshot 3";

/** The cache's folder of snapshots. */
export const SNAPSHOT_KIND = "snapshot";

const MIGRATE_MS = 60_000;

export interface Snapshot {
  readonly key: string;
  /** On this machine. */
  readonly directory: string;
  /** LUNs whose disk had content, which is kept. */
  readonly written: readonly number[];
  /** The guests' `uname -v`. */
  readonly versions: Readonly<Record<NodeName, string>>;
}

/** A snapshot's files. */
export const SNAPSHOT_FILES = {
  memory: (node: NodeName) => `memory-${node}`,
  devices: (node: NodeName) => `devices-${node}`,
  backing: backingFile,
  about: "about.json",
} as const;

/** One for each: two nodes share a small machine, and without KVM a second CPU costs a second of boot. */
const CPUS = 1;

/** The microVM of a node, the same for every lab but for where its files are. */
export const microVm = (
  node: NodeName,
  host: LabHost,
  more: Pick<MicroVm, "places" | "memory" | "incoming" | "entry">,
  shape: LabShape = ONE_DEVICE,
): MicroVm => ({
  node,
  accelerator: host.accelerator.accelerator,
  memoryMiB: MEMORY_MIB,
  cpus: CPUS,
  disks: node === "target" ? shape.luns : 0,
  exports: node === "initiator" ? shape.devices : 0,
  devices: host.devices,
  ...more,
});

/** What a guest sees of this machine's CPU: with KVM nearly all of it, with TCG nothing. */
const hostCpu = ({ accelerator }: LabHost): readonly string[] => {
  if (accelerator.accelerator === "tcg") return [];
  const [first = ""] = readFileSync("/proc/cpuinfo", "utf8").split("\n\n");
  const facts = first.split("\n").filter(line => /^(model name|microcode|flags)\b/.test(line));
  return [...facts, release()];
};

/**
 * The key of the snapshot for a kernel: a hash of everything that shapes the state of both guests. `setUp` is whatever the caller
 * does to them after boot: parameters and the scripts themselves.
 */
export const snapshotKey = (host: LabHost, kernel: Kernel, setUp: readonly string[], shape = ONE_DEVICE): string => {
  const places = { lab: "/lab", bundle: "/bundle" };
  const argv = NODE_NAMES.map(node =>
    qemuArgv(
      microVm(node, host, { places, entry: kernel.bundle.entry, memory: { file: "/memory", own: true } }, shape),
    ),
  );
  return contentKey(
    RECIPE,
    // The node image holds QEMU, the guest root what runs in a guest; -cpu host is another CPU on another machine.
    ...[host.image.key, host.root.key, kernel.bundle.key, host.accelerator.qemu, ...hostCpu(host)],
    JSON.stringify(argv),
    ...setUp,
  );
};

/** Lets QEMU leave memory that is in a file where it is, and tell of the state of a migration by events. */
export const allowShared = (qmp: Qmp): Promise<unknown> =>
  qmp.execute("migrate-set-capabilities", {
    capabilities: ["x-ignore-shared", "events"].map(capability => ({ capability, state: true })),
  });

/** Runs a migration command and resolves when QEMU says that it is complete. */
export const migration = async (node: NodeName, qmp: Qmp, command: string, uri: string): Promise<void> => {
  let status: unknown;
  const over = qmp.event(
    ({ event, data }) => {
      if (event !== "MIGRATION") return false;
      ({ status } = data as { status?: unknown });
      return status === "completed" || status === "failed";
    },
    MIGRATE_MS,
    `the state of the ${node}'s microVM to be moved`,
  );
  try {
    await Promise.all([qmp.execute(command, { uri }), over]);
  } catch (error) {
    throw new RigError("RIG_LAB_SNAPSHOT", `${command} of the ${node}: ${messageOf(error)}`, { cause: error });
  }
  if (status === "completed") return;
  const answer = (await qmp.execute("query-migrate").catch(() => ({}))) as { "error-desc"?: string };
  throw new RigError(
    "RIG_LAB_SNAPSHOT",
    `${command} of the ${node} failed: ${answer["error-desc"] ?? "QEMU gives no reason"}.`,
  );
};

/** Gives a microVM that waits for it its part of a snapshot. It stands still until it is told to go on. */
export const loadState = async (node: NodeName, qmp: Qmp, state: string): Promise<void> => {
  await allowShared(qmp);
  await migration(node, qmp, "migrate-incoming", `exec:cat ${state}`);
};
