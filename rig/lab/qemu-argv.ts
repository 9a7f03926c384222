/**
 * The command line of a microVM. Pure: the same lab gives the same arguments. Inside the container the lab's directory is
 * /lab, the kernel's bundle /bundle, the guest root /guest/root.erofs.
 */
import { type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";

export type Accelerator = "kvm" | "tcg";

export interface MicroVm {
  readonly node: NodeName;
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly cpus: number;
  /** Whether /lab/backing.img is attached, for the target's LUN. */
  readonly disk: boolean;
  /** Whether each path's traffic is captured into /lab. */
  readonly capture: boolean;
}

/** Ports of the container that lead into the guest: ssh, and NBD. */
export const SSH_PORT = 2222;
export const NBD_PORT = 10809;

/** The node's number is the last part of all its addresses, the same in every lab. */
export const NODE_NUMBER: Readonly<Record<NodeName, number>> = { target: 2, initiator: 3 };
const PATH_NUMBER: Readonly<Record<PathName, number>> = { a: 1, b: 2 };

/** A guest's address on a path, 10.PATH.0.NODE. */
export const guestAddress = (node: NodeName, path: PathName): string =>
  `10.${PATH_NUMBER[path]}.0.${NODE_NUMBER[node]}`;

/** The path that a guest address belongs to. */
export const pathOfAddress = (address: string): PathName | undefined =>
  PATH_NAMES.find(path => address.startsWith(`10.${PATH_NUMBER[path]}.0.`));

/** eth0 is management; the paths follow. */
export const guestDevice = (path: PathName): string => `eth${PATH_NUMBER[path]}`;

/** Kernel parameters that make a guest boot fast and die visibly; none changes SCSI, network or scheduling. */
const KERNEL_PARAMETERS = [
  "console=ttyS0",
  "quiet",
  "loglevel=5",
  // A panic ends the machine at once: with -no-reboot QEMU exits, and the rig sees it.
  "panic=-1",
  "net.ifnames=0",
  "ipv6.disable=1",
  "mitigations=off",
  "tsc=reliable",
  "no_timer_check",
  "cryptomgr.notests",
  "random.trust_cpu=on",
  "rcupdate.rcu_expedited=1",
];

const hex2 = (value: number): string => value.toString(16).padStart(2, "0");

/** A guest NIC's hardware address: 52:54:00:00:LINK:NODE, link 0 being management. */
export const guestMac = (node: NodeName, link: number): string =>
  `52:54:00:00:${hex2(link)}:${hex2(NODE_NUMBER[node])}`;

export const qemuArgv = (vm: MicroVm): readonly string[] => {
  const { node } = vm;
  const addresses = PATH_NAMES.map(path => `${guestDevice(path)}:${guestAddress(node, path)}/24`);
  const append = [
    ...KERNEL_PARAMETERS,
    `rig.node=${node}`,
    `rig.addr=${["eth0:10.0.2.15/24", ...addresses].join(",")}`,
    "rig.gateway=10.0.2.2",
  ];
  const drive = (id: string, file: string, more: string) => [
    "-drive",
    `id=${id},file=${file},if=none,format=raw,${more}`,
    "-device",
    `virtio-blk-pci,drive=${id}`,
  ];
  const nic = (id: string, link: number) => [
    "-device",
    `virtio-net-pci,netdev=${id},romfile=,mac=${guestMac(node, link)}`,
  ];
  const forwards = [
    `hostfwd=tcp::${SSH_PORT}-:22`,
    ...(node === "initiator" ? [`hostfwd=tcp::${NBD_PORT}-:${NBD_PORT}`] : []),
  ];
  // PCI slots are filled in the order given here, and Linux names devices in the order of the slots.
  const disks = [
    drive("root", "/guest/root.erofs", "readonly=on,file.locking=off"),
    drive("modules", "/bundle/modules.erofs", "readonly=on,file.locking=off"),
    ...(vm.disk ? [drive("backing", "/lab/backing.img", "cache=writeback,discard=unmap")] : []),
  ];
  const nics = [
    ["-netdev", `user,id=mgmt,restrict=on,ipv6=off,${forwards.join(",")}`, ...nic("mgmt", 0)],
    ...PATH_NAMES.map(path => [
      "-netdev",
      `tap,id=${path},ifname=tap-${path},script=no,downscript=no`,
      ...nic(path, PATH_NUMBER[path]),
    ]),
  ];
  return [
    "qemu-system-x86_64",
    // Not the machine type "microvm": without a timer to calibrate by, guests under TCG lose their clock at boot, at random.
    ...["-machine", "q35,usb=off,sata=off,smbus=off,vmport=off"],
    ...(vm.accelerator === "kvm" ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg,thread=multi", "-cpu", "max"]),
    ...["-smp", String(vm.cpus), "-m", String(vm.memoryMiB)],
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...["-kernel", "/bundle/vmlinux", "-initrd", "/lab/initramfs.cpio", "-append", append.join(" ")],
    ...[
      "-chardev",
      "socket,id=console,path=/lab/console.sock,server=off,logfile=/lab/console.raw",
      "-serial",
      "chardev:console",
    ],
    ...["-qmp", "unix:/lab/qmp.sock,server=on,wait=off"],
    ...disks.flat(),
    ...nics.flat(),
    ...(vm.capture
      ? PATH_NAMES.flatMap(path => [
          "-object",
          `filter-dump,id=dump-${path},netdev=${path},file=/lab/path-${path}.pcap,maxlen=192`,
        ])
      : []),
  ];
};
