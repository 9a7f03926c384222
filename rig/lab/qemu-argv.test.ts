import { describe, expect, test } from "vitest";
import { NODE_NAMES, PATH_NAMES } from "../core/names.ts";
import {
  backingDisk,
  backingFile,
  guestAddress,
  guestMac,
  type MicroVm,
  NBD_PORT,
  pathOfAddress,
  qemuArgv,
  SSH_PORT,
} from "./qemu-argv.ts";

const PLACES = { lab: "/lab/7", bundle: "/bundles/k" };
const CAPTURED = { ...PLACES, captures: "/results/cells/x" };
const MEMORY = "/snapshots/s/memory-initiator";

const vm = (more: Partial<MicroVm> = {}): MicroVm => ({
  node: "initiator",
  accelerator: "tcg",
  memoryMiB: 384,
  cpus: 1,
  disks: 0,
  exports: 0,
  places: PLACES,
  ...more,
});

/** What follows each occurrence of an option. */
const valuesOf = (argv: readonly string[], option: string): readonly string[] =>
  argv.flatMap((argument, index) => (argument === option ? [argv[index + 1] ?? ""] : []));

const devicesOf = (argv: readonly string[], driver: string) =>
  valuesOf(argv, "-device").filter(value => value.startsWith(`${driver},`));

