/** A node that is up: its container, its microVM, its console, and two ways into the guest. */
import type { ExecResult } from "../core/exec.ts";
import type { NodeName } from "../core/names.ts";
import type { Console } from "./console.ts";
import type { Container } from "./container.ts";
import type { GuestAgent } from "./guest-agent.ts";
import type { AgentProcess } from "./node-agent.ts";
import type { NodeSsh } from "./node-ssh.ts";
import type { Qmp } from "./qmp.ts";
import type { RemoteOptions } from "./ssh.ts";

export interface Node {
  readonly name: NodeName;
  readonly container: Container;
  readonly console: Console;
  readonly qmp: Qmp;
  /** Answers at once, for the few things that every lab needs. */
  readonly agent: GuestAgent;
  /** For every other command. */
  readonly ssh: NodeSsh;
  /** QEMU. */
  readonly process: AgentProcess;
  /** The management address, from this machine. */
  readonly address: string;
  /** The guest kernel's `uname -v`. */
  readonly version: string;
  /** Milliseconds from the start of QEMU to the guest's first answer. */
  readonly bootMs: number;
}

/** Runs a shell script in a guest: `-eu`, its text on standard input, its arguments as `$1` ... */
export const script = (
  node: Node,
  text: string,
  args: readonly string[] = [],
  options: RemoteOptions = {},
): Promise<ExecResult> => node.ssh.execOk(["sh", "-eu", "-s", "--", ...args], { ...options, input: text });

/** Memory that the microVM has to itself, from /proc/PID/smaps_rollup (proc_pid_smaps(5)). */
export const privateMiB = async ({ container, process }: Node): Promise<number> => {
  const { stdout } = await container.execOk(["cat", `/proc/${process.pid}/smaps_rollup`]);
  const kib = [...stdout.matchAll(/^Private_\w+: +(\d+) kB$/gm)].map(match => Number(match[1]));
  return kib.reduce((sum, value) => sum + value, 0) / 1024;
};
