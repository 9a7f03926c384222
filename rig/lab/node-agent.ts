/**
 * Commands in a node's container, by way of its agent (containers/node/agent.c tells the protocol). Every command has a
 * connection of its own and lives no longer than that: whoever closes it, or dies, has ended the command with all that it
 * started. Nothing is believed of what comes back: a frame that makes no sense ends the connection.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { constants } from "node:os";
import { deadline, monotonicMs, orAbort, poll } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import type { ExecResult } from "../core/exec.ts";
import { cleanLine } from "../core/untrusted.ts";
import { lastLines } from "../core/untrusted-tail.ts";

/** A command had to wait for a CPU. */
export interface AgentLoad {
  /** How long was looked at: 100 ms and what the agent itself was late. */
  readonly windowMs: number;
  /** CPU time of all of its threads. */
  readonly cpuMs: number;
  /** How long the thread that waited most was ready to run and did not; a wait counts in the window in which it ends. */
  readonly waitMs: number;
}

export interface AgentEnd {
  /** The exit status, or -1 when a signal ended the command. */
  readonly exitCode: number;
  readonly signal?: number;
  readonly cpuMs: number;
  readonly maxRssMiB: number;
}

/** A command that goes on. Disposing of it kills it and waits until it is dead; a detached one is let go. */
export interface AgentProcess extends AsyncDisposable {
  /** As the container numbers it. */
  readonly pid: number;
  /** Rejects with RIG_LAB_CONTAINER if the connection is lost before the command's end is known. */
  readonly ended: Promise<AgentEnd>;
  /** The last lines that it printed, on either stream. */
  tail(lines: number): string;
}

export interface AgentExecOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface AgentSpawnOptions {
  /** The command goes on when its connection ends. */
  readonly detach?: boolean;
  /** Told of every window of 100 ms in which one of the command's threads waited 20 ms or more for a CPU. */
  readonly onLoad?: (load: AgentLoad) => void;
  /** Ends the wait for the start; what has started is ended by disposing of it. */
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_TIMEOUT_MS = 15_000;
/** Enough for the kernel to take apart the memory of a guest. */
const KILL_TIMEOUT_MS = 10_000;
/** Bytes kept of each stream of a command that is waited for, from its beginning; and of one that goes on, from its end. */
const MAX_OUTPUT = 1_000_000;
const MAX_TAIL = 64 * 1024;

const FRAME = { stdout: 1, stderr: 2, end: 3, started: 4, load: 5, refused: 6 } as const;
const HEADER = 5;
const MAX_FRAME = 64 * 1024;
const PID = /^[1-9]\d{0,9}$/;
const LOAD = /^window_us=(\d{1,15}) cpu_us=(\d{1,15}) wait_us=(\d{1,15})$/;
const END = /^(exit|signal) (\d{1,3}) cpu_us=(\d{1,15}) maxrss_kib=(\d{1,15})$/;

const endOf = (text: string): AgentEnd | undefined => {
  const [match, how, code, cpuUs, maxRssKib] = END.exec(text) ?? [];
  if (match === undefined) return undefined;
  const status = how === "exit" ? { exitCode: Number(code) } : { exitCode: -1, signal: Number(code) };
  return { ...status, cpuMs: Number(cpuUs) / 1000, maxRssMiB: Number(maxRssKib) / 1024 };
};

const signalName = (number: number): string =>
  Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? String(number);

const requestOf = (flags: readonly string[], argv: readonly string[]): Buffer => {
  if (argv.some(argument => argument.includes("\0"))) {
    throw new RigError("RIG_BUG", `Expected arguments without NUL characters, got ${JSON.stringify(argv)}.`);
  }
  const payload = Buffer.from([flags.join(","), ...argv].map(text => `${text}\0`).join(""));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(payload.length);
  return Buffer.concat([length, payload]);
};

const loadOf = (text: string): AgentLoad | undefined => {
  const [match, windowUs, cpuUs, waitUs] = LOAD.exec(text) ?? [];
  if (match === undefined) return undefined;
  return { windowMs: Number(windowUs) / 1000, cpuMs: Number(cpuUs) / 1000, waitMs: Number(waitUs) / 1000 };
};

/** Output is kept as Latin-1 until it is complete: a character may come in two frames. */
const decode = (bytes: string): string => Buffer.from(bytes, "latin1").toString();

const tailOf = (text: string, count: number): string =>
  text
    .split(/[\r\n]+/)
    .filter(line => line.trim() !== "")
    .slice(-count)
    .map(line => cleanLine(line, 300))
    .join("\n");

/** Has one command run; `what` names it and its container. */
const converse = (
  socketPath: string,
  request: Buffer,
  what: string,
  onOutput: (stream: "stdout" | "stderr", bytes: string) => void,
  onLoad?: (load: AgentLoad) => void,
) => {
  const started = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<AgentEnd>();
  // Not everybody waits for both.
  for (const { promise } of [started, ended]) promise.catch(() => undefined);
  const socket = connect(socketPath);
  let rest: Buffer = Buffer.alloc(0);
  let runs = false;

  /** Whatever comes after the end or after the first failure finds the promises settled. */
  const fail = (message: string) => {
    const error = new RigError("RIG_LAB_CONTAINER", message, { blame: "environment" });
    started.reject(error);
    ended.reject(error);
    socket.destroy();
  };
  /** False for what has no meaning, or none at this point: first comes "started" or "refused", and later neither. */
  const take = (type: number, payload: Buffer): boolean => {
    const text = payload.toString("latin1");
    if (runs === (type === FRAME.started || type === FRAME.refused)) return false;
    switch (type) {
      case FRAME.stdout:
      case FRAME.stderr:
        onOutput(type === FRAME.stdout ? "stdout" : "stderr", text);
        return true;
      case FRAME.end: {
        const end = endOf(text);
        if (end !== undefined) ended.resolve(end);
        socket.destroy();
        return end !== undefined;
      }
      case FRAME.started:
        runs = PID.test(text);
        if (runs) started.resolve(Number(text));
        return runs;
      case FRAME.load: {
        const load = loadOf(text);
        if (load !== undefined) onLoad?.(load);
        return load !== undefined;
      }
      case FRAME.refused:
        fail(`Expected ${what} to run, but: ${cleanLine(payload.toString(), 300)}. Look with: rig doctor`);
        return true;
      default:
        return false;
    }
  };
  socket.on("data", chunk => {
    rest = Buffer.concat([rest, chunk]);
    while (!socket.destroyed && rest.length >= HEADER) {
      const [type, length] = [rest.readUInt8(0), rest.readUInt32LE(1)];
      if (length <= MAX_FRAME && rest.length < HEADER + length) return;
      const payload = rest.subarray(HEADER, HEADER + length);
      rest = rest.subarray(HEADER + length);
      if (length > MAX_FRAME || !take(type, payload)) {
        const seen = `a frame of type ${type} with ${length} bytes, "${cleanLine(payload.toString("latin1"), 60)}"`;
        fail(`Expected the agent to tell of ${what}, got ${seen}. Build its image anew with: make setup`);
      }
    }
  });
  const lost = (why: string) =>
    fail(`Expected ${what} to end, but the connection to the agent ended first: ${why}. Look at: docker logs`);
  socket.on("error", error => lost(messageOf(error)));
  socket.on("close", () => lost("it was closed"));
  socket.write(request);
  return {
    started: started.promise,
    ended: ended.promise,
    /** Says no more: the agent kills what is not detached, and still tells of its end. */
    hangUp: () => void socket.end(),
    close: () => void socket.destroy(),
  };
};

export class NodeAgent {
  readonly #socketPath: string;
  readonly #name: string;

