/**
 * What is told of a cell's end in one line each: things there are more of than at the beginning, and tasks that wait and
 * cannot be woken. Names are given anew with every login, so it is the counts that are compared.
 */
import type { EventOf } from "../../rig/history/event.ts";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import type { Moment } from "./moment.ts";
import { counted, secondsOf } from "./units.ts";

/** One and many of each, in words. */
const THINGS: Readonly<Record<EventOf<"inventory">["thing"], readonly [one: string, many: string]>> = {
  session: ["session", "sessions"],
  connection: ["connection", "connections"],
  host: ["SCSI host", "SCSI hosts"],
  endpoint: ["endpoint", "endpoints"],
  socket: ["socket", "sockets"],
  "queue-pair": ["queue pair", "queue pairs"],
  "target-session": ["session of the target", "sessions of the target"],
};

const SHOWN_TASKS = 4;

export const leftOverMoments = (events: readonly NumberedEvent[]): Moment[] => {
  const before = new Map<string, readonly string[]>();
  const moments: Moment[] = [];
  for (const [line, event] of events) {
    if (event.kind !== "inventory") continue;
    const key = `${event.node}/${event.thing}`;
    if (event.when === "begin") {
      before.set(key, event.names);
      continue;
    }
    const first = before.get(key);
    if (first === undefined || event.names.length === first.length) continue;
    const what = counted(event.names.length, ...THINGS[event.thing]);
    const fresh = event.names.filter(name => !first.includes(name));
    const names = fresh.length === 0 ? "" : ` (new: ${fresh.join(", ")})`;
    const text = `On the ${event.node} there ${event.names.length === 1 ? "is" : "are"} ${what} at the end, ${String(first.length)} at the beginning${names}`;
    moments.push({ at: secondsOf(event.t), line, tone: "bad", text });
  }
  return moments;
};

export const blockedMoments = (events: readonly NumberedEvent[]): Moment[] => {
  const blocked = events.flatMap(([line, event]) => (event.kind === "blocked-task" ? [{ line, event }] : []));
  return [...Map.groupBy(blocked, ({ event }) => event.node)].flatMap(([node, tasks]) => {
    const [first] = tasks;
    if (first === undefined) return [];
    const names = [...new Set(tasks.map(({ event }) => event.comm))];
    const more = names.length > SHOWN_TASKS ? ` and ${String(names.length - SHOWN_TASKS)} more` : "";
    const text = `On the ${node} ${counted(tasks.length, "task is", "tasks are")} blocked: ${names.slice(0, SHOWN_TASKS).join(", ")}${more}`;
    return [{ at: secondsOf(first.event.t), line: first.line, tone: "bad", text }];
  });
};
