/**
 * Which accelerator works. /dev/kvm may exist, open, and still not run a guest, so a guest decides: a boot sector of a
 * few instructions that tells QEMU to exit with a status of its own. If KVM does not run it within seconds, the lab uses
 * TCG. The answer holds for one boot of the machine and one node image, and is kept for that long.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type Docker from "dockerode";
import { z } from "zod";
import { deadline, orAbort } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import { cacheDir, labsDir } from "../core/paths.ts";
import type { NodeImage } from "../image/node-image.ts";
import { demuxLog } from "./docker-log.ts";
import { LABEL, thisOwner } from "./labels.ts";
import type { Accelerator } from "./qemu-argv.ts";

export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** In words, for the results. */
  readonly why: string;
  readonly qemu: string;
}

/** mov al,0x2a; out 0xf4,al; hlt; jmp $-1. QEMU's isa-debug-exit ends with status 2 * value + 1. */
const BOOT_SECTOR = Buffer.alloc(512);
BOOT_SECTOR.set([0xb0, 0x2a, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd]);
BOOT_SECTOR.set([0x55, 0xaa], 510);
const EXPECTED_STATUS = 0x2a * 2 + 1;
const LIMIT_MS = 8000;

const storedSchema = z.strictObject({
  key: z.string(),
  accelerator: z.enum(["kvm", "tcg"]),
  why: z.string(),
  qemu: z.string(),
});

const probeArgv = [
  "qemu-system-x86_64",
  "-accel",
  "kvm",
  "-cpu",
  "host",
  "-m",
  "16",
  "-nodefaults",
  "-display",
  "none",
  "-no-reboot",
  "-device",
  "isa-debug-exit,iobase=0xf4,iosize=1",
  "-drive",
  "file=/probe/boot.img,format=raw,if=ide",
]; // prettier-ignore

const runOnce = async (
  docker: Docker,
  image: NodeImage,
  argv: readonly string[],
  kvm: boolean,
  dir: string,
): Promise<{ status: number; said: string }> => {
  const container = await docker.createContainer({
    Image: image.tag,
    Entrypoint: [],
    Cmd: [...argv],
    Labels: { [LABEL.role]: "lab", [LABEL.lab]: "probe", [LABEL.run]: "probe", [LABEL.owner]: thisOwner() },
    NetworkDisabled: true,
    HostConfig: {
      CapDrop: ["ALL"],
      Binds: [`${dir}:/probe:ro`],
      Devices: kvm ? [{ PathOnHost: "/dev/kvm", PathInContainer: "/dev/kvm", CgroupPermissions: "rwm" }] : [],
    },
  });
  try {
    await container.start();
    using limit = deadline(LIMIT_MS, "the probe guest to answer");
    const ended = await orAbort(container.wait() as Promise<{ StatusCode: number }>, limit);
    const raw = await container.logs({ stdout: true, stderr: true, tail: 5 });
    return {
      status: ended.StatusCode,
      said: demuxLog(Buffer.from(raw)).join("\n"),
    };
  } finally {
    await container.remove({ force: true }).catch(() => undefined);
  }
};

const probe = async (docker: Docker, image: NodeImage): Promise<AcceleratorChoice> => {
  await mkdir(labsDir(), { recursive: true });
  const dir = await mkdtemp(path.join(labsDir(), "probe-"));
  try {
    await writeFile(path.join(dir, "boot.img"), BOOT_SECTOR);
    const version = await runOnce(docker, image, ["qemu-system-x86_64", "--version"], false, dir);
    const qemu = /version (\S+)/.exec(version.said)?.[1] ?? "unknown";
    if (!existsSync("/dev/kvm")) return { accelerator: "tcg", why: "there is no /dev/kvm", qemu };
    try {
      const answer = await runOnce(docker, image, probeArgv, true, dir);
      if (answer.status === EXPECTED_STATUS) return { accelerator: "kvm", why: "/dev/kvm runs a guest", qemu };
      return {
        accelerator: "tcg",
        why: `/dev/kvm is there but QEMU ended with status ${answer.status}: ${answer.said.split("\n")[0]?.slice(0, 160) ?? ""}`,
        qemu,
      };
    } catch (error) {
      return { accelerator: "tcg", why: `/dev/kvm is there but its guest did not answer: ${messageOf(error)}`, qemu };
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

/** The accelerator to use, from the kept answer or by a probe. RIG_ACCEL=tcg forces TCG. */
export const chooseAccelerator = async (docker: Docker, image: NodeImage): Promise<AcceleratorChoice> => {
  const file = path.join(cacheDir(), "accelerator.json");
  const key = `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${image.key} ${String(existsSync("/dev/kvm"))} 2`;
  let choice: AcceleratorChoice | undefined;
  try {
    const stored = storedSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    if (stored.key === key) choice = { accelerator: stored.accelerator, why: stored.why, qemu: stored.qemu };
  } catch {
    // Not there, or not readable: probe again.
  }
  if (choice === undefined) {
    choice = await probe(docker, image);
    await mkdir(cacheDir(), { recursive: true });
    await writeFile(`${file}.${process.pid}`, JSON.stringify({ key, ...choice }));
    await rename(`${file}.${process.pid}`, file);
  }
  if (process.env["RIG_ACCEL"] === "tcg" && choice.accelerator === "kvm")
    return { ...choice, accelerator: "tcg", why: "RIG_ACCEL=tcg" };
  return choice;
};
