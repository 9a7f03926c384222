/**
 * Commands in a guest, by ssh2 over the management NIC. One connection a node; every command has a deadline, because a
 * guest that has panicked answers nothing; and the server must show the key that this lab gave it.
 */
import { Client, type ClientChannel } from "ssh2";
import { shellCommand } from "../core/argv.ts";
import { deadline, monotonicMs, orAbort, poll } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import type { ExecResult } from "../core/exec.ts";
import { lastLines } from "../core/untrusted-tail.ts";

export interface SshTarget {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly clientKey: string;
  readonly hostPublic: Buffer;
}

export interface RemoteOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_TIMEOUT_MS = 20_000;
const MAX_OUTPUT = 4 * 1024 * 1024;

const connectOnce = async (target: SshTarget, signal: AbortSignal): Promise<Client> => {
  const client = new Client();
  const ready = Promise.withResolvers<undefined>();
  let wrongKey = false;
  // A command is several small packets, and each would wait for the acknowledgement of the one before, 40 ms and more.
  client.on("connect", () => client.setNoDelay(true));
  client.on("ready", () => ready.resolve(undefined));
  client.on("error", error => {
    ready.reject(
      wrongKey
        ? new RigError(
            "RIG_LAB_SSH",
            `${target.name} showed a host key that is not this lab's; something else answers at ${target.host}.`,
          )
        : error,
    );
  });
  client.on("close", () => ready.reject(new Error("connection closed")));
  client.connect({
    host: target.host,
    port: target.port,
    username: "root",
    privateKey: target.clientKey,
    // A lab guest is on the same machine and has little CPU: the cheapest algorithms that both ends have.
    algorithms: {
      kex: ["curve25519-sha256"],
      serverHostKey: ["ssh-ed25519"],
      cipher: ["aes128-ctr"],
      hmac: ["hmac-sha2-256"],
      compress: ["none"],
    },
    hostVerifier: (key: Buffer) => {
      wrongKey = !key.equals(target.hostPublic);
      return !wrongKey;
    },
    readyTimeout: 10_000,
    keepaliveInterval: 0,
  });
  try {
    await orAbort(ready.promise, signal);
    return client;
  } catch (error) {
    client.end();
    client.destroy();
    throw error;
  }
};

export class Ssh implements AsyncDisposable {
  readonly #client: Client;
  readonly #name: string;
  #closed = false;

  private constructor(client: Client, name: string) {
    this.#client = client;
    this.#name = name;
    client.on("close", () => {
      this.#closed = true;
    });
  }

  /** Connects as soon as the server answers; a wrong host key ends the tries at once. */
  static async connect(target: SshTarget, withinMs: number, signal?: AbortSignal): Promise<Ssh> {
    let last: unknown;
    try {
      const client = await poll(
        async inner => {
          try {
            return await connectOnce(target, inner);
          } catch (error) {
            if (error instanceof RigError && error.code === "RIG_LAB_SSH") throw error;
            // A try that the deadline cut short says less than the one before it.
            if (!inner.aborted) last = error;
            return undefined;
          }
        },
        { everyMs: 50, withinMs, expected: `ssh of ${target.name} to answer`, signal },
      );
      return new Ssh(client, target.name);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof RigError && error.code === "RIG_DEADLINE") {
        const why =
          last === undefined ? "It was tried once, without an answer." : `The last try ended with: ${messageOf(last)}`;
        throw new RigError("RIG_LAB_SSH", `${error.message} ${why}`, { blame: "environment", cause: error });
      }
      throw error;
    }
  }

  get alive(): boolean {
    return !this.#closed;
  }

  /** Runs a command to its end. Rejects when the deadline passes or the connection is lost, not when it exits with an error. */
  async exec(argv: readonly string[], options: RemoteOptions = {}): Promise<ExecResult> {
    const started = monotonicMs();
    using limit = deadline(
      options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      `"${shellCommand(argv).slice(0, 120)}" in ${this.#name} to end`,
      options.signal,
    );
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let size = 0;
    const collect = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_OUTPUT) into.push(chunk);
    };
    const done = Promise.withResolvers<{ exitCode: number; signal: string | undefined }>();
    const listen = (channel: ClientChannel) => {
      channel.on("data", collect(output.stdout));
      channel.stderr.on("data", collect(output.stderr));
      let status: { exitCode: number; signal: string | undefined } | undefined;
      channel.on("exit", (code: number | null, signal?: string) => {
        status = { exitCode: code ?? -1, signal };
      });
      channel.on("close", () => {
        if (status === undefined) done.reject(this.#lost());
        else done.resolve(status);
      });
      channel.end(options.input ?? "");
    };
    const channel = await orAbort(this.#open(shellCommand(argv), listen), limit);
    try {
      const ended = await orAbort(done.promise, limit);
      return {
        argv,
        ...ended,
        stdout: Buffer.concat(output.stdout).toString(),
        stderr: Buffer.concat(output.stderr).toString(),
        durationMs: monotonicMs() - started,
      };
    } finally {
      channel.close();
    }
  }

  /** As `exec`, but a command that fails is a RIG_LAB_EXEC error that quotes what it said. */
  async execOk(argv: readonly string[], options: RemoteOptions = {}): Promise<ExecResult> {
    const result = await this.exec(argv, options);
    if (result.exitCode === 0) return result;
    const said = lastLines(result.stderr + result.stdout, 12);
    const what = shellCommand(argv).slice(0, 200);
    throw new RigError(
      "RIG_LAB_EXEC",
      `In ${this.#name}, ${what}: expected success, got exit status ${result.exitCode}.\n${said}`,
    );
  }

  /** An interactive shell or command on a terminal of its own, for `rig shell`. */
  shell(command: string | undefined, terminal: { rows: number; cols: number } | undefined): Promise<ClientChannel> {
    const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
    const take = (error: Error | undefined, channel: ClientChannel) =>
      error === undefined ? resolve(channel) : reject(error);
    const pty =
      terminal === undefined ? undefined : { ...terminal, term: process.env["TERM"] ?? "xterm", width: 0, height: 0 };
    if (command === undefined) this.#client.shell(pty ?? false, take);
    else this.#client.exec(command, pty === undefined ? {} : { pty }, take);
    return promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client.end();
    this.#client.destroy();
    return Promise.resolve();
  }

  #lost(): RigError {
    return new RigError(
      "RIG_LAB_EXEC",
      `The connection to ${this.#name} was lost while a command ran; its console tells whether the node died.`,
    );
  }

  /**
   * Starts a command. `listen` is called before anything of it is handed over: a command that is over at once has its status
   * in the packet that says that it began, and an event that nobody listens to is lost.
   */
  #open(command: string, listen: (channel: ClientChannel) => void): Promise<ClientChannel> {
    const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
    const refuse = (error: unknown) =>
      reject(
        this.#closed
          ? this.#lost()
          : new RigError("RIG_LAB_EXEC", `${this.#name} did not take a command: ${messageOf(error)}`, { cause: error }),
      );
    if (this.#closed) return Promise.reject(this.#lost());
    try {
      this.#client.exec(command, (error, channel) => {
        if (error !== undefined) {
          refuse(error);
          return;
        }
        listen(channel);
        resolve(channel);
      });
    } catch (error) {
      // ssh2 throws where its socket is gone and its own close event has not come yet.
      refuse(error);
    }
    return promise;
  }
}
