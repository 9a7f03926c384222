/**
 * The rig's end of the agent that runs in every guest (containers/guest/agent.c tells the protocol). It is reached by a
 * virtio-serial port, which QEMU connects to the rig's socket: no network and no handshake, so a guest restored from a
 * snapshot answers at once, also while a fault has its networks down. Commands may be on their way together; answers are
 * matched by number. What comes from a guest is not trusted: lines are bounded, and what answers nothing is ignored.
 */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { deadline, orAbort, poll, sleep, wallClock } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { cleanLine } from "../core/untrusted.ts";

export interface AgentCallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

interface Call {
  /** Called as the answer's line is taken, before the next line is. */
  readonly answered: (text: string) => void;
  readonly failed: (error: Error) => void;
  readonly what: string;
}

interface Watching {
  readonly onLine: (line: string) => void;
  readonly ready: PromiseWithResolvers<undefined>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const HELLO_EVERY_MS = 50;
/** Requests for a file's next bytes that are on their way together. */
const TAKES = 8;
const PROTOCOL = "1";
/** Bytes of a line, either way. */
const MAX_LINE = 65_536;
/** Characters of what a guest said that go further. */
const MAX_TEXT = 1000;

const PLAIN = /[^A-Za-z0-9._/:=,+-]/g;

/** An argument as the agent takes it: what is not plain is %XX, byte by byte, and an empty one is `%`. */
export const encodeArgument = (argument: string): string =>
  argument === ""
    ? "%"
    : Buffer.from(argument)
        .toString("latin1")
        .replace(PLAIN, char => `%${char.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`);

/** The reverse, for text of a guest: nothing that it can say makes this throw. */
export const decodeArgument = (text: string): string =>
  text === "%"
    ? ""
    : Buffer.from(
        text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
        "latin1",
      ).toString();

export class GuestAgent implements AsyncDisposable {
  readonly #server: Server;
  readonly #name: string;
  readonly #calls = new Map<string, Call>();
  #socket: Socket | undefined;
  #lost: RigError | undefined;
  #watching: Watching | undefined;
  /** Not from 1: a restored guest may still answer what was asked before its snapshot was made. */
  #next = randomInt(1, 2 ** 40);
  #rest = "";
  #skipping = false;