describe("the microVM", () => {
  test("has its NICs in the order in which the guest names them: management, path a, path b", () => {
    const argv = qemuArgv(vm());
    expect(valuesOf(argv, "-netdev").map(value => /(?<=id=)\w+/.exec(value)?.[0])).toEqual(["mgmt", "a", "b"]);
    expect(devicesOf(argv, "virtio-net-pci")).toEqual([
      "virtio-net-pci,netdev=mgmt,romfile=,mac=52:54:00:00:00:03",
      "virtio-net-pci,netdev=a,romfile=,mac=52:54:00:00:01:03",
      "virtio-net-pci,netdev=b,romfile=,mac=52:54:00:00:02:03",
    ]);
  });

  test("uses KVM with the host's CPU, or TCG with every feature", () => {
    expect(valuesOf(qemuArgv(vm({ accelerator: "kvm" })), "-accel")).toEqual(["kvm"]);
    expect(valuesOf(qemuArgv(vm({ accelerator: "kvm" })), "-cpu")).toEqual(["host"]);
    expect(valuesOf(qemuArgv(vm()), "-accel")).toEqual(["tcg,thread=multi"]);
    expect(valuesOf(qemuArgv(vm()), "-cpu")).toEqual(["max"]);
  });

  test("has the LUNs' disks, third and on, only where asked for", () => {
    const drives = (disks: number) => valuesOf(qemuArgv(vm({ node: "target", disks })), "-drive");
    const ids = (disks: number) => drives(disks).map(drive => /(?<=id=)[\w-]+/.exec(drive)?.[0]);
    expect([ids(0), ids(1)]).toEqual([
      ["root", "modules"],
      ["root", "modules", "backing"],
    ]);
    expect(ids(3).slice(2)).toEqual(["backing", "backing-1", "backing-2"]);
    expect(drives(2)[2]).toContain("file=/lab/7/backing.img,");
    expect(drives(2)[3]).toContain("file=/lab/7/backing-1.img,");
    for (const drive of drives(2).slice(0, 2)) expect(drive).toContain("readonly=on");
    expect([backingDisk(0), backingDisk(3), backingFile(3)]).toEqual(["/dev/vdc", "/dev/vdf", "backing-3.img"]);
  });

  test("captures each path, in files that name path and node, only where asked for", () => {
    expect(valuesOf(qemuArgv(vm()), "-object")).toEqual([]);
    expect(valuesOf(qemuArgv(vm({ places: { ...PLACES, captures: undefined } })), "-object")).toEqual([]);
    expect(valuesOf(qemuArgv(vm({ places: CAPTURED })), "-object")).toEqual([
      "filter-dump,id=dump-a,netdev=a,file=/results/cells/x/path-a-initiator.pcap,maxlen=192",
      "filter-dump,id=dump-b,netdev=b,file=/results/cells/x/path-b-initiator.pcap,maxlen=192",
    ]);
  });

  test("boots the bundle's kernel with memory of its own, where nothing else is asked for", () => {
    const argv = qemuArgv(vm());
    expect(valuesOf(argv, "-kernel")).toEqual(["/bundles/k/kernel"]);
    expect(valuesOf(argv, "-initrd")).toEqual(["/bundles/k/initramfs.cpio"]);
    expect(valuesOf(argv, "-m")).toEqual(["384"]);
    for (const word of ["memory-backend=ram", "-incoming", "-option-rom"]) expect(argv).not.toContain(word);
  });

  test("has memory in a file that it writes to while a snapshot is made, and only reads when one is restored", () => {
    const backend = (own: boolean) => {
      const argv = qemuArgv(vm({ memory: { file: MEMORY, own } }));
      expect(valuesOf(argv, "-machine").at(-1)).toBe("memory-backend=ram");
      return valuesOf(argv, "-object");
    };
    expect(backend(true)).toEqual([`memory-backend-file,id=ram,size=384M,mem-path=${MEMORY},share=on`]);
    expect(backend(false)).toEqual([`memory-backend-file,id=ram,size=384M,mem-path=${MEMORY},share=off`]);
  });

  test("that waits for a snapshot's state loads no kernel, only the ROM that one brings along", () => {
    const argv = qemuArgv(vm({ memory: { file: MEMORY, own: false }, incoming: true }));
    expect(valuesOf(argv, "-incoming")).toEqual(["defer"]);
    expect(valuesOf(argv, "-option-rom")).toEqual(["pvh.bin"]);
    const unpacksItself = qemuArgv(vm({ memory: { file: MEMORY, own: false }, incoming: true, entry: "bzimage" }));
    expect(valuesOf(unpacksItself, "-option-rom")).toEqual(["linuxboot_dma.bin"]);
    for (const option of ["-kernel", "-initrd", "-append"]) expect(argv).not.toContain(option);
  });

  test("restored has the devices that it was saved with", () => {
    const devices = (more: Partial<MicroVm>) => {
      const argv = qemuArgv(vm(more));
      return ["-device", "-drive", "-netdev", "-chardev", "-smp", "-m", "-cpu"].map(option => valuesOf(argv, option));
    };
    const saved = devices({ memory: { file: MEMORY, own: true } });
    expect(devices({ memory: { file: MEMORY, own: false }, incoming: true })).toEqual(saved);
  });

  test("connects to the rig's sockets itself, its console, QMP and its agent's port", () => {
    const argv = qemuArgv(vm());
    expect(valuesOf(argv, "-chardev")).toEqual([
      "socket,id=console,path=/lab/7/console.sock,server=off,logfile=/lab/7/console.raw",
      "socket,id=qmp,path=/lab/7/qmp.sock,server=off",
      "socket,id=agent,path=/lab/7/guest.sock,server=off",
    ]);
    expect(valuesOf(argv, "-serial")).toEqual(["chardev:console"]);
    expect(valuesOf(argv, "-mon")).toEqual(["chardev=qmp,mode=control"]);
    expect(devicesOf(argv, "virtio-serial-pci")).toHaveLength(1);
    expect(devicesOf(argv, "virtserialport")).toEqual(["virtserialport,chardev=agent,name=rig.agent"]);
  });

  test("lets ssh in, NBD for each device that is served, and nothing out", () => {
    const management = (exports: number) => valuesOf(qemuArgv(vm({ exports })), "-netdev")[0];
    const ssh = `hostfwd=tcp::${SSH_PORT}-:22`;
    const first = `${ssh},hostfwd=tcp::${NBD_PORT}-:${NBD_PORT}`;
    expect(management(1)?.endsWith(first)).toBe(true);
    expect(management(2)?.endsWith(`${first},hostfwd=tcp::${NBD_PORT + 1}-:${NBD_PORT + 1}`)).toBe(true);
    expect(management(0)?.endsWith(ssh)).toBe(true);
    expect(management(0)).toContain("restrict=on");
  });

  test("is told its name and its addresses", () => {
    const [append = ""] = valuesOf(qemuArgv(vm({ node: "target" })), "-append");
    expect(append.split(" ")).toEqual(
      expect.arrayContaining(["rig.node=target", "rig.addr=eth0:10.0.2.15/24,eth1:10.1.0.2/24,eth2:10.2.0.2/24"]),
    );
  });

  test("ends by itself after a panic, and the same lab gives the same arguments", () => {
    expect(qemuArgv(vm())).toContain("-no-reboot");
    expect(qemuArgv(vm({ places: CAPTURED }))).toEqual(qemuArgv(vm({ places: CAPTURED })));
  });
});

describe("addresses", () => {
  test("tell node and path, and no two are the same", () => {
    const all = NODE_NAMES.flatMap(node => PATH_NAMES.map(path => [guestAddress(node, path), path] as const));
    expect(new Set(all.map(([address]) => address)).size).toBe(4);
    for (const [address, path] of all) expect(pathOfAddress(address)).toBe(path);
    const macs = NODE_NAMES.flatMap(node => [0, 1, 2].map(link => guestMac(node, link)));
    expect(new Set(macs).size).toBe(6);
  });

  test.each(["", "10.0.2.15", "10.3.0.2", "10.1.1.2", "110.1.0.2", "a"])("%j is on no path", address => {
    expect(pathOfAddress(address)).toBeUndefined();
  });

  test("with a port are on their path too", () => {
    expect(pathOfAddress("10.2.0.2:3260")).toBe("b");
  });
});
