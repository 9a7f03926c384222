/**
 * One connection to a Network Block Device (fixed newstyle negotiation, simple replies). The account of what was acknowledged is
 * kept on this side of it, so it survives the death of the machine that the device is attached to. Many requests may be in
 * flight; the server answers in any order.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { deadline, orAbort } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import {
  type BlockDevice,
  type BlockSizes,
  type Capabilities,
  NbdDisconnected,
  NbdIoError,
  type WriteOptions,
  type ZeroOptions,
} from "./block-device.ts";
import { ByteQueue, exactReader } from "./byte-queue.ts";
import { type Export, negotiate } from "./nbd-handshake.ts";
import { COMMAND_FLAG, type Command, errnoName, REPLY_BYTES, replyOf, requestHead } from "./nbd-wire.ts";

interface Pending {
  readonly settle: PromiseWithResolvers<Buffer>;
  readonly readBytes: number;
}

const NO_REPLY = "the server sent what is no reply";

export class NbdClient implements BlockDevice {
  readonly sizeBytes: number;
  readonly can: Capabilities;
  readonly blocks: BlockSizes;
  readonly #name: string;
  readonly #socket: Socket;
  readonly #pending = new Map<bigint, Pending>();
  readonly #queue = new ByteQueue();
  /** The reply whose data has not all come yet. */
  #reply: { error: number; cookie: bigint } | undefined;
  readonly #ended = Promise.withResolvers<string>();
  #next = 1n;
  #over: string | undefined;
  #corked = false;

  private constructor(socket: Socket, name: string, { sizeBytes, can, blocks }: Export) {
    this.#socket = socket;
    this.#name = name;
    this.sizeBytes = sizeBytes;
    this.can = can;
    this.blocks = blocks;
    socket.on("data", chunk => this.#take(chunk));
    socket.on("error", error => this.#end(error.message));
    socket.on("close", () => this.#end("the connection was closed"));
  }

  /** Connects to an export. @throws RIG_NBD */
  static async connect(
    host: string,
    port: number,
    name: string,
    withinMs: number,
    signal?: AbortSignal,
  ): Promise<NbdClient> {
    using limit = deadline(withinMs, `the NBD server at ${host}:${port} to answer`, signal);
    const socket = connect({ host, port, noDelay: true });
    // Errors end the connection, which is what everybody waits for; unheard, this event would end the process.
    socket.on("error", () => undefined);
    try {
      await orAbort(once(socket, "connect"), limit);
      const reader = exactReader(socket, limit);
      const found = await negotiate(bytes => void socket.write(bytes), reader.read, name);
      const early = reader.stop();
      const client = new NbdClient(socket, name, found);
      if (early.length > 0) client.#take(early);
      return client;
    } catch (error) {
      socket.destroy();
      signal?.throwIfAborted();
      throw new RigError(
        "RIG_NBD",
        `Expected the export ${name} at ${host}:${port}: ${messageOf(limit.aborted ? limit.reason : error)}`,
        { cause: error },
      );
    }
  }

  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  async read(offset: number, bytes: number): Promise<Buffer> {
    return this.#send("read", offset, bytes, { readBytes: bytes });
  }

  async write(offset: number, data: Buffer, options: WriteOptions = {}): Promise<void> {
    await this.#send("write", offset, data.length, { data, flags: this.#flags(options) });
  }

  async flush(): Promise<void> {
    this.#require(this.can.flush, "flush");
    await this.#send("flush", 0, 0, {});
  }

  async trim(offset: number, bytes: number, options: WriteOptions = {}): Promise<void> {
    this.#require(this.can.trim, "discard");
    await this.#send("trim", offset, bytes, { flags: this.#flags(options) });
  }

  async writeZeroes(offset: number, bytes: number, options: ZeroOptions = {}): Promise<void> {
    this.#require(this.can.writeZeroes, "write zeroes");
    const flags = this.#flags(options) | (options.noHole === true ? COMMAND_FLAG.noHole : 0);
    await this.#send("writeZeroes", offset, bytes, { flags });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over === undefined) {
      this.#socket.write(requestHead("disconnect", 0n, 0, 0, 0));
      this.#socket.end();
    }
    this.#socket.destroy();
    await this.#ended.promise;
  }

  #flags({ fua }: WriteOptions): number {
    if (fua !== true) return 0;
    this.#require(this.can.fua, "write with FUA");
    return COMMAND_FLAG.fua;
  }

  /** What a server did not offer must not be asked of it. */
  #require(can: boolean, what: string): void {
    if (can) return;
    throw new RigError("RIG_NBD", `The server of the export ${this.#name} does not offer to ${what}.`);
  }

  /** A server may do anything with a request that its export has no room for. */
  #requireLegal(command: Command, offset: number, length: number): void {
    const { minimum, maximum } = this.blocks;
    if (command !== "read" && this.can.readOnly)
      throw new RigError("RIG_NBD", `The export ${this.#name} is read-only.`);
    const whole = offset % minimum === 0 && length % minimum === 0;
    // Only commands that carry data are bounded by the largest block.
    const bounded = length <= (command === "read" || command === "write" ? maximum : 0xffffffff);
    if (whole && bounded && length > 0 && offset >= 0 && offset + length <= this.sizeBytes) return;
    throw new RigError(
      "RIG_NBD",
      `The export ${this.#name} has ${this.sizeBytes} bytes in blocks of ${minimum} to ${maximum}; nobody can ${command} ${length} bytes at ${offset}.`,
    );
  }

  #send(
    command: "read" | "write" | "flush" | "trim" | "writeZeroes",
    offset: number,
    length: number,
    { data, flags = 0, readBytes = 0 }: { data?: Buffer; flags?: number; readBytes?: number },
  ): Promise<Buffer> {
    if (this.#over !== undefined) return Promise.reject(new NbdDisconnected(this.#over));
    if (command !== "flush") this.#requireLegal(command, offset, length);
    const cookie = this.#next++;
    const settle = Promise.withResolvers<Buffer>();
    this.#pending.set(cookie, { settle, readBytes });
    this.#cork();
    this.#socket.write(requestHead(command, cookie, offset, length, flags));
    if (data !== undefined) this.#socket.write(data);
    return settle.promise;
  }

  /** What is asked for in one go is sent in one go. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  #take(chunk: Buffer): void {
    this.#queue.push(chunk);
    while (this.#over === undefined) {
      if (this.#reply === undefined) {
        const head = this.#queue.take(REPLY_BYTES);
        if (head === undefined) return;
        this.#reply = replyOf(head);
      }
      const pending = this.#pending.get(this.#reply?.cookie ?? 0n);
      if (this.#reply === undefined || pending === undefined) {
        this.#end(NO_REPLY);
        this.#socket.destroy();
        return;
      }
      const { error, cookie } = this.#reply;
      const data = this.#queue.take(error === 0 ? pending.readBytes : 0);
      if (data === undefined) return;
      this.#reply = undefined;
      this.#pending.delete(cookie);
      if (error === 0) pending.settle.resolve(data);
      else pending.settle.reject(new NbdIoError(errnoName(error)));
    }
  }

  #end(reason: string): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    for (const pending of this.#pending.values()) pending.settle.reject(new NbdDisconnected(reason));
    this.#pending.clear();
    this.#ended.resolve(reason);
  }
}