  private constructor(server: Server, name: string) {
    this.#server = server;
    this.#name = name;
    server.on("connection", socket => this.#connected(socket));
  }

  /** Listens at `socketPath`; to be called before QEMU starts. `name` is the guest in messages, such as "the initiator". */
  static async listen(socketPath: string, name: string): Promise<GuestAgent> {
    const server = createServer();
    const agent = new GuestAgent(server, name);
    server.listen(socketPath);
    await once(server, "listening");
    return agent;
  }

  /**
   * Asks until it answers, and returns the kernel's `uname -v`. What is said before the guest opened its port may be lost,
   * so this asks again and again, each time by another number; whichever is answered will do.
   */
  async hello(withinMs: number, signal?: AbortSignal): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    promise.catch(() => undefined);
    const ids: string[] = [];
    const ask = (limit: AbortSignal) => {
      if (this.#socket !== undefined || this.#lost !== undefined)
        ids.push(this.#send("hello", [], { answered: resolve, failed: reject, what: "say hello" }));
      return Promise.race([promise, sleep(HELLO_EVERY_MS, limit).then(() => undefined)]);
    };
    try {
      const answer = await poll(ask, { everyMs: 0, withinMs, expected: `${this.#name}'s agent to answer`, signal });
      const [, protocol, version] = /^(\S+) (\S+)$/.exec(answer) ?? [];
      if (protocol !== PROTOCOL || version === undefined)
        throw new RigError(
          "RIG_LAB_AGENT",
          `Expected ${this.#name}'s agent to speak version ${PROTOCOL}, got "${cleanLine(answer, 100)}". Its snapshot is of another rig.`,
        );
      return cleanLine(decodeArgument(version), MAX_TEXT);
    } finally {
      for (const id of ids) this.#calls.delete(id);
    }
  }

  /**
   * Has the agent do something, and returns what it says of it. Bytes go as hexadecimal digits. Rejects with RIG_LAB_AGENT
   * if it could not or is lost, with RIG_DEADLINE if it says nothing.
   */
  call(verb: string, args: readonly (string | Buffer)[], options: AgentCallOptions = {}): Promise<string> {
    return this.#call(verb, args, options, () => undefined);
  }

  async setClock(now: Date = wallClock()): Promise<void> {
    const ms = now.getTime();
    await this.call("clock", [String(Math.floor(ms / 1000)), String((ms % 1000) * 1_000_000)]);
  }

  async addEntropy(bytes: Buffer): Promise<void> {
    await this.call("entropy", [bytes]);
  }

  /** Makes or replaces a file, and makes the directories above it. No more than 32 KiB: it goes in one line. */
  async writeFile(path: string, data: Buffer, mode: number): Promise<void> {
    await this.call("write", [mode.toString(8), path, data]);
  }

  /** Removes a file, if it is there. */
  async remove(path: string): Promise<void> {
    await this.call("remove", [path]);
  }

  /** Starts a program that nobody waits for, and returns its pid. */
  async spawn(argv: readonly string[]): Promise<number> {
    return Number(await this.#ask("spawn", argv, /^\d{1,10}$/));
  }

  /** Sends a signal to every process of that name, and returns how many there were. After SIGKILL they are gone. */
  async kill(signal: number, comm: string): Promise<number> {
    return Number(await this.#ask("kill", [String(signal), comm], /^\d{1,10}$/));
  }

  /** Of the guest's own random numbers, 256 bytes at most. */
  async random(bytes: number): Promise<Buffer> {
    return Buffer.from(await this.#ask("random", [String(bytes)], new RegExp(`^[0-9a-f]{${2 * bytes}}$`)), "hex");
  }

  /**
   * Starts the watch, or starts it again with nothing reported yet; resolves when the guest has looked once. `dmNames` are the
   * device-mapper devices that it looks at, without commas in their names.
   */
  async watch(
    intervalMs: number,
    dmNames: readonly string[],
    onLine: (line: string) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const watching: Watching = { onLine, ready: Promise.withResolvers() };
    watching.ready.promise.catch(() => undefined);
    this.#watching = undefined;
    using limit = deadline(DEFAULT_TIMEOUT_MS, `${this.#name}'s agent to look once`, signal);
    try {
      // The answer parts the lines of this watch from those of the one before.
      await this.#call("watch", [String(intervalMs), dmNames.join(",")], { signal: limit }, () => {
        this.#watching = watching;
      });
      await orAbort(watching.ready.promise, limit);
    } catch (error) {
      this.#watching = undefined;
      throw error;
    }
  }

  async unwatch(): Promise<void> {
    this.#watching = undefined;
    await this.call("unwatch", []);
  }

  /** The guest's monotonic clock, in nanoseconds. It stands still while the guest is saved. */
  async now(): Promise<bigint> {
    return BigInt(await this.#ask("time", [], /^\d{1,18}$/));
  }

  /** Writes to a file that is there, in one piece, as the kernel's own files want it; empties it if `text` is empty. */
  async put(path: string, text: string, options: AgentCallOptions = {}): Promise<void> {
    await this.call("put", [path, Buffer.from(text)], options);
  }

  /** A file's bytes to its end, `maxBytes` of them at most. Several requests are on their way together. */
  async take(path: string, maxBytes: number, options: AgentCallOptions = {}): Promise<Buffer> {
    const parts: Buffer[] = [];
    let bytes = 0;
    let asked = [this.call("take", [path], options)];
    for (let ended = false; !ended; ) {
      for (const answer of await Promise.all(asked)) {
        const part = Buffer.from(answer, "base64");
        if (part.length === 0 || bytes >= maxBytes) ended = true;
        else parts.push(part);
        bytes += part.length;
      }
      if (!ended) asked = Array.from({ length: TAKES }, () => this.call("more", [], options));
    }
    return Buffer.concat(parts).subarray(0, maxBytes);
  }

  /** The paths that are there of these patterns (glob(3)), in no order. */
  async list(patterns: readonly string[], options: AgentCallOptions = {}): Promise<readonly string[]> {
    const answer = await this.call("list", patterns, options);
    return answer
      .split(" ")
      .filter(word => word !== "")
      .map(word => cleanLine(decodeArgument(word), MAX_TEXT));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.destroy();
    this.#server.close();
    this.#lose();
    return Promise.resolve();
  }

  async #ask(verb: string, args: readonly string[], expected: RegExp): Promise<string> {
    const text = await this.call(verb, args);
    if (expected.test(text)) return text;
    const said = `${this.#name}'s agent answered ${verb} with "${cleanLine(text, 200)}", which makes no sense.`;
    throw new RigError("RIG_LAB_AGENT", `The rig and its guest do not agree: ${said}`);
  }

  async #call(
    verb: string,
    args: readonly (string | Buffer)[],
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: AgentCallOptions,
    onAnswer: () => void,
  ): Promise<string> {
    using limit = deadline(timeoutMs, `${this.#name}'s agent to answer ${verb}`, signal);
    limit.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const answered = (text: string) => {
      onAnswer();
      resolve(text);
    };
    const what = cleanLine([verb, ...args.filter(arg => typeof arg === "string")].join(" "), 200);
    const id = this.#send(verb, args, { answered, failed: reject, what });
    try {
      return await orAbort(promise, limit);
    } finally {
      this.#calls.delete(id);
    }
  }

  #send(verb: string, args: readonly (string | Buffer)[], call: Call): string {
    const id = String(this.#next++);
    const words = args.map(arg => encodeArgument(typeof arg === "string" ? arg : arg.toString("hex")));
    const line = [id, verb, ...words].join(" ");
    if (this.#socket === undefined) {
      const notYet = `QEMU has not connected ${this.#name}'s agent yet.`;
      call.failed(this.#lost ?? new RigError("RIG_LAB_AGENT", notYet));
    } else if (line.length > MAX_LINE) {
      const tooLong = `Expected ${verb} and its arguments to fit into ${MAX_LINE} bytes, got ${line.length}.`;
      call.failed(new RigError("RIG_LAB_AGENT", tooLong));
    } else {
      this.#calls.set(id, call);
      this.#socket.write(`${line}\n`);
    }
    return id;
  }

  #connected(socket: Socket): void {
    // QEMU connects once; who comes after it is not the guest.
    if (this.#socket !== undefined || this.#lost !== undefined) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    socket.on("data", chunk => this.#take(chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => this.#lose());
    // A restored guest may hold half a line of whoever talked to it before the snapshot: this ends it.
    socket.write("\n");
  }

  #lose(): void {
    this.#lost ??= new RigError(
      "RIG_LAB_AGENT",
      `The connection to ${this.#name}'s agent was lost; its console tells whether the node died.`,
    );
    this.#socket = undefined;
    for (const { failed } of this.#calls.values()) failed(this.#lost);
    this.#calls.clear();
    this.#watching?.ready.reject(this.#lost);
    this.#watching = undefined;
  }

  #take(text: string): void {
    const lines = text.split("\n");
    const rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!this.#skipping) this.#line(this.#rest + line);
      this.#skipping = false;
      this.#rest = "";
    }
    // What is longer than any line of the agent is dropped whole: half of it would mean something else.
    this.#skipping ||= this.#rest.length + rest.length > MAX_LINE;
    this.#rest = this.#skipping ? "" : this.#rest + rest;
  }

  #line(line: string): void {
    if (line.startsWith("! ")) {
      if (line === "! ready") this.#watching?.ready.resolve(undefined);
      else this.#watching?.onLine(cleanLine(line.slice(2), MAX_TEXT));
      return;
    }
    const [, id = "", result, text = ""] = /^(\d{1,18}) (ok|fail)(?: (.*))?$/.exec(line) ?? [];
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#calls.delete(id);
    const said = cleanLine(text, MAX_TEXT);
    if (result === "ok") call.answered(text);
    else
      call.failed(new RigError("RIG_LAB_AGENT", `Expected ${this.#name}'s agent to ${call.what}; it says: ${said}.`));
  }
}
