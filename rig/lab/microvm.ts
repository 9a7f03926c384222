/** One node's microVM in its container: from its sockets and files to a QEMU that runs, booting or with a snapshot's state. */
import { copyFile, open, rm } from "node:fs/promises";
import path from "node:path";
import { messageOf, RigError } from "../core/errors.ts";
import type { Scope } from "../core/scope.ts";
import type { HistorySink } from "../history/event.ts";
import type { BayRoom } from "./bay.ts";
import { Console } from "./console.ts";
import type { Container } from "./container.ts";
import { GuestAgent } from "./guest-agent.ts";
import type { AgentProcess } from "./node-agent.ts";
import { backingFile, LAB_FILES, type MicroVm, qemuArgv } from "./qemu-argv.ts";
import { Qmp } from "./qmp.ts";

export interface MicroVmRequest {
  readonly vm: MicroVm;
  readonly room: BayRoom;
  readonly container: Container;
  /** Bytes of the disk behind each LUN, where the node has any. */
  readonly backingBytes: number;
  /** Content of a LUN's disk to begin with, a file; nothing but zeros if undefined. */
  readonly backingFrom?: ((lun: number) => string | undefined) | undefined;
  readonly sink: HistorySink;
  /** Where the console's log is written. */
  readonly artefacts: string;
  readonly scope: Scope;
  readonly withinMs: number;
  /** QEMU goes on when the rig has gone. */
  readonly survives: boolean;
  readonly signal: AbortSignal;
  /** Told when QEMU has ended, also by disposal. */
  readonly onEnd: (why: string) => void;
}

export interface RunningVm {
  readonly console: Console;
  readonly agent: GuestAgent;
  readonly qmp: Qmp;
  readonly process: AgentProcess;
}

const makeDisk = async (file: string, bytes: number, from: string | undefined): Promise<void> => {
  if (from !== undefined) {
    await copyFile(from, file);
    return;
  }
  await using disk = await open(file, "w");
  await disk.truncate(bytes);
};

/** Starts QEMU and returns when it answers by QMP. */
export const startVm = async (request: MicroVmRequest): Promise<RunningVm> => {
  const { vm, room, container, sink, scope, signal } = request;
  const { node } = vm;
  const at = (name: keyof typeof LAB_FILES) => path.join(room.here, LAB_FILES[name]);
  scope.defer(`directory of ${node}`, () => rm(room.here, { recursive: true, force: true }));
  for (let lun = 0; lun < vm.disks; lun++)
    await makeDisk(path.join(room.here, backingFile(lun)), request.backingBytes, request.backingFrom?.(lun));
  const console = await Console.listen(
    at("console"),
    path.join(request.artefacts, `console-${node}.log`),
    (line, time) => sink.record({ kind: "console", node, line }, time),
  );
  scope.defer(`console of ${node}`, () => console[Symbol.asyncDispose]());
  const agent = await GuestAgent.listen(at("agent"), `the ${node}`);
  scope.defer(`agent of ${node}`, () => agent[Symbol.asyncDispose]());
  await using listener = await Qmp.listen(at("qmp"));
  const qemu = await container.agent.spawn(qemuArgv(vm), {
    detach: request.survives,
    onLoad: load =>
      sink.record({ kind: "load", node, windowMs: Math.round(load.windowMs), waitMs: Math.round(load.waitMs) }),
    signal,
  });
  scope.defer(`microVM of ${node}`, () => Promise.resolve(qemu[Symbol.asyncDispose]()));
  const ended = Promise.withResolvers<Qmp>();
  ended.promise.catch(() => undefined);
  const onEnd = (how: string) => {
    const why = `The ${node}'s microVM ended (${how}).\n${qemu.tail(10)}`;
    request.onEnd(why);
    ended.reject(new RigError("RIG_LAB_CONTAINER", why));
  };
  qemu.ended.then(
    end => onEnd(end.signal === undefined ? `status ${end.exitCode}` : `signal ${end.signal}`),
    (error: unknown) => onEnd(messageOf(error)),
  );
  const qmp: Qmp = await Promise.race([listener.connected(request.withinMs, signal), ended.promise]);
  scope.defer(`QMP of ${node}`, () => qmp[Symbol.asyncDispose]());
  return { console, agent, qmp, process: qemu };
};
