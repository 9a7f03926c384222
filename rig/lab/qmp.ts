/**
 * The QEMU Machine Protocol, as much as the rig uses: one command at a time, answers matched by id, and events
 * (docs/interop/qmp-spec). It carries power, pause, link state and snapshots; it answers even when the guest does not.
 * QEMU connects to the rig, not the rig to QEMU: so nobody has to ask whether it listens yet.
 */
import { EventEmitter, once } from "node:events";
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { deadline, orAbort } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";

export interface QmpEvent {
  readonly event: string;
  readonly data?: unknown;
}

type Waiting = PromiseWithResolvers<unknown>;

/** Waits for QEMU to connect. */
export interface QmpListener extends AsyncDisposable {
  /** The session, once QEMU has connected, out of its capabilities mode. */
  connected(withinMs: number, signal?: AbortSignal): Promise<Qmp>;
}

export class Qmp implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #events = new EventEmitter();
  #next = 1;
  #ended: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#events.setMaxListeners(0);
    const lines = createInterface({ input: socket });
    lines.on("line", line => this.#take(line));
    // An interface passes its input's errors on; the socket's own handler below has them.
    lines.on("error", () => undefined);
    socket.on("error", error => this.#end(error));
    socket.on("close", () => this.#end(new Error("QEMU closed the connection")));
  }

  /** Listens at `path` for one QEMU. */
  static async listen(path: string): Promise<QmpListener> {
    const first = Promise.withResolvers<Socket>();
    const server = createServer(socket => {
      server.close();
      first.resolve(socket);
    });
    server.listen(path);
    await once(server, "listening");
    return {
      connected: async (withinMs, signal) => {
        using limit = deadline(withinMs, `QEMU to connect to ${path}`, signal);
        const qmp = new Qmp(await orAbort(first.promise, limit));
        try {
          await qmp.execute("qmp_capabilities");
          return qmp;
        } catch (error) {
          await qmp[Symbol.asyncDispose]();
          throw error;
        }
      },
      [Symbol.asyncDispose]: () => {
        server.close();
        return Promise.resolve();
      },
    };
  }

  /** Resolves with the first event from now on that `wanted` takes. */
  async event(wanted: (event: QmpEvent) => boolean, withinMs: number, expected: string): Promise<QmpEvent> {
    if (this.#ended !== undefined)
      throw new RigError("RIG_QMP", `QEMU is gone (${this.#ended.message}); waited for ${expected}.`);
    using limit = deadline(withinMs, expected);
    const seen = Promise.withResolvers<QmpEvent>();
    const look = (event: QmpEvent) => {
      if (wanted(event)) seen.resolve(event);
    };
    const lost = (error: Error) => seen.reject(new RigError("RIG_QMP", `${error.message}; waited for ${expected}.`));
    this.#events.on("event", look).on("end", lost);
    try {
      return await orAbort(seen.promise, limit);
    } finally {
      this.#events.off("event", look).off("end", lost);
    }
  }

  /** Runs a command; rejects with RIG_QMP if QEMU refuses it or does not answer in time. */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}, withinMs = 10_000): Promise<unknown> {
    if (this.#ended !== undefined)
      throw new RigError("RIG_QMP", `QEMU is gone (${this.#ended.message}); ${command} was not sent.`);
    const id = this.#next++;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      using limit = deadline(withinMs, `QEMU to answer ${command}`);
      return await orAbort(waiting.promise, limit);
    } catch (error) {
      throw error instanceof RigError
        ? error
        : new RigError("RIG_QMP", `QEMU refused ${command}: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#waiting.delete(id);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    return Promise.resolve();
  }

  #take(line: string): void {
    let message: { id?: number; return?: unknown; error?: { desc?: string }; event?: string; data?: unknown } | null;
    try {
      message = JSON.parse(line) as typeof message;
    } catch {
      return;
    }
    if (message === null) return;
    if (typeof message.event === "string") this.#events.emit("event", { event: message.event, data: message.data });
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
    if (waiting === undefined) return;
    if (message.error === undefined) waiting.resolve(message.return);
    else waiting.reject(new Error(message.error.desc ?? "no reason given"));
  }

  #end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#events.emit("end", error);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
  }
}
