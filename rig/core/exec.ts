/**
 * Commands on this machine: argument vectors only, never a shell. Success and failure have one shape; `run` returns
 * either, `runOk` turns a failure into a RigError that quotes the end of what the command said.
 */
import { existsSync } from "node:fs";
import { execa } from "execa";
import { type ErrorCode, RigError } from "./errors.ts";
import { lastLines } from "./untrusted-tail.ts";

export interface ExecResult {
  readonly argv: readonly string[];
  /** The exit status, or -1 when the command was ended by a signal or never ran. */
  readonly exitCode: number;
  readonly signal?: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /** Called with each line of standard error as it comes, for progress. */
  readonly onLine?: (line: string) => void;
}

/** Bytes of output kept of one command, each stream. */
const MAX_OUTPUT = 16 * 1024 * 1024;

/** Runs a command to its end. Rejects only when the program is missing or the signal aborted. */
export const run = async (argv: readonly [string, ...string[]], options: RunOptions = {}): Promise<ExecResult> => {
  const [file, ...args] = argv;
  const child = execa(file, args, {
    reject: false,
    stripFinalNewline: false,
    maxBuffer: MAX_OUTPUT,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    forceKillAfterDelay: 5000,
  });
  const { onLine } = options;
  const forward = async () => {
    if (onLine !== undefined) for await (const line of child.iterable({ from: "stderr" })) onLine(line);
  };
  // Every line is handed over before the command counts as ended. The iterable fails as the command does, which is told below.
  const [result] = await Promise.all([child, forward().catch(() => undefined)]);
  options.signal?.throwIfAborted();
  // A working directory that is missing has the same code.
  if (result.code === "ENOENT" && (options.cwd === undefined || existsSync(options.cwd))) {
    throw new RigError("RIG_MISSING_PROGRAM", `The program ${file} is not installed. Run: make setup`, {
      blame: "environment",
    });
  }
  return {
    argv,
    exitCode: result.exitCode ?? -1,
    signal: result.signal,
    stdout: result.stdout,
    stderr: result.stderr,
    durationMs: result.durationMs,
  };
};

/** As `run`, but a command that fails is a RigError with the given code; a full disk is told as such. */
export const runOk = async (
  argv: readonly [string, ...string[]],
  code: ErrorCode,
  options: RunOptions = {},
): Promise<ExecResult> => {
  const result = await run(argv, options);
  if (result.exitCode === 0) return result;
  const said = lastLines(result.stderr + result.stdout, 12);
  if (/No space left on device|ENOSPC|not enough free space/i.test(said)) {
    throw new RigError(
      "RIG_NO_SPACE",
      `${argv[0]} found no space left on the device. Free some space and run the command again.\n${said}`,
      {
        blame: "environment",
      },
    );
  }
  const how = result.signal === undefined ? `exit status ${result.exitCode}` : `signal ${result.signal}`;
  throw new RigError(code, `${argv.join(" ").slice(0, 300)}: expected success, got ${how}.\n${said}`, {
    blame: "environment",
  });
};
