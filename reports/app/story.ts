/**
 * The cell in a dozen lines: faults as they took hold and went, sessions and paths as they changed, writes by the batch,
 * and what was read in the end. It repeats what the history says and draws no conclusion: that is the finding's part.
 */

import type { EventOf } from "../../rig/history/event.ts";
import type { Finding } from "../../rig/oracle/finding.ts";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { commandMoments } from "./command-lanes.ts";
import { blockedMoments, leftOverMoments } from "./left-over.ts";
import type { Moment, Tone } from "./moment.ts";
import { nameOf, type Operation } from "./operations.ts";
import { sectorPicture, VIA_WORDS } from "./sectors.ts";
import { counted, formatBytes, formatMs, secondsOf, sectorRange } from "./units.ts";

/** Beyond this many batches the writes are told as one. */
const MAX_BATCHES = 8;
const MAX_MOMENTS = 40;

const writeMoments = (operations: ReadonlyMap<number, Operation>): Moment[] => {
  const writes = [...operations.values()].filter(o => o.action === "write");
  const named = Map.groupBy(writes, nameOf);
  const batches = named.size <= MAX_BATCHES ? [...named] : writes.length > 0 ? [["all writes", writes] as const] : [];
  return batches.flatMap(([name, batch]) => {
    const first = batch.reduce((a, b) => (b.from < a.from ? b : a));
    const low = Math.min(...batch.map(o => o.sector));
    const high = Math.max(...batch.map(o => o.sector + o.sectors));
    const where = sectorRange(low, high - low);
    const moments: Moment[] = [
      {
        at: first.from,
        line: first.line,
        tone: "plain",
        text: `${counted(batch.length, "write")} of ${name} handed over, ${where}`,
      },
    ];
    for (const outcome of ["ok", "fail"] as const) {
      const answered = batch.filter(o => o.outcome === outcome);
      const last = answered.reduce<Operation | undefined>((a, b) => ((a?.to ?? -1) < (b.to ?? -1) ? b : a), undefined);
      if (last?.to === undefined) continue;
      const count = answered.length === batch.length ? "all" : `${String(answered.length)} of ${String(batch.length)}`;
      const longest = Math.max(...answered.map(o => (o.to ?? o.from) - o.from));
      const verb = outcome === "ok" ? "acknowledged" : "failed";
      const tone = outcome === "ok" ? "good" : "bad";
      const text = `${name}: ${count} ${verb}, the slowest after ${formatMs(longest * 1000)}`;
      moments.push({ at: last.to, line: last.answerLine ?? last.line, tone, text });
    }
    const unanswered = batch.filter(o => o.outcome === "unanswered").length;
    if (unanswered > 0) {
      const text = `${name}: ${counted(unanswered, "write")} never answered`;
      moments.push({ at: first.from, line: first.line, tone: "bad", text });
    }
    return moments;
  });
};

const socketMoment = (
  event: EventOf<"socket">,
  before: EventOf<"socket"> | undefined,
): Pick<Moment, "tone" | "text"> | undefined => {
  const socket = `socket of path ${event.path} (${event.local})`;
  if (event.orphan && before?.orphan !== true) {
    const text = `The ${socket} is orphaned in ${event.state} with ${formatBytes(event.sendQueueBytes)} still to send`;
    return { tone: "alarm", text };
  }
  if (before?.orphan === true && before.sendQueueBytes > 0 && event.sendQueueBytes === 0) {
    const sent = event.state === "gone" ? "is gone" : "has sent everything; the peer acknowledged it";
    return { tone: "alarm", text: `The orphaned ${socket} ${sent}` };
  }
  if (event.state === "gone" && before !== undefined && !before.orphan) {
    const unsent = before.sendQueueBytes > 0 ? `, and ${formatBytes(before.sendQueueBytes)} unsent with it` : "";
    return { tone: "plain", text: `The ${socket} is gone${unsent}` };
  }
  return undefined;
};

