/**
 * The command line of a microVM. Pure: the same lab gives the same arguments, and a snapshot fits only the arguments that
 * it was saved under.
 */
import { type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import type { BootEntry } from "../kernel/image.ts";
import { captureArgument } from "./captures.ts";

export type Accelerator = "kvm" | "tcg";

/** How many devices a lab has, which its virtual machines are made for. */
export interface LabShape {
  /** LUNs of the target, each with a disk of its own. */
  readonly luns: number;
  /** Devices that the initiator serves by NBD. */
  readonly devices: number;
}

export const ONE_DEVICE: LabShape = { luns: 1, devices: 1 };

export interface MicroVm {
  readonly node: NodeName;
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly cpus: number;
  /** How many disks are attached for the target's LUNs: `backingFile` names their images. */
  readonly disks: number;
  /** How many ports lead to NBD servers in the guest: `nbdPort` numbers them. */
  readonly exports: number;
  /** More devices, as QEMU's -device takes them. */
  readonly devices?: readonly string[] | undefined;
  /** Directories as the container sees them. */
  readonly places: {
    /** The lab's own: sockets, the raw console, the LUNs' images. */
    readonly lab: string;
    /** The kernel's boot bundle. */
    readonly bundle: string;
    /** Where each path's traffic is captured; nowhere if undefined. */
    readonly captures?: string | undefined;
  };
  /** The guest's memory in a file: its own and written to while a snapshot is made, everybody's and only read when one is restored. */
  readonly memory?: { readonly file: string; readonly own: boolean } | undefined;
  /** How the kernel is started; through its PVH entry if undefined. */
  readonly entry?: BootEntry | undefined;
  /** Waits for a snapshot's device state instead of booting. */
  readonly incoming?: boolean | undefined;
}

/** Files and sockets in a lab's directory, the same on both sides of the container's wall. */
export const LAB_FILES = {
  console: "console.sock",
  consoleRaw: "console.raw",
  agent: "guest.sock",
  qmp: "qmp.sock",
} as const;

/** The image of the disk behind a LUN, in the lab's directory and in a snapshot's. */
export const backingFile = (lun: number): string => (lun === 0 ? "backing.img" : `backing-${lun}.img`);

/** The disk behind a LUN as the target's guest sees it: after the root's and the modules'. */
export const backingDisk = (lun: number): string => `/dev/vd${String.fromCharCode("c".charCodeAt(0) + lun)}`;

/** The guest root, as the container sees it. */
export const GUEST_ROOT_PLACE = "/guest";

/** Name of the virtio port that the guest's agent listens on. */
const AGENT_PORT = "rig.agent";

/** Memory of each guest. */
export const MEMORY_MIB = 384;

/** Ports of the container that lead into the guest: ssh, and NBD, one for each device from this number on. */
export const SSH_PORT = 2222;
export const NBD_PORT = 10809;
export const nbdPort = (device: number): number => NBD_PORT + device;

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
  // The watch reads the table of TCP sockets all the time, and the kernel walks all of it: a dozen sockets need no more.
  "thash_entries=256",
];

const hex2 = (value: number): string => value.toString(16).padStart(2, "0");

/** A guest NIC's hardware address: 52:54:00:00:LINK:NODE, link 0 being management. */
export const guestMac = (node: NodeName, link: number): string =>
  `52:54:00:00:${hex2(link)}:${hex2(NODE_NUMBER[node])}`;

/** What `ip -batch` takes to know a node's hardware addresses for now; like any that was learned, they age. */
export const neighbours = (node: NodeName): string =>
  PATH_NAMES.map(
    path =>
      `neigh replace ${guestAddress(node, path)} lladdr ${guestMac(node, PATH_NUMBER[path])} dev ${guestDevice(path)} nud reachable\n`,
  ).join("");

export const qemuArgv = (vm: MicroVm): readonly string[] => {
  const { node, places, memory } = vm;
  const inLab = (name: keyof typeof LAB_FILES) => `${places.lab}/${LAB_FILES[name]}`;
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
    ...Array.from({ length: vm.exports }, (_, device) => `hostfwd=tcp::${nbdPort(device)}-:${nbdPort(device)}`),
  ];
  // PCI slots are filled in the order given here, and Linux names devices in the order of the slots.
  const disks = [
    drive("root", `${GUEST_ROOT_PLACE}/root.erofs`, "readonly=on,file.locking=off"),
    drive("modules", `${places.bundle}/modules.erofs`, "readonly=on,file.locking=off"),
    ...Array.from({ length: vm.disks }, (_, lun) =>
      drive(
        lun === 0 ? "backing" : `backing-${lun}`,
        `${places.lab}/${backingFile(lun)}`,
        "cache=writeback,discard=unmap",
      ),
    ),
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
    ...(memory === undefined
      ? []
      : [
          ...["-machine", "memory-backend=ram"],
          "-object",
          `memory-backend-file,id=ram,size=${vm.memoryMiB}M,mem-path=${memory.file},share=${memory.own ? "on" : "off"}`,
        ]),
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...(vm.incoming === true
      ? // What is restored has booted already: the ROM that a kernel brings along is all that is left of it, and loading it takes a third of QEMU's start.
        ["-option-rom", vm.entry === "bzimage" ? "linuxboot_dma.bin" : "pvh.bin"]
      : [
          ...["-kernel", `${places.bundle}/kernel`, "-initrd", `${places.bundle}/initramfs.cpio`],
          ...["-append", append.join(" ")],
        ]),
    "-chardev",
    `socket,id=console,path=${inLab("console")},server=off,logfile=${inLab("consoleRaw")}`,
    ...["-serial", "chardev:console"],
    ...["-chardev", `socket,id=qmp,path=${inLab("qmp")},server=off`, "-mon", "chardev=qmp,mode=control"],
    ...disks.flat(),
    ...nics.flat(),
    ...["-chardev", `socket,id=agent,path=${inLab("agent")},server=off`],
    ...["-device", "virtio-serial-pci,max_ports=2", "-device", `virtserialport,chardev=agent,name=${AGENT_PORT}`],
    ...(vm.devices ?? []).flatMap(device => ["-device", device]),
    ...PATH_NAMES.flatMap(path =>
      places.captures === undefined ? [] : ["-object", captureArgument(path, node, places.captures)],
    ),
    ...(vm.incoming === true ? ["-incoming", "defer"] : []),
  ];
};
