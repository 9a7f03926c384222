/**
 * A client of the Network Block Device protocol (NetworkBlockDevice/nbd, doc/proto.md: fixed newstyle negotiation and simple
 * replies). The account of what was acknowledged is kept on this side of it, so it survives the death of the machine that
 * the device is attached to. Many requests may be in flight; the server answers in any order.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { deadline, orAbort } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";

const NBD_MAGIC = 0x4e42444d41474943n;
const OPTION_MAGIC = 0x49484156454f5054n;
const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const OPT_GO = 7;
const REP_ACK = 1;
const REP_INFO = 3;
const FLAG_FUA = 1;

const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;

/** Linux error numbers that NBD carries. */
const ERRNO: Readonly<Record<number, string>> = {
  1: "EPERM",
  5: "EIO",
  12: "ENOMEM",
  22: "EINVAL",
  28: "ENOSPC",
  75: "EOVERFLOW",
  95: "ENOTSUP",
  108: "ESHUTDOWN",
};

/** An answer that says no: the operation failed with this error. */
export class NbdIoError extends Error {
  override readonly name = "NbdIoError";
}

/** The connection ended before an answer came: nobody knows whether the operation took effect. */
export class NbdDisconnected extends Error {
  override readonly name = "NbdDisconnected";
}

interface Pending {
  readonly settle: PromiseWithResolvers<Buffer>;
  readonly readBytes: number;
}

/** Bytes as they come, handed out in the amounts asked for. */
class ByteQueue {
  #chunks: Buffer[] = [];
  #size = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  get size(): number {
    return this.#size;
  }

  take(bytes: number): Buffer | undefined {
    if (this.#size < bytes) return undefined;
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    this.#chunks = all.length === bytes ? [] : [all.subarray(bytes)];
    this.#size -= bytes;
    return all.subarray(0, bytes);
  }
}

type ReadExactly = (bytes: number) => Promise<Buffer>;

/** Reads by amounts, until `stop` gives back what came beyond them. */
const exactReader = (socket: Socket, signal: AbortSignal): { read: ReadExactly; stop: () => Buffer } => {
  const queue = new ByteQueue();
  let wake = Promise.withResolvers<undefined>();
  let closed = false;
  const onData = (chunk: Buffer) => {
    queue.push(chunk);
    wake.resolve(undefined);
  };
  const onClose = () => {
    closed = true;
    wake.resolve(undefined);
  };
  socket.on("data", onData);
  socket.on("close", onClose);
  return {
    read: async bytes => {
      for (;;) {
        const taken = queue.take(bytes);
        if (taken !== undefined) return taken;
        if (closed) throw new Error("the server closed the connection");
        wake = Promise.withResolvers();
        await orAbort(wake.promise, signal);
      }
    },
    stop: () => {
      socket.off("data", onData);
      socket.off("close", onClose);
      return queue.take(queue.size) ?? Buffer.alloc(0);
    },
  };
};

const negotiate = async (socket: Socket, read: ReadExactly, name: string): Promise<number> => {
  const hello = await read(18);
  if (hello.readBigUInt64BE(0) !== NBD_MAGIC || hello.readBigUInt64BE(8) !== OPTION_MAGIC)
    throw new Error("what answers is no NBD server");
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(3);
  const option = Buffer.alloc(16 + 4 + name.length + 2);
  option.writeBigUInt64BE(OPTION_MAGIC, 0);
  option.writeUInt32BE(OPT_GO, 8);
  option.writeUInt32BE(4 + name.length + 2, 12);
  option.writeUInt32BE(name.length, 16);
  option.write(name, 20, "latin1");
  socket.write(Buffer.concat([flags, option]));
  let size: number | undefined;
  for (;;) {
    const head = await read(20);
    if (head.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC) throw new Error("the server broke the negotiation");
    const type = head.readUInt32BE(12);
    const length = head.readUInt32BE(16);
    if (length > 65_536) throw new Error("the server sent an option reply of absurd length");
    const data = length === 0 ? Buffer.alloc(0) : await read(length);
    if (type === REP_INFO && data.length >= 12 && data.readUInt16BE(0) === 0) size = Number(data.readBigUInt64BE(2));
    else if (type === REP_ACK) break;
    else if (type >= 0x80000000)
      throw new Error(
        `the server refused the export ${name} (${type - 0x80000000}): ${data.toString("latin1").slice(0, 200)}`,
      );
  }
  if (size === undefined) throw new Error("the server did not tell the size of the export");
  return size;
};

