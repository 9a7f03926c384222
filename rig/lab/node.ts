/** A node that is up: its container, its microVM, its console, and a way to run commands in the guest. */
import type { ExecResult } from "../core/exec.ts";
import type { NodeName } from "../core/names.ts";
import type { Console } from "./console.ts";
import type { Container } from "./container.ts";
import type { Qmp } from "./qmp.ts";
import type { RemoteOptions, Ssh } from "./ssh.ts";

export interface Node {
  readonly name: NodeName;
  readonly container: Container;
  readonly console: Console;
  readonly qmp: Qmp;
  readonly ssh: Ssh;
  /** The management address, from this machine. */
  readonly address: string;
  /** The guest kernel's `uname -v`. */
  readonly version: string;
  /** Milliseconds from the start of the container to the first answer by ssh. */
  readonly bootMs: number;
}

/** Runs a shell script in a guest: `-eu`, its text on standard input, its arguments as `$1` ... */
export const script = (
  node: Node,
  text: string,
  args: readonly string[] = [],
  options: RemoteOptions = {},
): Promise<ExecResult> => node.ssh.execOk(["sh", "-eu", "-s", "--", ...args], { ...options, input: text });
