/**
 * ssh to a node, from the first command that needs it. A handshake costs an emulated guest a third of a second, and many a
 * restored lab needs none; the server is started, with keys of this lab, when somebody asks for it.
 */
import type { ExecResult } from "../core/exec.ts";
import type { GuestAgent } from "./guest-agent.ts";
import { makeHostKey } from "./keys.ts";
import { SSH_PORT } from "./qemu-argv.ts";
import { type RemoteOptions, Ssh } from "./ssh.ts";

/** Where a guest keeps what the rig gave it. */
const FILES = { hostKey: "/run/rig/host_key", authorized: "/run/rig/authorized_keys" };
const SERVER = "dropbear";

export interface NodeSshOptions {
  readonly name: string;
  readonly host: string;
  readonly agent: GuestAgent;
  readonly client: { clientKey: string; authorized: string };
  readonly withinMs: number;
  readonly signal: AbortSignal;
}

export class NodeSsh implements AsyncDisposable {
  readonly #options: NodeSshOptions;
  readonly #hostKeys = makeHostKey();
  #connection: Promise<Ssh> | undefined;

  constructor(options: NodeSshOptions) {
    this.#options = options;
  }

  get hostPublic(): Buffer {
    return this.#hostKeys.hostPublic;
  }

  /** Starts the server and connects, once; later calls have the same connection. */
  connect(): Promise<Ssh> {
    this.#connection ??= this.#open();
    return this.#connection;
  }

  async exec(argv: readonly string[], options?: RemoteOptions): Promise<ExecResult> {
    return (await this.connect()).exec(argv, options);
  }

  /** As `exec`, but a command that fails is a RIG_LAB_EXEC error that quotes what it said. */
  async execOk(argv: readonly string[], options?: RemoteOptions): Promise<ExecResult> {
    return (await this.connect()).execOk(argv, options);
  }

  /** Takes the server and its keys out of the guest again; the next command starts another, with the same keys. */
  async stop(): Promise<void> {
    if (this.#connection === undefined) return;
    const { agent } = this.#options;
    await (await this.#connection)[Symbol.asyncDispose]();
    this.#connection = undefined;
    await agent.kill(9, SERVER);
    for (const file of Object.values(FILES)) await agent.remove(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ssh = await this.#connection?.catch(() => undefined);
    await ssh?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<Ssh> {
    const { name, host, agent, client, withinMs, signal } = this.#options;
    await agent.writeFile(FILES.hostKey, this.#hostKeys.hostKey, 0o600);
    await agent.writeFile(FILES.authorized, Buffer.from(client.authorized), 0o600);
    await agent.spawn([`/usr/sbin/${SERVER}`, "-F", "-s", "-j", "-k", "-r", FILES.hostKey, "-p", "0.0.0.0:22"]);
    const { clientKey } = client;
    return Ssh.connect({ name, host, port: SSH_PORT, clientKey, hostPublic: this.hostPublic }, withinMs, signal);
  }
}
