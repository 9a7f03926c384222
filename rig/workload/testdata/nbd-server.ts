/**
 * An NBD server in this process, with a disk in memory that keeps or breaks its promises as a test says: it may answer in
 * another order, byte by byte, with errors or with nonsense, and it may acknowledge a write and do something else with it.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

export interface NbdRequest {
  readonly command: (typeof COMMANDS)[number] | "unknown";
  readonly flags: number;
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
  readonly data: Buffer;
}

/** What to do with a request. The default answers at once and keeps every promise. */
export type Behaviour = (request: NbdRequest, server: FakeNbd, socket: Socket) => void;

export interface FakeNbdOptions {
  readonly sizeBytes?: number;
  readonly behaviour?: Behaviour;
  /** The transmission flags that are told; the default offers flush, FUA, trim, write zeroes and several connections. */
  readonly flags?: number;
  /** Takes the place of the negotiation. */
  readonly greet?: (socket: Socket) => void;
  /** How what is sent is cut up; the default sends it whole. */
  readonly pieces?: (bytes: Buffer) => readonly Buffer[];
}

const COMMANDS = ["read", "write", "disconnect", "flush", "trim", "cache", "zeroes"] as const;

export const bytesOf = (
  ...parts: readonly (readonly [bits: 16 | 32 | 64, value: number | bigint] | Buffer)[]
): Buffer =>
  Buffer.concat(
    parts.map(part => {
      if (Buffer.isBuffer(part)) return part;
      const [bits, value] = part;
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(BigInt(value));
      return bytes.subarray(8 - bits / 8);
    }),
  );

export const OPTION_REPLY = 0x0003e889045565a9n;
/** A reply to an option: 1 is an acknowledgement, 3 a piece of information. */
export const optionReply = (type: number, data: Buffer = Buffer.alloc(0)): Buffer =>
  bytesOf([64, OPTION_REPLY], [32, 7], [32, type], [32, data.length], data);

export const HELLO = bytesOf(Buffer.from("NBDMAGICIHAVEOPT"), [16, 3]);
export const ALL_FLAGS = 0x16d;
export const sizeInfo = (size: number | bigint, flags = ALL_FLAGS): Buffer =>
  optionReply(3, bytesOf([16, 0], [64, size], [16, flags]));
/** The block sizes that an export has. */
export const blockInfo = (minimum: number, preferred: number, maximum: number): Buffer =>
  optionReply(3, bytesOf([16, 3], [32, minimum], [32, preferred], [32, maximum]));

/** A generator that is given bytes as they come and asks for the next amount. */
type Reader = Generator<number, void, Buffer>;

export class FakeNbd implements AsyncDisposable {
  readonly disk: Buffer;
  readonly requests: NbdRequest[] = [];
  exportName = "";
  port = 0;
  readonly #options: FakeNbdOptions;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer(socket => this.#accept(socket));

  constructor(options: FakeNbdOptions = {}) {
    this.#options = options;
    this.disk = Buffer.alloc(options.sizeBytes ?? 1 << 20);
  }

  static async start(options: FakeNbdOptions = {}): Promise<FakeNbd> {
    const fake = new FakeNbd(options);
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    fake.port = (fake.#server.address() as AddressInfo).port;
    return fake;
  }

  /** Ends every connection, with whatever is under way. */
  die(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.die();
    this.#server.close();
    return Promise.resolve();
  }

  /** Does what the request asks for. */
  perform({ command, offset, length, data }: NbdRequest): void {
    if (command === "write") data.copy(this.disk, offset);
    if (command === "trim" || command === "zeroes") this.disk.fill(0, offset, offset + length);
  }

  /** Answers it, with data where it is a read that went well. */
  reply(socket: Socket, { command, cookie, offset, length }: NbdRequest, error = 0): void {
    const data =
      command === "read" && error === 0 ? Buffer.from(this.disk.subarray(offset, offset + length)) : Buffer.alloc(0);
    this.send(socket, bytesOf([32, 0x67446698], [32, error], [64, cookie], data));
  }

  send(socket: Socket, bytes: Buffer): void {
    if (socket.destroyed) return;
    for (const piece of this.#options.pieces?.(bytes) ?? [bytes]) socket.write(piece);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    if (this.#options.greet !== undefined) {
      this.#options.greet(socket);
      return;
    }
    this.send(socket, HELLO);
    const reader = this.#converse(socket);
    let wanted = reader.next().value;
    let rest = Buffer.alloc(0);
    socket.on("data", chunk => {
      rest = Buffer.concat([rest, chunk]);
      while (typeof wanted === "number" && rest.length >= wanted) {
        const taken = rest.subarray(0, wanted);
        rest = rest.subarray(wanted);
        wanted = reader.next(taken).value;
      }
    });
  }

  *#converse(socket: Socket): Reader {
    yield 4;
    const option = yield 16;
    const asked = yield option.readUInt32BE(12);
    this.exportName = asked.toString("latin1", 4, 4 + asked.readUInt32BE(0));
    this.send(socket, Buffer.concat([sizeInfo(this.disk.length, this.#options.flags), optionReply(1)]));
    for (;;) {
      const head = yield 28;
      const command = COMMANDS[head.readUInt16BE(6)] ?? "unknown";
      const length = head.readUInt32BE(24);
      const request: NbdRequest = {
        command,
        flags: head.readUInt16BE(4),
        cookie: head.readBigUInt64BE(8),
        offset: Number(head.readBigUInt64BE(16)),
        length,
        data: command === "write" ? Buffer.from(yield length) : Buffer.alloc(0),
      };
      this.requests.push(request);
      if (command === "disconnect") socket.end();
      else (this.#options.behaviour ?? honest)(request, this, socket);
    }
  }
}

/** Does what was asked, then says so. */
export const honest: Behaviour = (request, server, socket) => {
  server.perform(request);
  server.reply(socket, request);
};