  /** @param name the container's, as messages have it: "the container X". */
  constructor(socketPath: string, name: string) {
    this.#socketPath = socketPath;
    this.#name = name;
  }

  /** Waits until the agent listens. */
  async ready(withinMs: number, signal?: AbortSignal): Promise<void> {
    const probe = async () => {
      const socket = connect(this.#socketPath);
      const answer = once(socket, "connect").catch(() => undefined);
      return await answer.finally(() => socket.destroy());
    };
    await poll(probe, { everyMs: 5, withinMs, expected: `the agent of ${this.#name} to listen`, signal });
  }

  /** Runs a command to its end. Rejects when it cannot be run or the deadline passes, not when it exits with an error. */
  async exec(argv: readonly string[], options: AgentExecOptions = {}): Promise<ExecResult> {
    const startedMs = monotonicMs();
    const what = this.#what(argv);
    using limit = deadline(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, `${what} to end`, options.signal);
    limit.throwIfAborted();
    const kept = { stdout: "", stderr: "" };
    const command = converse(this.#socketPath, requestOf([], argv), what, (stream, bytes) => {
      if (kept[stream].length < MAX_OUTPUT) kept[stream] = (kept[stream] + bytes).slice(0, MAX_OUTPUT);
    });
    try {
      const { exitCode, signal } = await orAbort(command.ended, limit);
      return {
        argv,
        exitCode,
        signal: signal === undefined ? undefined : signalName(signal),
        stdout: decode(kept.stdout),
        stderr: decode(kept.stderr),
        durationMs: monotonicMs() - startedMs,
      };
    } finally {
      command.close();
    }
  }

  /** As `exec`; a command that fails is an error that quotes what it said. */
  async execOk(argv: readonly string[], options: AgentExecOptions = {}): Promise<ExecResult> {
    const result = await this.exec(argv, options);
    if (result.exitCode === 0) return result;
    const how = result.signal === undefined ? `exit status ${result.exitCode}` : `signal ${result.signal}`;
    throw new RigError(
      "RIG_FAULT",
      `In ${this.#name}, ${argv.join(" ").slice(0, 200)}: expected success, got ${how}.\n${lastLines(result.stderr + result.stdout, 8)}`,
      { blame: "environment" },
    );
  }

  /** Starts a command that goes on until it ends by itself or is disposed of. */
  async spawn(argv: readonly string[], options: AgentSpawnOptions = {}): Promise<AgentProcess> {
    const flags = [
      ...(options.detach === true ? ["detach"] : []),
      // Who listens has it measured: one without the other would be silence that looks like an idle machine.
      ...(options.onLoad === undefined ? [] : ["load"]),
    ];
    const what = this.#what(argv);
    using limit = deadline(DEFAULT_TIMEOUT_MS, `${what} to start`, options.signal);
    limit.throwIfAborted();
    let printed = "";
    const onOutput = (_stream: string, bytes: string) => {
      printed = (printed + bytes).slice(-MAX_TAIL);
    };
    const command = converse(this.#socketPath, requestOf(flags, argv), what, onOutput, options.onLoad);
    try {
      const pid = await orAbort(command.started, limit);
      return {
        pid,
        ended: command.ended,
        tail: lines => tailOf(decode(printed), lines),
        [Symbol.asyncDispose]: async () => {
          using left = deadline(KILL_TIMEOUT_MS, `${what} to die`);
          command.hangUp();
          const ended = command.ended.catch(() => undefined);
          await orAbort(ended, left).finally(command.close);
        },
      };
    } catch (error) {
      command.close();
      throw error;
    }
  }

  #what(argv: readonly string[]): string {
    return `"${argv.join(" ").slice(0, 120)}" in ${this.#name}`;
  }
}
