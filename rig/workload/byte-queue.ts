/**
 * Bytes as a socket brings them, handed out in the amounts that a protocol asks for. TCP keeps the order of bytes and nothing
 * else: a message may come in ten pieces, and ten messages in one.
 */
import type { Socket } from "node:net";
import { orAbort } from "../core/clock.ts";

export class ByteQueue {
  #chunks: Buffer[] = [];
  #size = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  get size(): number {
    return this.#size;
  }

  /** The next so many bytes, or undefined while there are fewer. */
  take(bytes: number): Buffer | undefined {
    if (this.#size < bytes) return undefined;
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    this.#chunks = all.length === bytes ? [] : [all.subarray(bytes)];
    this.#size -= bytes;
    return all.subarray(0, bytes);
  }
}

export type ReadExactly = (bytes: number) => Promise<Buffer>;

/** Reads a socket by amounts, until `stop` gives back what came beyond them. */
export const exactReader = (socket: Socket, signal: AbortSignal): { read: ReadExactly; stop: () => Buffer } => {
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
