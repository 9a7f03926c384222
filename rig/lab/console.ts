/**
 * A node's serial console. QEMU connects to the rig's socket before the guest's first instruction, so no line is missed;
 * every line gets the host's time as it arrives. (QEMU also writes the raw stream to console.raw, whatever becomes of the rig.)
 */
import { EventEmitter, on, once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { deadline, monotonicNs } from "../core/clock.ts";
import { CONSOLE_FULL } from "../core/names.ts";
import { cleanLine } from "../core/untrusted.ts";

export type OnConsoleLine = (line: string, at: bigint) => void;

/** Characters of one line; a guest that never ends its line must not fill the rig's memory. */
const MAX_LINE = 4096;
/** Lines that are told; a guest that prints noise without end must not fill the history. A boot and a crash have some thousand. */
const MAX_TOLD = 200_000;

export class Console implements AsyncDisposable {
  readonly #server: Server;
  readonly #file: WriteStream;
  readonly #lines = new EventEmitter();
  readonly #started = monotonicNs();
  readonly #onLine: OnConsoleLine;
  readonly #sockets = new Set<Socket>();
  readonly #seen: string[] = [];
  #rest = "";
  #told = 0;

  private constructor(server: Server, file: string, onLine: OnConsoleLine) {
    this.#server = server;
    this.#onLine = onLine;
    this.#lines.setMaxListeners(0);
    this.#file = createWriteStream(file, { flags: "a" });
    // A full disk must not end the run by way of the log; the lines are in the history too.
    this.#file.on("error", () => undefined);
    server.on("connection", socket => {
      this.#sockets.add(socket);
      socket.on("data", chunk => this.#take(chunk.toString("latin1")));
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** Listens at `socketPath`; lines go to the end of `file`, each with seconds since now, and to `onLine`, but for empty ones. */
  static async listen(socketPath: string, file: string, onLine: OnConsoleLine): Promise<Console> {
    const server = createServer();
    const console = new Console(server, file, onLine);
    server.listen(socketPath);
    await once(server, "listening");
    return console;
  }

  /** The last lines, newest last. */
  tail(count: number): readonly string[] {
    return this.#seen.slice(-count);
  }

  /** Resolves with the first line, past or future, that matches. */
  async waitFor(pattern: RegExp, withinMs: number, expected: string, signal?: AbortSignal): Promise<string> {
    const before = this.#seen.find(line => pattern.test(line));
    if (before !== undefined) return before;
    using limit = deadline(withinMs, expected, signal);
    try {
      for await (const [line] of on(this.#lines, "line", { signal: limit }) as AsyncIterable<[string]>) {
        if (pattern.test(line)) return line;
      }
    } catch (error) {
      throw limit.aborted ? limit.reason : error;
    }
    throw new Error("the console ended");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    if (this.#rest !== "") this.#line(this.#rest);
    this.#rest = "";
    this.#file.end();
    if (!this.#file.closed && !this.#file.errored) await once(this.#file, "close").catch(() => undefined);
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, MAX_LINE);
    for (const line of lines) this.#line(line);
  }

  #line(raw: string): void {
    const at = monotonicNs();
    const line = cleanLine(raw, 1000);
    this.#seen.push(line);
    if (this.#seen.length > 5000) this.#seen.splice(0, 1000);
    this.#file.write(`${(Number(at - this.#started) / 1e9).toFixed(3).padStart(9)} ${line}\n`);
    // What is empty tells nobody anything.
    if (line !== "" && this.#told <= MAX_TOLD) this.#onLine(this.#told++ < MAX_TOLD ? line : CONSOLE_FULL, at);
    this.#lines.emit("line", line);
  }
}
