/**
 * What there is to see when something hangs, taken before anything is healed or taken down: who is blocked and where, what the
 * kernel shows of it on its console (sysrq-w), and what sessions, multipath and sockets look like. It goes into a text file
 * for each node beside the history, and the blocked tasks into the history itself, where the hang oracle finds them.
 *
 * A guest that hangs may not answer. So every part has a deadline of its own, the agent comes before ssh, and what could
 * not be had is said in the file.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { deadline, monotonicMs } from "../../core/clock.ts";
import { messageOf, type RigError } from "../../core/errors.ts";
import { NODE_NAMES, type NodeName } from "../../core/names.ts";
import { cleanLine } from "../../core/untrusted.ts";
import type { HistorySink } from "../../history/event.ts";
import type { Lab } from "../../lab/lab.ts";
import { type Node, script } from "../../lab/node.ts";
import { isUnrecovered } from "../../scenario/controls.ts";
import { isUnanswered } from "../../workload/ledger.ts";
import { HANG_COMMANDS } from "./hang-commands.ts";
import { type BlockedTask, readBlockedTasks } from "./tasks.ts";

export interface HangRequest {
  readonly lab: Lab;
  readonly sink: HistorySink;
  /** The cell's directory. */
  readonly dir: string;
  /** What makes it a hang, in words. */
  readonly why: string;
  /** Write the memory of both guests to files as well. */
  readonly dumpMemory: boolean;
  /** Stretches the deadlines. */
  readonly scale: number;
  readonly signal: AbortSignal;
  readonly onNote: (text: string) => void;
}

const TASKS_MS = 10_000;
const SYSRQ_MS = 3000;
/** Of one command in a guest, and of all; then of the connection, which has nothing to say if it must be given up. */
const [COMMAND_S, COMMANDS_S, COMMANDS_MS] = [5, 15, 20_000];
const DUMP_MS = 60_000;

const MAX_LINES = 5000;
const MAX_CHARS = 500;

/** The part's text, or why there is none. */
const attempt = async (
  what: string,
  ms: number,
  signal: AbortSignal,
  part: (limit: AbortSignal) => Promise<string>,
): Promise<string> => {
  using limit = deadline(ms, what, signal);
  try {
    return await part(limit);
  } catch (error) {
    signal.throwIfAborted();
    return `(not to be had: ${messageOf(error)})`;
  }
};

/** "quiet" hides what sysrq shows: the console takes everything for as long as this takes. */
const sysrq = async ({ agent }: Node, signal: AbortSignal): Promise<string> => {
  const level = Buffer.from(await agent.call("take", ["/proc/sys/kernel/printk"], { signal }), "base64").toString();
  const options = { signal, timeoutMs: SYSRQ_MS };
  await agent.put("/proc/sys/kernel/printk", "8", options);
  await agent.put("/proc/sysrq-trigger", "w", options);
  await agent.put("/proc/sys/kernel/printk", /^\d+/.exec(level.trim())?.[0] ?? "5", options);
  return "on the console";
};

const taskText = ({ pid, comm, frames }: BlockedTask): string =>
  [`${comm} (${pid})`, ...(frames.length === 0 ? ["(no stack)"] : frames).map(frame => `  ${frame}`)].join("\n");

/** A guest's text as it may be stored: bounded, printable, line by line. */
export const storable = (text: string): string => {
  const lines = text.split("\n");
  const kept = lines.slice(0, MAX_LINES).map(line => cleanLine(line, MAX_CHARS));
  const rest = lines.length - kept.length;
  return `${[...kept, ...(rest > 0 ? [`(and ${rest} more lines)`] : [])].join("\n")}\n`;
};

const collectNode = async (request: HangRequest, name: NodeName): Promise<void> => {
  const { lab, sink, dir, why, scale, signal } = request;
  const node = lab.nodes[name];
  const tasks = await attempt("blocked tasks to be read", TASKS_MS * scale, signal, async limit => {
    const blocked = await readBlockedTasks(node.agent, limit);
    for (const task of blocked) sink.record({ kind: "blocked-task", node: name, ...task, frames: [...task.frames] });
    return blocked.length === 0 ? "none" : blocked.map(taskText).join("\n");
  });
  const shown = await attempt("sysrq-w to be taken", SYSRQ_MS * scale, signal, limit => sysrq(node, limit));
  const said = await attempt("the commands to end", COMMANDS_MS * scale, signal, async limit => {
    const seconds = [COMMAND_S, COMMANDS_S].map(count => String(Math.ceil(count * scale)));
    const { stdout } = await script(node, HANG_COMMANDS, seconds, { signal: limit, timeoutMs: COMMANDS_MS * scale });
    return stdout;
  });
  const text = [why, "== blocked tasks", tasks, "== sysrq-w", shown, said].join("\n");
  await writeFile(path.join(dir, `hang-${name}.txt`), storable(text));
};

/**
 * The guest's memory for crash(8), written by QEMU: it needs nothing of the guest, which stands still meanwhile. Resolves with how
 * long that may have been.
 */
const dump = async ({ lab, dir, scale, sink, onNote }: HangRequest, name: NodeName): Promise<number> => {
  const file = `memory-${name}.kdump`;
  const started = monotonicMs();
  const protocol = `file:${path.posix.join(lab.bay.results(dir), file)}`;
  try {
    await lab.nodes[name].qmp.execute(
      "dump-guest-memory",
      { paging: false, protocol, format: "kdump-zlib" },
      DUMP_MS * scale,
    );
    const ms = Math.round(monotonicMs() - started);
    sink.record({ kind: "note", text: `The ${name}'s memory is in ${file}; writing it took ${ms} ms.` });
    onNote(`The ${name}'s memory is in ${path.join(dir, file)}.`);
  } catch (error) {
    onNote(`The ${name}'s memory could not be written: ${messageOf(error)}`);
  }
  return monotonicMs() - started;
};

/** Collects it on both nodes. Never rejects: whatever cannot be had, the cell goes on. Resolves with how long a guest stood still. */
const collectHang = async (request: HangRequest): Promise<number> => {
  await Promise.allSettled(NODE_NAMES.map(name => collectNode(request, name)));
  if (!request.dumpMemory) return 0;
  return Math.max(...(await Promise.all(NODE_NAMES.map(name => dump(request, name)))));
};

/** Looks once, when the cell is found to have waited in vain: for an operation, or for a session. */
export class HangLook {
  readonly #request: Omit<HangRequest, "why">;
  readonly #phase: (look: () => Promise<void>) => Promise<void>;
  #looked = false;
  #stillMs = 0;

  /** `phase` runs the look as a part of the cell's life. */
  constructor(request: Omit<HangRequest, "why">, phase: (look: () => Promise<void>) => Promise<void>) {
    this.#request = request;
    this.#phase = phase;
  }

  /** How long a guest, and so its clock, may have stood still for this. */
  get stillMs(): number {
    return this.#stillMs;
  }

  /** To be called with what stopped the cell, where something did, before anything is healed. */
  async after(error: RigError | undefined): Promise<void> {
    if (this.#looked || error === undefined || this.#request.lab.nodeLost.aborted) return;
    if (!isUnanswered(error) && !isUnrecovered(error)) return;
    this.#looked = true;
    await this.#phase(async () => {
      this.#stillMs = await collectHang({ ...this.#request, why: error.message });
    });
  }
}
