/**
 * The floor under a lab's boot: one microVM alone, with the hardware of a lab's target, the same kernel and the same initramfs, but
 * an init that says one line and powers off. What a lab takes longer is its own doing: modules, root, network, ssh, and that
 * there are two nodes.
 */
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { monotonicMs } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { Scope } from "../core/scope.ts";
import { compileProgram } from "../image/program.ts";
import { cpioArchive, file } from "../kernel/cpio.ts";
import { startVm } from "../lab/microvm.ts";
import { microVm } from "../lab/snapshot.ts";
import { labRequest, type Stand } from "./stand.ts";

const BOOT_MS = 60_000;

/** Makes the boot bundle with the trivial init, as a directory of results, which the containers see. */
export const trivialBundle = async (stand: Stand): Promise<string> => {
  const { bundle } = stand.head;
  const directory = path.join(stand.out, "trivial");
  await mkdir(directory);
  const program = path.join(directory, "init");
  await compileProgram("guest", "trivial.c", program, stand.log, stand.signal);
  // The kernel unpacks one archive after the other, and the later /init is the one that it runs.
  const over = cpioArchive([file("init", await readFile(program), 0o755)]);
  await writeFile(path.join(directory, "initramfs.cpio"), Buffer.concat([await readFile(bundle.initramfs), over]));
  const bay = await stand.bays.take();
  // Links that lead somewhere only in the container.
  for (const name of ["kernel", "modules.erofs"])
    await symlink(`${bay.bundle(bundle.key)}/${name}`, path.join(directory, name));
  await stand.bays.give(bay);
  return directory;
};

/** Milliseconds from QEMU's start to the first line of the trivial init. */
export const bootTrivial = async (stand: Stand, bundle: string): Promise<number> => {
  const scope = new Scope(({ what, message }) => stand.log.say(`clean-up: ${what}: ${message}`, "warn"));
  const bay = await stand.bays.take();
  scope.defer("bay", () => stand.bays.give(bay));
  const over = new AbortController();
  const signal = AbortSignal.any([stand.signal, over.signal]);
  try {
    const { sink, artefacts, backingMiB } = await labRequest(stand, bay, stand.head);
    const { target: room } = await bay.rooms();
    const started = monotonicMs();
    const vm = await startVm({
      vm: microVm("target", stand.host, {
        places: { lab: room.there, bundle: bay.results(bundle) },
        entry: stand.head.bundle.entry,
      }),
      room,
      container: bay.containers.target,
      backingBytes: backingMiB * 2 ** 20,
      sink,
      artefacts,
      scope,
      withinMs: BOOT_MS,
      survives: false,
      signal,
      onEnd: why => over.abort(new RigError("RIG_LAB_BOOT", why)),
    });
    await vm.console.waitFor(/^rig-trivial: up/, BOOT_MS, "the trivial init to say that it is up", signal);
    return monotonicMs() - started;
  } finally {
    await scope.close();
  }
};
