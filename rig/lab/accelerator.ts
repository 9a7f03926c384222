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
import { ANSWERED, bootSector, factorOf, timedArgv, WORK } from "./accelerator-speed.ts";
import { demuxLog } from "./docker-log.ts";
import { LABEL, thisOwner } from "./labels.ts";
import type { Accelerator } from "./qemu-argv.ts";

export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** In words, for the results. */
  readonly why: string;
  readonly qemu: string;
  /** How much slower than usual it runs a guest, measured; 1 at the least. */
  readonly factor: number;
}

const LIMIT_MS = 8000;
/** For the work that tells how fast it is, three times. */
const WORK_LIMIT_MS = 30_000;

const storedSchema = z.strictObject({
  key: z.string(),
  accelerator: z.enum(["kvm", "tcg"]),
  why: z.string(),
  qemu: z.string(),
  factor: z.number().min(1),
});

const CPUS: Readonly<Record<Accelerator, string>> = { kvm: "host", tcg: "max" };

/** The file is on a read-only mount, and QEMU's IDE disk wants to write: what it writes goes to a temporary file. */
const guestArgv = (accelerator: Accelerator, image: string): readonly string[] => [
  "qemu-system-x86_64",
  ...["-accel", accelerator, "-cpu", CPUS[accelerator], "-m", "16"],
  ...["-nodefaults", "-display", "none", "-no-reboot"],
  ...["-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
  ...["-drive", `file=/probe/${image},format=raw,if=ide,snapshot=on`],
];

const runOnce = async (
  docker: Docker,
  image: NodeImage,
  argv: readonly string[],
  kvm: boolean,
  dir: string,
  withinMs = LIMIT_MS,
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
    using limit = deadline(withinMs, "the probe guest to answer");
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

/** Whether KVM runs a guest, in words; `works` says it for the rig. */
const tryKvm = async (docker: Docker, image: NodeImage, dir: string): Promise<{ works: boolean; why: string }> => {
  if (!existsSync("/dev/kvm")) return { works: false, why: "there is no /dev/kvm" };
  try {
    const answer = await runOnce(docker, image, guestArgv("kvm", "boot.img"), true, dir);
    if (answer.status === ANSWERED) return { works: true, why: "/dev/kvm runs a guest" };
    const said = answer.said.split("\n")[0]?.slice(0, 160) ?? "";
    return { works: false, why: `/dev/kvm is there but QEMU ended with status ${answer.status}: ${said}` };
  } catch (error) {
    return { works: false, why: `/dev/kvm is there but its guest did not answer: ${messageOf(error)}` };
  }
};

/** A machine that does not do the work at all is found out by its first lab, not here. */
const measure = async (docker: Docker, image: NodeImage, accelerator: Accelerator, dir: string): Promise<number> => {
  const argv = timedArgv(guestArgv(accelerator, "work.img"));
  try {
    return factorOf((await runOnce(docker, image, argv, accelerator === "kvm", dir, WORK_LIMIT_MS)).said);
  } catch {
    return 1;
  }
};

const probe = async (docker: Docker, image: NodeImage): Promise<AcceleratorChoice> => {
  await mkdir(labsDir(), { recursive: true });
  const dir = await mkdtemp(path.join(labsDir(), "probe-"));
  try {
    await writeFile(path.join(dir, "boot.img"), bootSector(1));
    await writeFile(path.join(dir, "work.img"), bootSector(WORK));
    const version = await runOnce(docker, image, ["qemu-system-x86_64", "--version"], false, dir);
    const qemu = /version (\S+)/.exec(version.said)?.[1] ?? "unknown";
    const { works, why } = await tryKvm(docker, image, dir);
    const accelerator = works ? "kvm" : "tcg";
    return { accelerator, why, qemu, factor: await measure(docker, image, accelerator, dir) };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

/** The accelerator to use, from the kept answer or by a probe. RIG_ACCEL=tcg forces TCG. */
export const chooseAccelerator = async (docker: Docker, image: NodeImage): Promise<AcceleratorChoice> => {
  const file = path.join(cacheDir(), "accelerator.json");
  const key = `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${image.key} ${String(existsSync("/dev/kvm"))} 3`;
  let choice: AcceleratorChoice | undefined;
  try {
    const stored = storedSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    const { key: of, ...kept } = stored;
    if (of === key) choice = kept;
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
    return { ...choice, accelerator: "tcg", why: "RIG_ACCEL=tcg", factor: 1 };
  return choice;
};
