/** What every lab of a run needs, made ready once: Docker, the images, the accelerator; and facts about the machine. */
import { existsSync, readFileSync } from "node:fs";
import { cpus, hostname, release, totalmem } from "node:os";
import { RigError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { together } from "../core/together.ts";
import { guestRoot } from "../image/guest-root.ts";
import { nodeImage } from "../image/node-image.ts";
import { chooseAccelerator } from "../lab/accelerator.ts";
import { ensureDocker } from "../lab/docker.ts";
import type { LabHost } from "../lab/host.ts";
import type { Machine } from "../results/schema.ts";

/** Fails with one clear message where the machine cannot carry a lab at all. */
export const requirePrivileges = (): void => {
  if (process.getuid?.() !== 0) {
    throw new RigError(
      "RIG_NOT_ROOT",
      "The rig makes containers and networks and needs root for that. Run the command again with sudo.",
      { blame: "environment" },
    );
  }
  if (!existsSync("/dev/net/tun")) {
    throw new RigError(
      "RIG_NO_DEVICE",
      "Expected /dev/net/tun, which connects guests to paths; it is not there. Try: modprobe tun",
      { blame: "environment" },
    );
  }
};

/** Makes everything ready that labs share. */
export const prepareHost = async (log: Log, signal?: AbortSignal): Promise<LabHost> => {
  requirePrivileges();
  const docker = await ensureDocker(log, signal);
  // If one cannot be made, the other one's minute is not waited for.
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const works = { root: guestRoot(log, either), image: nodeImage(docker, log, either) };
  await together([works.root, works.image] as Promise<unknown>[], error => stop.abort(error));
  const [root, image] = [await works.root, await works.image];
  const accelerator = await chooseAccelerator(docker, image);
  return { docker, image, root, accelerator };
};

const osName = (): string => {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
};

export const machineFacts = async (host: LabHost): Promise<Machine> => {
  const version = (await host.docker.version()) as { Version?: string };
  return {
    hostname: hostname(),
    os: osName(),
    kernel: release(),
    cpus: cpus().length,
    cpuModel: cpus()[0]?.model.trim() ?? "unknown",
    memoryMiB: Math.floor(totalmem() / 2 ** 20),
    accelerator: host.accelerator.accelerator,
    acceleratorWhy: host.accelerator.why,
    docker: version.Version ?? "unknown",
    qemu: host.accelerator.qemu,
  };
};
