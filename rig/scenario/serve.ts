/** A lab's devices on their way to the rig: made and served by NBD in the initiator's guest, and opened from here. */
import { RigError } from "../core/errors.ts";
import type { Scope } from "../core/scope.ts";
import { together } from "../core/together.ts";
import type { HistorySink } from "../history/event.ts";
import type { Cache } from "../iscsi/backstore.ts";
import type { Session } from "../iscsi/initiator.ts";
import type { Lab } from "../lab/lab.ts";
import { type Node, script } from "../lab/node.ts";
import { NbdDevice } from "../workload/nbd-device.ts";
import { type Device, type DeviceSpec, deviceSpecs } from "./devices.ts";
import type { Scenario } from "./scenario.ts";

const EXPORT = "rig";

const CONNECT_MS = 10_000;

/** How long the target may take to write its cache to the disk. */
const SYNC_MS = 30_000;

/**
 * Answered data that all servers keep, in MiB: as much as may be under way. The guest has memory for both. One server keeps no
 * more than half of it.
 */
const KEPT_MIB = 64;
const keptMib = (servers: number): number => Math.floor(KEPT_MIB / Math.max(2, servers));

/**
 * $1 export name, $2 MiB that each server keeps, then for each device: its block device, the server's port, and the table that
 * makes it or nothing. The servers are the rig's own (containers/guest/nbd.c). They have no page cache: an answer means that the
 * device under test answered. And the memory of a request is kept for a while after its answer: what a dead command still points
 * to is then what it was to write.
 */
export const SERVE = `
PATH=$PATH:/run/rig
name=$1 kept=$2
shift 2
while [ $# -gt 0 ]; do
  [ -z "$3" ] || DM_DISABLE_UDEV=1 dmsetup create "\${1##*/}" --table "$3"
  rig-nbd "$1" "$2" "$name" "$kept"
  shift 3
done
`;

/** Makes the devices and serves each at its port. */
export const serveDevices = async (node: Node, devices: readonly DeviceSpec[], signal?: AbortSignal): Promise<void> => {
  // One command for all: every command that is started costs an emulated guest a tenth of a second.
  const args = devices.flatMap(({ block, port, table = "" }) => [block, String(port), table]);
  await script(node, SERVE, [EXPORT, String(keptMib(devices.length)), ...args], { signal });
};

/**
 * Brings what the target's volatile cache holds to its disk. It does not end with the cell: when the initiator has died, the target
 * can still tell what it holds.
 */
export const syncOf =
  ({ agent }: { readonly agent: Pick<Node["agent"], "call"> }, cache: Cache) =>
  async (): Promise<void> => {
    if (cache === "volatile") await agent.call("sync", [], { timeoutMs: SYNC_MS });
  };

export interface OpenRequest {
  readonly lab: Lab;
  readonly configured: { readonly sessions: readonly Pick<Session, "path" | "disks">[] };
  readonly scenario: Pick<Scenario, "lab" | "ledger">;
  readonly sink: HistorySink;
  readonly signal: AbortSignal;
  readonly scope: Scope;
}

/** Connects to every device's server, and tells the history which devices there are. */
export const openDevices = async (request: OpenRequest): Promise<readonly [Device, ...Device[]]> => {
  const { lab, scenario, sink, signal, scope } = request;
  const { target, initiator } = lab.nodes;
  const syncBacking = syncOf(target, scenario.lab.cache);
  const opening = deviceSpecs(scenario.lab, request.configured.sessions).map(async spec => {
    const address = { host: initiator.address, port: spec.port, exportName: EXPORT };
    const connecting = NbdDevice.connect(address, scenario.ledger.connections, CONNECT_MS, signal);
    // Registered before anything can fail: a client that nobody closes keeps the process alive.
    scope.defer("NBD clients", async () => (await connecting.catch(() => undefined))?.[Symbol.asyncDispose]());
    return { ...spec, nbd: await connecting, backing: lab.backings[spec.lun] ?? "", syncBacking };
  });
  const [first, ...others] = await together(opening);
  if (first === undefined) throw new RigError("RIG_BUG", "Expected a lab to have a device; it has none.");
  for (const { id, name, lun, sectors, cache, path } of [first, ...others])
    sink.record({ kind: "device", id, name, lun, sectors, cache, ...(path === undefined ? {} : { path }) });
  return [first, ...others];
};
