/**
 * The tasks of a guest that wait and are not to be disturbed (state D), each with its kernel stack. The guest's agent reads
 * them: it runs already, so it starts nothing in a guest that may be unable to start anything.
 */
import { cleanLine } from "../../core/untrusted.ts";
import type { GuestAgent } from "../../lab/guest-agent.ts";

export interface BlockedTask {
  readonly pid: number;
  readonly comm: string;
  /** The stack, innermost function first; empty where the kernel does not tell. */
  readonly frames: readonly string[];
}

const MAX_TASKS = 64;
const MAX_FRAMES = 40;
/** So many requests are on their way together: the agent keeps no more of its answers. */
const TOGETHER = 16;

type Reader = Pick<GuestAgent, "list" | "call">;

/** A small file of the kernel's; empty where it cannot be read, as that of a task that has ended. */
const read = async (agent: Reader, path: string, signal: AbortSignal): Promise<string> => {
  const answer = await agent.call("take", [path], { signal }).catch(() => "");
  signal.throwIfAborted();
  return Buffer.from(answer, "base64").toString("latin1");
};

/** "PID (NAME) STATE ..." of proc(5); a name may hold parentheses. */
export const parseStat = (text: string): { pid: number; comm: string; state: string } | undefined => {
  const [, pid, comm = "", state = ""] = /^(\d{1,9}) \((.*)\) (\S)/s.exec(text) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), comm: cleanLine(comm, 64), state };
};

/** "[<0>] msleep+0x2d/0x40" of /proc/PID/stack. */
export const parseStack = (text: string): string[] =>
  text
    .split("\n")
    .slice(0, MAX_FRAMES)
    .map(line => cleanLine(line.replace(/^\[<[0-9a-f]+>\] /, ""), 200))
    .filter(line => line !== "");

/** The tasks that are blocked at this moment, at most 64. */
export const readBlockedTasks = async (agent: Reader, signal: AbortSignal): Promise<readonly BlockedTask[]> => {
  const stats = await agent.list(["/proc/[0-9]*/task/[0-9]*/stat"], { signal });
  const blocked: BlockedTask[] = [];
  for (let at = 0; at < stats.length && blocked.length < MAX_TASKS; at += TOGETHER) {
    const found = await Promise.all(
      stats.slice(at, at + TOGETHER).map(async stat => {
        const task = parseStat(await read(agent, stat, signal));
        if (task?.state !== "D") return [];
        return [{ ...task, frames: parseStack(await read(agent, stat.replace(/stat$/, "stack"), signal)) }];
      }),
    );
    blocked.push(...found.flat().map(({ pid, comm, frames }) => ({ pid, comm, frames })));
  }
  return blocked.slice(0, MAX_TASKS);
};
