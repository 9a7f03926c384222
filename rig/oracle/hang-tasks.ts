/**
 * Who waits, and where: the tasks that were found blocked when something hung, told by the function that they wait in. Every
 * blocked task is in the scheduler; what names a hang is the first function above it that does something of its own.
 */
import { type EventOf, type History } from "../history/event.ts";
import { eventsOf, type Located, seconds } from "../history/view.ts";
import { frameOf } from "./console-frame.ts";
import { plural } from "./words.ts";

type BlockedTask = Located<EventOf<"blocked-task">>;

/** How many kinds of task are named, and how many lines of their stacks are shown. */
const NAMED = 6;
const STACK_LINES = 60;

/** The function that a task waits in, or undefined where its stack could not be read. */
export const waitsIn = (frames: readonly string[]): string | undefined =>
  frameOf(["Call Trace:", ...frames.map(frame => ` ${frame}`)], undefined);

/** Workers are told apart by number, which says nothing: `kworker/0:1H` is a kworker. */
const kindOf = ({ event }: BlockedTask): string => {
  const where = waitsIn(event.frames);
  const name = event.comm.replace(/^kworker\/.*$/, "kworker");
  return `${name} of the ${event.node}${where === undefined ? "" : ` in ${where}`}`;
};

export interface BlockedTasks {
  /** A sentence, or nothing where no task was found blocked. */
  readonly words: string;
  readonly lines: readonly number[];
  /** Their stacks, at most 60 lines. */
  readonly excerpt: readonly string[];
}

/** What is known of the tasks that were blocked. */
export const blockedTasks = (history: History): BlockedTasks => {
  const tasks = eventsOf(history, "blocked-task");
  const [first] = tasks;
  if (first === undefined) return { words: "", lines: [], excerpt: [] };
  const kinds = [...Map.groupBy(tasks, kindOf)].map(([kind, same]) =>
    same.length === 1 ? kind : `${kind} (${same.length} times)`,
  );
  const more = kinds.length > NAMED ? ` and ${plural(kinds.length - NAMED, "other kind")}` : "";
  const verb = tasks.length === 1 ? "was" : "were";
  return {
    words: ` At ${seconds(first.event.t)} ${plural(tasks.length, "task")} ${verb} blocked: ${kinds.slice(0, NAMED).join(", ")}${more}.`,
    lines: tasks.map(({ line }) => line),
    excerpt: tasks
      .flatMap(({ event: { node, comm, pid, frames } }) => [
        `${node}: ${comm} (pid ${pid})`,
        ...frames.map(frame => `  ${frame}`),
      ])
      .slice(0, STACK_LINES),
  };
};