const eventMoments = (events: readonly NumberedEvent[]): Moment[] => {
  const moments: Moment[] = [];
  const last = new Map<string, string>();
  const sockets = new Map<string, EventOf<"socket">>();
  /** True where `key` had another value before: the first one is the state at the start, not a change. */
  const changed = (key: string, value: string): boolean => {
    const before = last.get(key);
    last.set(key, value);
    return before !== undefined && before !== value;
  };
  for (const [line, event] of events) {
    const at = secondsOf(event.t);
    const add = (tone: Tone, text: string) => moments.push({ at, line, tone, text });
    switch (event.kind) {
      case "fault":
        if (event.edge !== "end") break;
        if (event.action === "inject")
          add("fault", `${event.fault} takes hold${event.detail === undefined ? "" : `: ${event.detail}`}`);
        else add("fault", `${event.fault} is healed`);
        break;
      case "session":
        if (changed(`session ${event.path}`, event.state)) {
          add(event.state === "LOGGED_IN" ? "good" : "bad", `The session of path ${event.path} is ${event.state}`);
        }
        break;
      case "multipath":
        if (changed(`multipath ${event.path}`, event.state)) {
          add(event.state === "active" ? "good" : "bad", `dm-multipath: path ${event.path} is ${event.state}`);
        }
        break;
      case "socket": {
        if (event.node !== "initiator") break;
        const key = `${event.path} ${event.local}`;
        const moment = socketMoment(event, sockets.get(key));
        sockets.set(key, event);
        if (moment !== undefined) add(moment.tone, moment.text);
        break;
      }
      case "node":
        if (event.state === "panicked")
          add("alarm", `The ${event.node} panicked${event.detail === undefined ? "" : `: ${event.detail}`}`);
        break;
      case "logout":
        if (event.edge === "begin") add("fault", `A logout of path ${event.path}'s session is asked for`);
        else if (event.exitCode === undefined) add("bad", `The logout of path ${event.path}'s session never returned`);
        else
          add(
            event.exitCode === 0 ? "good" : "bad",
            `The logout of path ${event.path}'s session returned ${String(event.exitCode)}`,
          );
        break;
      case "instrument":
        add("fault", `The instrument ${event.name} is set to ${String(event.ms)} ms`);
        break;
      case "disconnect":
        add("bad", `The device went away: ${event.why}`);
        break;
      case "power-cut":
        if (event.edge === "begin") add("fault", `The power of the ${event.node} is cut`);
        break;
      case "stopped":
        add("bad", `The cell was stopped: ${event.message}`);
        break;
      case "invoke":
      case "ok":
      case "fail":
      case "console":
      case "syslog":
      case "daemon":
      case "queue-pair":
      case "phase":
      case "step":
      case "limits":
      case "evidence":
      case "load":
      case "late":
      case "device":
      case "command":
      case "witness":
      case "inventory":
      case "blocked-task":
      case "note":
        break; // operations are told by the batch, and so is what was left over or is blocked
    }
  }
  return moments;
};

const capitalised = (words: string): string => words.slice(0, 1).toUpperCase() + words.slice(1);

const readMoments = (operations: ReadonlyMap<number, Operation>, findings: readonly Finding[]): Moment[] => {
  const { views } = sectorPicture(operations, findings);
  const several = new Set(views.map(view => view.lun)).size > 1;
  return views.flatMap(view => {
    const reads = [...operations.values()].filter(
      o => o.action === "read" && view.vias.includes(o.via) && o.lun === view.lun && o.to !== undefined,
    );
    const last = reads.reduce<Operation | undefined>((a, b) => ((a?.to ?? -1) < (b.to ?? -1) ? b : a), undefined);
    if (last?.to === undefined) return [];
    const ends = view.vias.length > 1 ? "Read back from both ends" : capitalised(VIA_WORDS[last.via]);
    const how = several ? `LUN ${String(view.lun)}: ${ends}` : ends;
    const total = counted(view.squares.length, "sector");
    const found = [...new Set(view.squares.filter(s => s.bad).map(s => s.holds))].slice(0, 3).join(", ");
    return [
      view.badCount > 0
        ? {
            at: last.to,
            line: last.line,
            tone: "alarm",
            text: `${how}: ${String(view.badCount)} of ${total} hold what they must not: ${found}`,
          }
        : { at: last.to, line: last.line, tone: "good", text: `${how}: nothing wrong in ${total}` },
    ];
  });
};

export const storyOf = (
  events: readonly NumberedEvent[],
  operations: ReadonlyMap<number, Operation>,
  findings: readonly Finding[],
): readonly Moment[] => {
  const moments = [
    ...eventMoments(events),
    ...leftOverMoments(events),
    ...commandMoments(events, findings),
    ...blockedMoments(events),
    ...writeMoments(operations),
    ...readMoments(operations, findings),
  ];
  // Too many to read: alarms and faults first, then whatever fits.
  const worth: Readonly<Record<Tone, number>> = { alarm: 0, fault: 1, bad: 2, plain: 3, good: 4 };
  const chosen =
    moments.length <= MAX_MOMENTS
      ? moments
      : moments.toSorted((a, b) => worth[a.tone] - worth[b.tone] || a.at - b.at).slice(0, MAX_MOMENTS);
  return chosen.toSorted((a, b) => a.at - b.at || a.line - b.line);
};
