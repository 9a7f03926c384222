/** From nothing to a node that answers: its keys, its initramfs, its console, its container, its microVM, its ssh. */
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { monotonicMs } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import type { NodeName, PathName } from "../core/names.ts";
import type { Scope } from "../core/scope.ts";
import { cpioArchive, directory, file } from "../kernel/cpio.ts";
import { Console } from "./console.ts";
import { Container } from "./container.ts";
import { makeHostKey } from "./keys.ts";
import type { KeptNode } from "./lab-file.ts";
import type { LabLabels } from "./labels.ts";
import type { LabNetwork } from "./network.ts";
import type { Node } from "./node.ts";
import { qemuArgv, SSH_PORT } from "./qemu-argv.ts";
import { Qmp } from "./qmp.ts";
import type { LabRequest } from "./request.ts";
import { Ssh } from "./ssh.ts";

const MEMORY_MIB = 384;
/** One for each: two nodes share a small machine, and without KVM a second CPU costs a second of boot. */
const CPUS = 1;
const BOOT_MS = 60_000;

/** What both nodes of a lab share while they boot. */
export interface NodeParts {
  readonly request: LabRequest;
  readonly scope: Scope;
  readonly labels: LabLabels;
  readonly directory: string;
  readonly networks: Readonly<Record<PathName, LabNetwork>>;
  readonly client: { clientKey: string; authorized: string };
  /** Aborts when the caller gives up or the other node ends. */
  readonly signal: AbortSignal;
  readonly onEnd: (node: NodeName, why: string) => void;
}

/** Makes a node's files, starts its container and returns when its guest answers by ssh. */
export const bootNode = async (name: NodeName, parts: NodeParts): Promise<{ node: Node; kept: KeptNode }> => {
  const { request, scope, directory: labDir } = parts;
  const { host, kernel, sink } = request;
  const signal = parts.signal;
  const dir = path.join(labDir, name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const hostKeys = makeHostKey();
  const ownFiles = cpioArchive([
    directory("lab", 0o700),
    file("lab/host_key", hostKeys.hostKey, 0o600),
    file("lab/authorized_keys", parts.client.authorized, 0o600),
  ]);
  await writeFile(path.join(dir, "initramfs.cpio"), Buffer.concat([await readFile(kernel.bundle.initramfs), ownFiles]));
  if (name === "target") {
    await using disk = await open(path.join(dir, "backing.img"), "w");
    await disk.truncate(request.backingMiB * 2 ** 20);
  }

  const consoleLog = await Console.listen(
    path.join(dir, "console.sock"),
    path.join(request.artefacts, `console-${name}.log`),
    (line, at) => sink.record({ kind: "console", node: name, line }, at),
  );
  scope.defer(`console of ${name}`, () => consoleLog[Symbol.asyncDispose]());
  const container = await Container.create(host.docker, {
    name: `iscsi-rig-${parts.labels.lab}-${name}`,
    image: host.image.tag,
    node: name,
    labels: parts.labels,
    argv: qemuArgv({
      node: name,
      accelerator: host.accelerator.accelerator,
      memoryMiB: MEMORY_MIB,
      cpus: CPUS,
      disk: name === "target",
      capture: true,
    }),
    accelerator: host.accelerator.accelerator,
    memoryMiB: MEMORY_MIB,
    networks: parts.networks,
    binds: [
      `${dir}:/lab`,
      `${path.dirname(kernel.bundle.vmlinux)}:/bundle:ro`,
      `${host.root.image}:/guest/root.erofs:ro`,
    ],
  });
  scope.defer(`container of ${name}`, () => container.remove());
  const started = monotonicMs();
  sink.record({ kind: "node", node: name, state: "starting", detail: kernel.bundle.release });
  const address = await container.start();
  const ended = container.ended().then(
    async status => {
      const why = `The ${name}'s microVM ended with status ${status}.\n${await container.logs()}`;
      sink.record({ kind: "node", node: name, state: "off", detail: why.slice(0, 500) });
      parts.onEnd(name, why);
    },
    () => undefined,
  );
  void ended;
  const limitMs = BOOT_MS * request.timeoutScale;
  const qmp = await Qmp.connect(path.join(dir, "qmp.sock"), () => undefined, limitMs, signal);
  scope.defer(`QMP of ${name}`, () => qmp[Symbol.asyncDispose]());
  let version: string;
  try {
    const line = await consoleLog.waitFor(
      /rig-init: (up|cannot go on)/,
      limitMs,
      `the ${name} to boot ${kernel.bundle.release}`,
      signal,
    );
    version = /rig-init: up (.*)/.exec(line)?.[1] ?? "";
    if (version === "") throw new RigError("RIG_LAB_BOOT", `The init of the ${name} gave up.`);
  } catch (error) {
    request.signal?.throwIfAborted();
    throw new RigError(
      "RIG_LAB_BOOT",
      `${messageOf(error)} The end of its console:\n${consoleLog
        .tail(8)
        .map(line => `  ${line}`)
        .join("\n")}`,
      { cause: error },
    );
  }
  const target = {
    name,
    host: address,
    port: SSH_PORT,
    clientKey: parts.client.clientKey,
    hostPublic: hostKeys.hostPublic,
  };
  const ssh = await Ssh.connect(target, limitMs, signal);
  scope.defer(`ssh of ${name}`, () => ssh[Symbol.asyncDispose]());
  const bootMs = monotonicMs() - started;
  sink.record({ kind: "node", node: name, state: "up", detail: `${version} after ${Math.round(bootMs)} ms` });
  return {
    node: { name, container, console: consoleLog, qmp, ssh, address, version, bootMs },
    kept: {
      name,
      address,
      port: SSH_PORT,
      container: container.id,
      hostPublic: hostKeys.hostPublic.toString("base64"),
    },
  };
};
