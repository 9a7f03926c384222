/**
 * Which modules a lab needs, and in what order they load. Distribution kernels have every driver as a module; a boot bundle
 * carries these and what they depend on (modules.dep and softdeps), and nothing else.
 */

/** Loaded by the guest's init before anything else: disks, network, root file system. */
export const BOOT_MODULES = [
  "crc32c_generic",
  "virtio_pci",
  "virtio_blk",
  "virtio_net",
  "virtio_console",
  "erofs",
  "overlay",
];

/** Loaded at boot on the node that needs them, to spare the modprobes later. */
export const ROLE_MODULES = {
  target: ["iscsi_target_mod", "target_core_mod", "target_core_iblock"],
  initiator: ["iscsi_tcp", "sd_mod", "sg", "scsi_dh_alua", "dm_multipath", "dm_round_robin"],
} as const;

/** On the modules disk for whoever asks by modprobe. A kernel need not have them all. */
export const LAB_MODULES = [
  "target_core_file",
  "target_core_user",
  "ib_isert",
  "scsi_debug",
  "null_blk",
  "nbd",
  "loop",
  "dm_service_time",
  "dm_queue_length",
  "dm_flakey",
  "dm_delay",
  "dm_log_writes",
  "dm_crypt",
  "sch_netem",
  "sch_tbf",
  "sch_ingress",
  "sch_prio",
  "cls_u32",
  "act_mirred",
  "act_gact",
  "iptable_filter",
  "ip_tables",
  "nf_tables",
  "nft_compat",
  "nft_chain_nat",
  "nfnetlink",
  "nf_conntrack",
  "xt_tcpudp",
  "xt_string",
  "xt_conntrack",
  "xt_statistic",
  "xt_bpf",
  "xt_length",
  "xt_u32",
  "xt_comment",
  "ipt_REJECT",
  "rdma_rxe",
  "siw",
  "rdma_cm",
  "rdma_ucm",
  "ib_uverbs",
  "ib_umad",
  "ib_iser",
  "crc32_generic",
  "crc32_pclmul",
  "crc32c_intel",
  "tcp_diag",
  "inet_diag",
  "udp_diag",
  "af_packet_diag",
  "ext4",
  "xfs",
  "squashfs",
  "fuse",
  "veth",
  "af_packet",
  "dummy",
  "configfs",
  "softdog",
  "i6300esb",
];

const normal = (name: string): string => name.replaceAll("-", "_");

/** The module's name from its file's path: `kernel/drivers/scsi/iscsi_tcp.ko.xz` is `iscsi_tcp`. */
export const moduleName = (file: string): string =>
  normal((file.split("/").at(-1) ?? "").replace(/\.ko(\.(xz|zst|gz))?$/, ""));

export interface ModuleIndex {
  /** Module files in the order in which they load, dependencies first; names that are unknown or built in are left out. */
  resolve(names: readonly string[]): readonly string[];
  /** Whether the kernel has it as a module. */
  has(name: string): boolean;
}

/** Reads modules.dep and modules.softdep as depmod writes them. */
export const parseModuleIndex = (dep: string, softdep: string): ModuleIndex => {
  const files = new Map<string, string>();
  const needs = new Map<string, readonly string[]>();
  for (const line of dep.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const file = line.slice(0, colon);
    files.set(moduleName(file), file);
    // depmod lists dependencies so that the last loads first.
    needs.set(
      moduleName(file),
      line
        .slice(colon + 1)
        .split(" ")
        .filter(Boolean)
        .map(moduleName)
        .toReversed(),
    );
  }
  const before = new Map<string, readonly string[]>();
  for (const line of softdep.split("\n")) {
    const match = /^softdep (\S+) (?:.* )?pre: (.*?)(?: post:.*)?$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    // A module may have several, and each counts.
    const name = normal(match[1]);
    before.set(name, [...(before.get(name) ?? []), ...match[2].split(" ").filter(Boolean).map(normal)]);
  }
  const resolve = (names: readonly string[]): readonly string[] => {
    const seen = new Set<string>();
    const ordered: string[] = [];
    const visit = (name: string): void => {
      const file = files.get(name);
      if (seen.has(name) || file === undefined) return;
      seen.add(name);
      for (const dependency of [...(before.get(name) ?? []), ...(needs.get(name) ?? [])]) visit(dependency);
      ordered.push(file);
    };
    for (const name of names) visit(normal(name));
    return ordered;
  };
  return { resolve, has: name => files.has(normal(name)) };
};
