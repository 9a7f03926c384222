/**
 * The Docker daemon: the one that answers, or one started by the rig where none runs. A daemon that the rig started goes
 * on after it, as a service would: the next run finds it.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import path from "node:path";
import Docker from "dockerode";
import { poll } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { run } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";

const pingError = async (docker: Docker): Promise<unknown> => {
  try {
    await docker.ping();
    return undefined;
  } catch (error) {
    return error;
  }
};

/** A client of the daemon that DOCKER_HOST names, or of the local one. Does not connect. */
export const dockerClient = (): Docker => new Docker();

/** The client if a daemon answers, else undefined. */
export const runningDocker = async (): Promise<Docker | undefined> => {
  const docker = dockerClient();
  return (await pingError(docker)) === undefined ? docker : undefined;
};

const startDaemon = async (log: Log, signal: AbortSignal | undefined): Promise<string> => {
  if (existsSync("/run/systemd/system")) {
    log.say("No Docker daemon answers: starting it with systemctl.");
    await run(["systemctl", "start", "docker"], { signal, timeoutMs: 60_000 });
    return "journalctl -u docker";
  }
  const file = path.join(cacheDir(), "dockerd.log");
  await mkdir(cacheDir(), { recursive: true });
  log.say(`No Docker daemon answers: starting dockerd (its log: ${file}).`);
  const handle = await open(file, "a");
  const child = spawn("dockerd", [], { detached: true, stdio: ["ignore", handle.fd, handle.fd], cwd: "/" });
  child.on("error", () => undefined);
  child.unref();
  await handle.close();
  return file;
};

/** A client of a daemon that answers; starts one if need be. */
export const ensureDocker = async (log: Log, signal?: AbortSignal): Promise<Docker> => {
  const docker = dockerClient();
  const first = await pingError(docker);
  if (first === undefined) return docker;
  const advice = "Run: make setup (as root), or start Docker and look with: rig doctor";
  if (process.env["DOCKER_HOST"] !== undefined) {
    throw new RigError(
      "RIG_NO_DOCKER",
      `No Docker daemon answers at DOCKER_HOST=${process.env["DOCKER_HOST"]} (${messageOf(first)}). ${advice}`,
      {
        blame: "environment",
      },
    );
  }
  if (process.getuid?.() !== 0) {
    throw new RigError(
      "RIG_NO_DOCKER",
      `No Docker daemon answers (${messageOf(first)}), and only root can start one. ${advice}`,
      { blame: "environment" },
    );
  }
  const installed = ["/usr/sbin/dockerd", "/usr/bin/dockerd", "/usr/local/bin/dockerd"].some(file => existsSync(file));
  if (!installed)
    throw new RigError("RIG_NO_DOCKER", `No Docker daemon answers and dockerd is not installed. ${advice}`, {
      blame: "environment",
    });
  const where = await startDaemon(log, signal);
  try {
    await poll(async () => ((await pingError(docker)) === undefined ? true : undefined), {
      everyMs: 200,
      withinMs: 60_000,
      expected: "the Docker daemon to answer",
      signal,
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new RigError("RIG_NO_DOCKER", `The Docker daemon was started but does not answer. Look at: ${where}`, {
      blame: "environment",
      cause: error,
    });
  }
  return docker;
};
