/**
 * The QEMU Machine Protocol, as much as the rig uses: one command at a time, answers matched by id, and events
 * (docs/interop/qmp-spec). It carries power, pause and link state; it answers even when the guest does not.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { deadline, orAbort, poll } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";

export interface QmpEvent {
  readonly event: string;
  readonly data?: unknown;
}

type Waiting = PromiseWithResolvers<unknown>;

export class Qmp implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEvent: (event: QmpEvent) => void;
  #next = 1;
  #ended: Error | undefined;

  private constructor(socket: Socket, onEvent: (event: QmpEvent) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    const lines = createInterface({ input: socket });
    lines.on("line", line => this.#take(line));
    // An interface passes its input's errors on; the socket's own handler below has them.
    lines.on("error", () => undefined);
    socket.on("error", error => this.#end(error));
    socket.on("close", () => this.#end(new Error("QEMU closed the connection")));
  }

  /** Connects once QEMU listens, and takes the session out of its capabilities mode. */
  static async connect(
    path: string,
    onEvent: (event: QmpEvent) => void,
    withinMs: number,
    signal?: AbortSignal,
  ): Promise<Qmp> {
    const socket = await poll(
      async () => {
        const candidate = connect(path);
        try {
          await once(candidate, "connect");
          return candidate;
        } catch {
          candidate.destroy();
          return undefined;
        }
      },
      { everyMs: 20, withinMs, expected: `QEMU to listen at ${path}`, signal },
    );
    const qmp = new Qmp(socket, onEvent);
    try {
      await qmp.execute("qmp_capabilities");
      return qmp;
    } catch (error) {
      await qmp[Symbol.asyncDispose]();
      throw error;
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
    if (typeof message.event === "string") this.#onEvent({ event: message.event, data: message.data });
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
    if (waiting === undefined) return;
    if (message.error === undefined) waiting.resolve(message.return);
    else waiting.reject(new Error(message.error.desc ?? "no reason given"));
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
  }
}
