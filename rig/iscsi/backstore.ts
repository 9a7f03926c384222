/**
 * What is behind the target's LUNs (Documentation/target; drivers/target). Each has a disk of its own, whose image the rig can
 * read on its own machine. LIO's iblock hands every command on to that disk, which has no power to lose: what was acknowledged
 * stays. A volatile cache is the target's page cache: LIO's fileio, buffered, acknowledges what is in its guest's memory, and only
 * a flush or FUA takes it to the disk (target_core_file.c, fd_execute_sync_cache). The initiator is told of it by the caching mode
 * page (WCE), and sends flushes.
 */
import { RigError } from "../core/errors.ts";
import { backingDisk } from "../lab/qemu-argv.ts";

export const CACHES = ["none", "volatile"] as const;
export type Cache = (typeof CACHES)[number];

/** What a target is to offer. */
export interface Luns {
  /** How many there are, from LUN 0 on. */
  readonly luns: number;
  readonly cache: Cache;
  /** Whether the initiator is told that it may discard blocks (thin provisioning). */
  readonly discard: boolean;
  /** Whether a device-mapper device lies between each LUN and its disk, so that its table can be changed under the target. */
  readonly mapper: boolean;
}

/** The device-mapper device under a LUN, where there is one. */
export const backendName = (lun: number): string => `backend${lun}`;

/**
 * For the set-up script: `backstores HBA MAPPER DISCARD DISK...` makes LUN 0 of the first disk, and so on. HBA is
 * iblock_0 or fileio_0, MAPPER and DISCARD are yes or no. It prints "missing=MODULE", and the script ends, where the kernel has
 * no such backstore.
 */
export const BACKSTORES = `
backstores() {
  hba=$C/core/$1 mapper=$2 discard=$3
  if [ $mapper = yes ]; then modprobe -q dm_mod || :; fi
  if [ $1 = fileio_0 ]; then
    modprobe -q target_core_file || :
    # Nothing but a flush takes data to the disk: neither time (a day; 0 would mean at once for a disk that was never written to,
    # wb_over_bg_thresh of mm/page-writeback.c) nor the amount of it.
    echo 8640000 > /proc/sys/vm/dirty_writeback_centisecs
    echo 8640000 > /proc/sys/vm/dirty_expire_centisecs
    echo 80 > /proc/sys/vm/dirty_ratio
    echo 60 > /proc/sys/vm/dirty_background_ratio
  fi
  # The first backstore makes the target look for every kind of backend; the one that is wanted is loaded already.
  read -r modprobe < /proc/sys/kernel/modprobe
  echo > /proc/sys/kernel/modprobe
  mkdir -p $hba/lun0 2> /run/rig/backstore.log || {
    [ $1 = iblock_0 ] || { echo missing=target_core_file; exit 0; }
    cat /run/rig/backstore.log >&2
    exit 1
  }
  shift 3
  lun=0
  for disk in "$@"; do
    if [ $mapper = yes ]; then
      read -r sectors < /sys/block/\${disk#/dev/}/size
      DM_DISABLE_UDEV=1 dmsetup create backend$lun --table "0 $sectors linear $disk 0"
      disk=/dev/mapper/backend$lun
    fi
    store=$hba/lun$lun
    [ $lun = 0 ] || mkdir $store
    case $hba in
    */fileio_0) echo fd_dev_name=$disk,fd_buffered_io=1 > $store/control ;;
    *) echo udev_path=$disk > $store/control ;;
    esac
    echo rig-lun-$lun > $store/wwn/vpd_unit_serial
    echo 1 > $store/enable
    [ $discard = no ] || echo 1 > $store/attrib/emulate_tpu
    read -r value < $store/attrib/emulate_write_cache && echo write_cache_$lun=$value
    lun=$((lun + 1))
  done
  echo $modprobe > /proc/sys/kernel/modprobe
}
`;

/** How the set-up script calls it for these LUNs. */
export const backstoreArguments = ({ luns, cache, discard, mapper }: Luns): readonly string[] => [
  cache === "volatile" ? "fileio_0" : "iblock_0",
  mapper ? "yes" : "no",
  discard ? "yes" : "no",
  ...Array.from({ length: luns }, (_, lun) => backingDisk(lun)),
];

/** What must be read back of them. iblock has the disk's own answer for a cache, so its attribute says nothing. */
export const expectedBackstores = ({ luns, cache }: Luns): Readonly<Record<string, string>> =>
  cache === "none" ? {} : Object.fromEntries(Array.from({ length: luns }, (_, lun) => [`write_cache_${lun}`, "1"]));

/** @throws RIG_ISCSI_SETUP, blaming the environment, where the target's kernel has no such backstore. */
export const requireBackstores = (seen: Readonly<Record<string, string>>): void => {
  if (seen["missing"] !== "target_core_file") return;
  throw new RigError(
    "RIG_ISCSI_SETUP",
    'A volatile cache (lab.cache: "volatile") needs target_core_file (CONFIG_TCM_FILEIO) in the kernel of the target; it has it neither built in nor as a module. Take a kernel that has it, such as debian-6.1.',
    { blame: "environment" },
  );
};
