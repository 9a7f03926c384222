/**
 * The disk under a LUN, made to misbehave behind the target's back: the device-mapper device that a scenario with `lab.mapper` puts
 * there gets another table (Documentation/admin-guide/device-mapper: dm-flakey, delay, linear). The target notices nothing.
 */
import { backendName } from "../iscsi/backstore.ts";
import { type Node, script } from "../lab/node.ts";
import { backingDisk } from "../lab/qemu-argv.ts";

/** What becomes of requests to a stretch of the disk. */
export type BackendFault =
  /** Nothing: they go where they should. */
  | { readonly kind: "none" }
  /** Writes are acknowledged and thrown away. */
  | { readonly kind: "drop-writes" }
  /** Everything fails. */
  | { readonly kind: "error" }
  /** Writes, and flushes with them, take so much longer. */
  | { readonly kind: "delay"; readonly ms: number }
  /** They go so many sectors further. */
  | { readonly kind: "shift"; readonly sectors: number };

/** Sectors of the disk, from the first one on. */
export interface Stretch {
  readonly sector: number;
  readonly sectors: number;
}

const lineOf = ({ sector, sectors }: Stretch, disk: string, fault: BackendFault): string => {
  const at = `${disk} ${sector}`;
  switch (fault.kind) {
    case "none":
      return `${sector} ${sectors} linear ${at}`;
    case "drop-writes":
      // Never up, an hour down, and then down again.
      return `${sector} ${sectors} flakey ${at} 0 3600 1 drop_writes`;
    case "error":
      return `${sector} ${sectors} error`;
    case "delay":
      return `${sector} ${sectors} delay ${at} 0 ${at} ${fault.ms}`;
    case "shift":
      return `${sector} ${sectors} linear ${disk} ${sector + fault.sectors}`;
    default:
      return fault satisfies never;
  }
};

/** The table of a disk of so many sectors of which a stretch, or all, has the fault. */
export const backendTable = (
  sectors: number,
  disk: string,
  fault: BackendFault,
  where: Stretch = { sector: 0, sectors },
): string => {
  const end = where.sector + where.sectors;
  const sound = { kind: "none" } as const;
  return [
    [{ sector: 0, sectors: where.sector }, sound] as const,
    [where, fault] as const,
    [{ sector: end, sectors: sectors - end }, sound] as const,
  ]
    .filter(([stretch]) => stretch.sectors > 0)
    .map(([stretch, what]) => lineOf(stretch, disk, what))
    .join("\n");
};

/** $1 the device, $2 its table. What is under way ends by the old table. */
const SWAP = `
export DM_DISABLE_UDEV=1
dmsetup reload "$1" --table "$2"
dmsetup suspend --nolockfs "$1"
dmsetup resume "$1"
`;

/** From now on the disk under the LUN has the fault, in all of it or in a stretch. */
export const setBackend = async (target: Node, fault: BackendFault, where?: Stretch, lun = 0): Promise<void> => {
  const disk = backingDisk(lun);
  const size = await target.ssh.execOk(["cat", `/sys/block/${disk.slice("/dev/".length)}/size`]);
  await script(target, SWAP, [backendName(lun), backendTable(Number(size.stdout), disk, fault, where)]);
};

/** From now on nothing that goes to the disk under the LUN is answered, until `releaseBackend`. */
export const holdBackend = async (target: Node, lun = 0): Promise<void> => {
  await target.ssh.execOk(["env", "DM_DISABLE_UDEV=1", "dmsetup", "suspend", "--nolockfs", backendName(lun)]);
};

export const releaseBackend = async (target: Node, lun = 0): Promise<void> => {
  await target.ssh.execOk(["env", "DM_DISABLE_UDEV=1", "dmsetup", "resume", backendName(lun)]);
};
