/** The rig as its users start it: a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { PROJECT_DIR } from "../core/paths.ts";

export interface CliResult {
  /** The exit status; null when it was ended by a signal. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly pid: number;
  readonly result: Promise<CliResult>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when standard error has said this. */
  said(pattern: RegExp): Promise<void>;
}

/** Starts `rig ...args`. */
export const startCli = (args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCli => {
  const child = spawn(process.execPath, [path.join(PROJECT_DIR, "bin/rig.js"), ...args], {
    cwd: PROJECT_DIR,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  const waiting: { pattern: RegExp; done: PromiseWithResolvers<undefined> }[] = [];
  child.stdout.on("data", chunk => (text.stdout += String(chunk)));
  child.stderr.on("data", chunk => {
    text.stderr += String(chunk);
    for (const { pattern, done } of waiting) if (pattern.test(text.stderr)) done.resolve(undefined);
  });
  const result = once(child, "close").then(([status]) => {
    for (const { pattern, done } of waiting)
      done.reject(new Error(`rig ended (${String(status)}) before it said ${String(pattern)}:\n${text.stderr}`));
    return { status: status as number | null, ...text };
  });
  return {
    pid: child.pid ?? 0,
    result,
    kill: signal => child.kill(signal),
    said: pattern => {
      if (pattern.test(text.stderr)) return Promise.resolve();
      const done = Promise.withResolvers<undefined>();
      done.promise.catch(() => undefined);
      waiting.push({ pattern, done });
      return done.promise;
    },
  };
};

export const runCli = (...args: readonly string[]): Promise<CliResult> => startCli(args).result;
