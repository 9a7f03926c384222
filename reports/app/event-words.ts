/** One event in one line of words, for lists, titles and screen readers. */
import type { Extent, HistoryEvent } from "../../rig/history/event.ts";
import { counted, formatBytes, sectorRange } from "./units.ts";

const extentWords = (extent: Extent): string => {
  const where = sectorRange(extent.at, extent.n);
  switch (extent.is) {
    case "write":
      return `${where}: operation ${String(extent.op)}`;
    case "zero":
      return `${where}: zeros`;
    case "elsewhere":
      return `${where}: operation ${String(extent.op)}, whose place is sector ${String(extent.address)}`;
    case "damaged":
      return `${where}: operation ${String(extent.op)}, damaged from byte ${String(extent.badFrom)}`;
    case "foreign":
      return `${where}: foreign bytes ${extent.head.slice(0, 32)}…`;
  }
};

const SHOWN_EXTENTS = 3;

const contentWords = (content: readonly Extent[]): string => {
  const shown = content.slice(0, SHOWN_EXTENTS).map(extentWords).join("; ");
  return content.length > SHOWN_EXTENTS ? `${shown}; and ${String(content.length - SHOWN_EXTENTS)} more` : shown;
};

export const eventWords = (event: HistoryEvent): string => {
  switch (event.kind) {
    case "phase":
      return `${event.name}: ${event.edge}`;
    case "step":
      return `${event.text}: ${event.edge}`;
    case "limits":
      return `every operation must be answered within ${String(event.answerWithinMs)} ms: ${event.why}`;
    case "invoke": {
      const label = event.label === undefined ? "" : ` (${event.label})`;
      const where = event.action === "flush" ? "" : `, ${sectorRange(event.sector, event.sectors)}`;
      return `operation ${String(event.op)}: ${event.action}${label}${where}, via ${event.via}${event.fua === true ? ", FUA" : ""}`;
    }
    case "ok":
      return `operation ${String(event.op)}: acknowledged${event.content === undefined ? "" : `; ${contentWords(event.content)}`}`;
    case "fail":
      return `operation ${String(event.op)}: failed: ${event.error}`;
    case "disconnect":
      return `the device went away: ${event.why}`;
    case "fault":
      return `${event.fault} on ${event.on}: ${event.action} ${event.edge}${event.detail === undefined ? "" : `: ${event.detail}`}`;
    case "evidence":
      return `${event.fault}: ${event.bit ? "it bit" : "IT DID NOT BITE"}, ${event.gone ? "it is gone" : "IT IS STILL THERE"}: ${event.text}`;
    case "session":
      return `path ${event.path}, session ${event.sid}: ${event.state}${event.device === undefined ? "" : ` (${event.device})`}`;
    case "daemon":
      return `${event.node}: ${counted(event.count, `process`)} of ${event.name}`;
    case "syslog":
      return `${event.node}, ${event.program}: ${event.line}`;
    case "logout":
      return event.edge === "begin"
        ? `path ${event.path}, session ${event.sid}: logout asked for, to be done within ${String(event.withinMs)} ms`
        : `path ${event.path}, session ${event.sid}: logout ${event.exitCode === undefined ? "never returned" : `returned ${String(event.exitCode)}`}${event.text === undefined || event.text === "" ? "" : `: ${event.text}`}`;
    case "instrument":
      return `the instrument ${event.name} of the initiator's kernel is set to ${String(event.ms)} ms`;
    case "socket":
      return `${event.node}, path ${event.path}, ${event.local}: ${event.state}${event.orphan ? ", orphan" : ""}, ${formatBytes(event.sendQueueBytes)} to send`;
    case "queue-pair":
      return `${event.node}, path ${event.path}, queue pair ${String(event.number)} to ${String(event.peer)}: ${event.state}`;
    case "multipath":
      return `dm-multipath, path ${event.path}: ${event.state}`;
    case "console":
      return `${event.node}: ${event.line}`;
    case "node":
      return `${event.node}: ${event.state}${event.detail === undefined ? "" : `: ${event.detail}`}`;
    case "load":
      return `${event.node}: waited ${String(event.waitMs)} ms for a CPU of the machine, in a window of ${String(event.windowMs)} ms`;
    case "late":
      return `${event.node}: its watch woke up ${String(event.ms)} ms late`;
    case "note":
      return event.text;
  }
};

export const hiddenWords = (left: { operations: number; consoleLines: number; others: number }): string =>
  [
    left.operations > 0 ? counted(left.operations, "operation") : "",
    left.consoleLines > 0 ? counted(left.consoleLines, "console line") : "",
    left.others > 0 ? counted(left.others, "other event") : "",
  ]
    .filter(words => words !== "")
    .join(", ");
