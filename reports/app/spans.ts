/**
 * Events turned into bars: what began and ended, and states that last until the next one. One pass over a history; which
 * bars go into which lane is for lanes.ts to say.
 */
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { eventWords } from "./event-words.ts";
import type { Outcome } from "./operations.ts";
import { formatBytes, secondsOf } from "./units.ts";

export type BarTone =
  | "phase"
  | "step"
  | "fault"
  | "changing"
  | "good"
  | "bad"
  | "warn"
  | "alarm"
  | "executed"
  | "culprit";

export interface Bar {
  readonly from: number;
  to: number;
  /** No end was recorded: the bar reaches the edge because nothing says where it stops. */
  open: boolean;
  readonly text: string;
  readonly tone: BarTone | Outcome;
  readonly detail: string;
  readonly line: number;
  /** Where bars of one lane overlap in time. */
  row: number;
}

export interface Lane {
  readonly label: string;
  /** What the findings say about this lane. */
  readonly note?: { readonly text: string; readonly tone: "alarm" | "good" };
  /** `thin` for operations, of which there are many; `mark` for moments. */
  readonly look: "state" | "thin" | "mark";
  readonly bars: readonly Bar[];
  readonly rows: number;
}

/** Gives each bar the first row that is free when it begins. */
export const pack = (bars: readonly Bar[]): number => {
  const busyUntil: number[] = [];
  for (const bar of bars.toSorted((a, b) => a.from - b.from)) {
    const free = busyUntil.findIndex(until => until <= bar.from);
    bar.row = free < 0 ? busyUntil.length : free;
    busyUntil[bar.row] = bar.to;
  }
  return Math.max(1, busyUntil.length);
};

/** Begin and end events with one key become bars. */
class Spans {
  readonly bars: Bar[] = [];
  readonly #running = new Map<string, Bar>();
  readonly #end: number;

  constructor(end: number) {
    this.#end = end;
  }

  begin(key: string, at: number, line: number, text: string, tone: BarTone, detail = text): void {
    const bar = { from: at, to: this.#end, open: true, text, tone, detail, line, row: 0 };
    this.#running.set(key, bar);
    this.bars.push(bar);
  }

  end(key: string, at: number): void {
    const bar = this.#running.get(key);
    if (bar === undefined) return;
    bar.to = at;
    bar.open = false;
    this.#running.delete(key);
  }
}

const sessionTone = (state: string): BarTone => (state === "LOGGED_IN" ? "good" : state === "FAILED" ? "bad" : "warn");
const nodeTone = (state: string): BarTone => (state === "up" ? "good" : state === "panicked" ? "alarm" : "warn");

interface Collected {
  readonly phases: Spans;
  readonly steps: Spans;
  readonly faults: Map<string, Spans>;
  readonly inForce: Spans;
  readonly states: Map<string, Spans>;
}

/** One pass over the events; a state lasts until the next state with the same key. */
export const collect = (events: readonly NumberedEvent[], end: number): Collected => {
  const spans = () => new Spans(end);
  const c: Collected = { phases: spans(), steps: spans(), faults: new Map(), inForce: spans(), states: new Map() };
  const under = (map: Map<string, Spans>, key: string): Spans => {
    const known = map.get(key) ?? spans();
    map.set(key, known);
    return known;
  };
  for (const [line, event] of events) {
    const at = secondsOf(event.t);
    const state = (laneKey: string, key: string, text: string, tone: BarTone) => {
      const lane = under(c.states, laneKey);
      lane.end(key, at);
      if (text !== "gone") lane.begin(key, at, line, text, tone, eventWords(event));
    };
    switch (event.kind) {
      case "phase":
        if (event.edge === "begin") c.phases.begin(event.name, at, line, event.name, "phase");
        else c.phases.end(event.name, at);
        break;
      case "step":
        if (event.edge === "begin") c.steps.begin(event.text, at, line, event.text, "step");
        else c.steps.end(event.text, at);
        break;
      case "fault": {
        const bars = under(c.faults, event.fault);
        const doing = `${event.action} ${event.fault}`;
        if (event.edge === "begin") {
          // While it is being healed it may still bite: the band goes on, the bar gives way to the healing.
          bars.end("in force", at);
          bars.begin(
            doing,
            at,
            line,
            "",
            "changing",
            `${event.action === "inject" ? "injecting" : "healing"} ${event.fault}`,
          );
        } else {
          bars.end(doing, at);
          if (event.action === "inject") {
            const detail = `${event.fault} in force${event.detail === undefined ? "" : `: ${event.detail}`}`;
            bars.begin("in force", at, line, event.detail ?? "in force", "fault", detail);
            c.inForce.begin(event.fault, at, line, event.fault, "fault", detail);
          } else c.inForce.end(event.fault, at);
        }
        break;
      }
      case "session":
        state(`${event.path}/session`, "session", event.state, sessionTone(event.state));
        break;
      case "multipath":
        state(`${event.path}/multipath`, "multipath", event.state, event.state === "active" ? "good" : "bad");
        break;
      case "socket": {
        // The lane shows where stale data can wait: with its sender.
        if (event.node !== "initiator") break;
        const unsent = event.sendQueueBytes > 0 ? `, ${formatBytes(event.sendQueueBytes)} unsent` : "";
        const text = event.state === "gone" ? "gone" : `${event.orphan ? "orphan " : ""}${event.state}${unsent}`;
        const tone = event.orphan
          ? "alarm"
          : event.state.startsWith("ESTAB")
            ? unsent === ""
              ? "good"
              : "warn"
            : "warn";
        state(`${event.path}/socket`, event.local, text, tone);
        break;
      }
      case "node":
        state(`${event.node}/node`, "node", event.state, nodeTone(event.state));
        break;
      case "power-cut":
        if (event.edge === "begin") state(`${event.node}/power`, "power", "cut", "fault");
        else under(c.states, `${event.node}/power`).end("power", at);
        break;
      case "invoke":
      case "ok":
      case "fail":
      case "console":
      case "daemon":
      case "syslog":
      case "logout":
      case "instrument":
      case "queue-pair":
      case "limits":
      case "disconnect":
      case "evidence":
      case "load":
      case "late":
      case "device":
      case "command":
      case "witness":
      case "inventory":
      case "blocked-task":
      case "stopped":
      case "note":
        break; // operations, commands and the console have lanes of their own; the rest is told in words
    }
  }
  return c;
};
