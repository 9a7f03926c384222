/**
 * The devices under test. A device is what one NBD server on the initiator serves: a LUN with its paths joined by dm-multipath,
 * or each path of a LUN by itself, and then several devices are the same disk. What there is follows from the scenario's settings
 * and from the disks that the sessions brought.
 */
import { PATH_NAMES, type PathName } from "../core/names.ts";
import type { Cache } from "../iscsi/backstore.ts";
import type { Session } from "../iscsi/initiator.ts";
import { multipathName, multipathTable } from "../iscsi/multipath.ts";
import { type LabShape, nbdPort } from "../lab/qemu-argv.ts";
import type { BlockDevice } from "../workload/block-device.ts";
import type { ScenarioData } from "./scenario.ts";

/** One device, as it follows from settings and sessions. */
export interface DeviceSpec {
  /** Its number, from 0; operations name it so. */
  readonly id: number;
  readonly name: string;
  readonly lun: number;
  readonly sectors: number;
  readonly cache: Cache;
  /** The only path that leads to it; undefined where dm-multipath has them all. */
  readonly path?: PathName;
  /** The block device in the initiator's guest. */
  readonly block: string;
  /** The table of dm-multipath that makes it; undefined for a path's own disk. */
  readonly table?: string;
  /** Port of its NBD server. */
  readonly port: number;
}

/** A device that is open. */
export interface Device extends DeviceSpec {
  readonly nbd: BlockDevice;
  /** The disk image behind its LUN, on this machine. */
  readonly backing: string;
  /**
   * To be awaited before the image is read: takes what a volatile cache holds to the disk. Then all of it is durable, so do not
   * read the image between a write and the power cut that is to lose it.
   */
  readonly syncBacking: () => Promise<void>;
}

type LabSettings = Pick<ScenarioData["lab"], "luns" | "devices" | "cache">;

/** How many disks and servers the lab's machines are made for. */
export const shapeOf = ({ luns, devices }: Pick<LabSettings, "luns" | "devices">): LabShape => ({
  luns,
  devices: devices === "paths" ? luns * PATH_NAMES.length : luns,
});

/** Names of the lab's multipath devices. */
export const mapsOf = ({ luns, devices }: Pick<LabSettings, "luns" | "devices">): string[] =>
  devices === "paths" ? [] : Array.from({ length: luns }, (_, lun) => multipathName(lun));

/** The devices in the order of their numbers: LUN by LUN, and path a before b. */
export const deviceSpecs = (
  { luns, devices, cache }: LabSettings,
  sessions: readonly Pick<Session, "path" | "disks">[],
): readonly DeviceSpec[] =>
  Array.from({ length: luns }, (_, lun) => {
    const disks = sessions.flatMap(({ path, disks: all }) =>
      all.filter(disk => disk.lun === lun).map(disk => ({ ...disk, path })),
    );
    const sectors = disks[0]?.sectors ?? 0;
    if (devices === "paths")
      return disks.map(({ name, path }) => ({
        name: `lun${lun}-${path}`,
        lun,
        sectors,
        cache,
        path,
        block: `/dev/${name}`,
      }));
    const name = multipathName(lun);
    return [{ name, lun, sectors, cache, block: `/dev/mapper/${name}`, table: multipathTable(disks) }];
  })
    .flat()
    .map((one, id) => ({ id, ...one, port: nbdPort(id) }));
