/** What a run must leave as it found it: containers, networks, links, rules, QEMUs, working directories. */
import { readdir } from "node:fs/promises";
import { expect, vi } from "vitest";
import { run } from "../core/exec.ts";
import { labsDir } from "../core/paths.ts";

export interface MachineState {
  readonly containers: readonly string[];
  readonly networks: readonly string[];
  readonly links: readonly string[];
  readonly rules: readonly string[];
  readonly qemus: readonly string[];
  readonly labs: readonly string[];
}

const lines = async (argv: readonly [string, ...string[]]): Promise<readonly string[]> =>
  (await run(argv)).stdout.split("\n").filter(line => line !== "" && !line.startsWith("#"));

/** Packet counters and the generation numbers of interfaces are left out: they change by themselves. */
export const machineState = async (): Promise<MachineState> => ({
  containers: await lines(["docker", "ps", "--all", "--format", "{{.Names}}"]),
  networks: await lines(["docker", "network", "ls", "--format", "{{.Name}}"]),
  links: (await lines(["ip", "-o", "link"])).map(line => line.split(":")[1]?.trim() ?? ""),
  rules: (await lines(["iptables-save"])).map(line => line.replace(/ \[\d+:\d+\]$/, "")),
  qemus: (await lines(["ps", "-eo", "args"])).filter(line => line.startsWith("qemu-system-x86_64")),
  labs: await readdir(labsDir()).catch(() => []),
});

/**
 * Resolves when the machine is as it was. Docker sweeps up network namespaces of containers that ended at an awkward moment
 * only once a minute, and the ends of their links stay until then; everything else has to be gone at once.
 */
export const machineIsBackTo = async (before: MachineState): Promise<void> => {
  const { links: _, ...rest } = await machineState();
  const { links: __, ...restBefore } = before;
  expect(rest).toEqual(restBefore);
  await vi.waitFor(async () => expect((await machineState()).links).toEqual(before.links), {
    timeout: 90_000,
    interval: 500,
  });
};
