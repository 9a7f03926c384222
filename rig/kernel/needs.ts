/**
 * What a kernel must have to be of use in a lab, and what for. Checked before anything boots: a kernel that lacks a console
 * or a disk driver would only time out, and one that lacks the target would fail deep in the set-up.
 */
import type { Configuration } from "./config.ts";

interface Need {
  readonly symbol: string;
  readonly why: string;
  /** The module that it makes, where it need not be built in. Without one it must be. */
  readonly module?: string;
}

const need = (symbol: string, why: string, module?: string): Need =>
  module === undefined ? { symbol, why } : { symbol, why, module };

const NEEDS: readonly Need[] = [
  need("SERIAL_8250_CONSOLE", "the console on ttyS0"),
  need("PRINTK", "kernel messages, which an oracle reads"),
  need("BLK_DEV_INITRD", "the initramfs with the guest's init"),
  need("BINFMT_ELF", "programs"),
  need("BINFMT_SCRIPT", "scripts", "binfmt_script"),
  need("DEVTMPFS", "/dev"),
  need("PROC_FS", "/proc"),
  need("PROC_SYSCTL", "/proc/sys"),
  need("SYSFS", "/sys"),
  need("TMPFS", "everything that a guest writes"),
  need("UNIX98_PTYS", "/dev/pts"),
  need("FILE_LOCKING", "locks of iscsid and iscsiadm"),
  need("FUTEX", "threads"),
  need("EPOLL", "the guest's agent"),
  need("AIO", "the NBD servers of the initiator"),
  need("EVENTFD", "the NBD servers of the initiator"),
  need("MODULES", "the set-up of the target, which writes kernel.modprobe"),
  need("PCI", "QEMU's devices"),
  need("VIRTIO_PCI", "QEMU's devices", "virtio_pci"),
  need("VIRTIO_BLK", "the guest's disks", "virtio_blk"),
  need("VIRTIO_NET", "the guest's networks", "virtio_net"),
  need("VIRTIO_CONSOLE", "the port of the guest's agent", "virtio_console"),
  need("EROFS_FS", "the guest's root", "erofs"),
  need("OVERLAY_FS", "the guest's root", "overlay"),
  need("UNIX", "sockets of iscsid", "unix"),
  need("INET", "TCP"),
  need("CONFIGFS_FS", "the set-up of the target", "configfs"),
  need("SCSI", "disks of the initiator", "scsi_mod"),
  need("BLK_DEV_SD", "disks of the initiator", "sd_mod"),
  need("ISCSI_TCP", "the initiator", "iscsi_tcp"),
  need("BLK_DEV_DM", "multipath on the initiator", "dm_mod"),
  need("DM_MULTIPATH", "multipath on the initiator", "dm_multipath"),
  need("TARGET_CORE", "the target", "target_core_mod"),
  need("TCM_IBLOCK", "the target's disk", "target_core_iblock"),
  need("ISCSI_TARGET", "the target", "iscsi_target_mod"),
];

/** What is known of a kernel. */
export interface KernelFacts {
  /** Its configuration; undefined where it cannot be had. */
  readonly config?: Configuration | undefined;
  /** Whether there is such a module for it. */
  readonly hasModule: (name: string) => boolean;
  /** Modules that are built in, from modules.builtin; undefined where there is no such list. */
  readonly builtIn?: ReadonlySet<string> | undefined;
}

const flawOf = ({ symbol, module }: Need, { config, hasModule, builtIn }: KernelFacts): string | undefined => {
  if (config === undefined) {
    // Modules alone say nothing of what is built in: only both lists together say that something is in neither.
    if (module === undefined || builtIn === undefined || hasModule(module) || builtIn.has(module)) return undefined;
    return `is neither built in nor a module (${module})`;
  }
  const value = config.get(`CONFIG_${symbol}`);
  if (value === "y") return undefined;
  if (value !== "m") return "is not set";
  if (module === undefined) return "is a module; it has to be built in";
  return hasModule(module) ? undefined : `is a module (${module}), and there is no such file`;
};

/** One line for each thing that is missing: the symbol, how it is missing, and what it is for. */
export const missingNeeds = (facts: KernelFacts): readonly string[] =>
  NEEDS.flatMap(one => {
    const flaw = flawOf(one, facts);
    return flaw === undefined ? [] : [`CONFIG_${one.symbol} ${flaw}: ${one.why}`];
  });

/** Modules that stand in for symbols; a bundle has to carry them where a kernel has them as modules. */
export const NEEDED_MODULES: readonly string[] = NEEDS.flatMap(({ module }) => module ?? []);
