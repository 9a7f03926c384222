/**
 * A lock between processes of one machine. It is an abstract UNIX socket that the holder listens on: the kernel gives it up
 * when the holder dies, however it dies, so there are no stale locks; and a waiter connects to it and is told of the
 * release by the connection's end instead of asking again and again.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { orAbort, sleep } from "./clock.ts";

const tryListen = async (name: string): Promise<{ server: Server; sockets: Set<Socket> } | undefined> => {
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(name);
  try {
    await once(server, "listening");
    return { server, sockets };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return undefined;
    throw error;
  }
};

const awaitRelease = async (name: string, signal: AbortSignal | undefined): Promise<void> => {
  const socket = connect(name);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  socket.on("error", () => resolve(undefined));
  socket.on("close", () => resolve(undefined));
  try {
    await (signal === undefined ? promise : orAbort(promise, signal));
  } finally {
    // Also when the wait was given up: an open connection would keep the process from ending.
    socket.destroy();
  }
};

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once if somebody else holds the lock. */
  readonly onWait?: () => void;
}

/** Takes the lock called `key`, waiting for its holder if there is one. Dispose to release. */
export const acquireLock = async (key: string, options: LockOptions = {}): Promise<AsyncDisposable> => {
  const name = `\0iscsi-rig/${createHash("sha256").update(key).digest("hex").slice(0, 40)}`;
  for (let waited = false; ; waited = true) {
    options.signal?.throwIfAborted();
    const held = await tryListen(name);
    if (held !== undefined) {
      held.server.unref();
      return {
        [Symbol.asyncDispose]: async () => {
          for (const socket of held.sockets) socket.destroy();
          held.server.close();
          await once(held.server, "close");
        },
      };
    }
    if (!waited) options.onWait?.();
    await awaitRelease(name, options.signal);
    // Others who waited race for it now; a short pause keeps a refused connection from becoming a busy loop.
    await sleep(10, options.signal);
  }
};