export class NbdClient implements AsyncDisposable {
  /** Size of the device in bytes. */
  readonly sizeBytes: number;
  readonly #socket: Socket;
  readonly #pending = new Map<bigint, Pending>();
  readonly #queue = new ByteQueue();
  /** The head of a reply whose data has not all come yet. */
  #head: Buffer | undefined;
  readonly #ended = Promise.withResolvers<string>();
  #next = 1n;
  #over: string | undefined;

  private constructor(socket: Socket, sizeBytes: number) {
    this.#socket = socket;
    this.sizeBytes = sizeBytes;
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
      const size = await negotiate(socket, reader.read, name);
      const early = reader.stop();
      const client = new NbdClient(socket, size);
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

  /** Resolves, with the reason, when the connection has ended. */
  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  /** Writes; resolves when acknowledged. Rejects with NbdIoError or NbdDisconnected. */
  async write(offset: number, data: Buffer, fua = false): Promise<void> {
    await this.#send("write", offset, data.length, 0, data, fua ? FLAG_FUA : 0);
  }

  read(offset: number, bytes: number): Promise<Buffer> {
    return this.#send("read", offset, bytes, bytes);
  }

  async flush(): Promise<void> {
    await this.#send("flush", 0, 0, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over === undefined) {
      this.#socket.write(this.#request("disconnect", 0n, 0, 0, 0));
      this.#socket.end();
    }
    this.#socket.destroy();
    await this.#ended.promise;
  }

  #request(command: keyof typeof COMMAND, cookie: bigint, offset: number, length: number, flags: number): Buffer {
    const head = Buffer.alloc(28);
    head.writeUInt32BE(REQUEST_MAGIC, 0);
    head.writeUInt16BE(flags, 4);
    head.writeUInt16BE(COMMAND[command], 6);
    head.writeBigUInt64BE(cookie, 8);
    head.writeBigUInt64BE(BigInt(offset), 16);
    head.writeUInt32BE(length, 24);
    return head;
  }

  #send(
    command: "read" | "write" | "flush",
    offset: number,
    length: number,
    readBytes: number,
    data?: Buffer,
    flags = 0,
  ): Promise<Buffer> {
    if (this.#over !== undefined) return Promise.reject(new NbdDisconnected(this.#over));
    const cookie = this.#next++;
    const settle = Promise.withResolvers<Buffer>();
    this.#pending.set(cookie, { settle, readBytes });
    this.#socket.cork();
    this.#socket.write(this.#request(command, cookie, offset, length, flags));
    if (data !== undefined) this.#socket.write(data);
    process.nextTick(() => this.#socket.uncork());
    return settle.promise;
  }

  #take(chunk: Buffer): void {
    this.#queue.push(chunk);
    for (;;) {
      this.#head ??= this.#queue.take(16);
      const head = this.#head;
      if (head === undefined) return;
      const pending = this.#pending.get(head.readBigUInt64BE(8));
      if (head.readUInt32BE(0) !== REPLY_MAGIC || pending === undefined) {
        this.#socket.destroy(new Error("the server sent what is no reply"));
        return;
      }
      const error = head.readUInt32BE(4);
      if (error !== 0) {
        this.#head = undefined;
        this.#pending.delete(head.readBigUInt64BE(8));
        pending.settle.reject(new NbdIoError(ERRNO[error] ?? `error ${error}`));
        continue;
      }
      const data = this.#queue.take(pending.readBytes);
      if (data === undefined) return;
      this.#head = undefined;
      this.#pending.delete(head.readBigUInt64BE(8));
      pending.settle.resolve(data);
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
