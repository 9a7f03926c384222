/** One event in one line of words, for lists, titles and screen readers. */
import type { EventOf, HistoryEvent } from "../../rig/history/event.ts";
import type { Extent } from "../../rig/history/extent.ts";
import type { LeftOut } from "../../rig/report/bundle.ts";
import { counted, formatBytes, formatMs, sectorRange } from "./units.ts";

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

const SHOWN_NAMES = 6;
const SHOWN_FRAMES = 4;

const listed = (names: readonly string[], most: number): string =>
  names.length > most ? `${names.slice(0, most).join(", ")} and ${String(names.length - most)} more` : names.join(", ");

/** Whose command it is: `a#1, CmdSN 7, tag 0x1f`, as far as it is known. */
export const commandName = (command: {
  readonly session?: string | undefined;
  readonly path?: string | undefined;
  readonly cmdSN?: number | undefined;
  readonly tag: number;
}): string => {
  const { session, path, cmdSN, tag } = command;
  const whose = session ?? (path === undefined ? "session unknown" : `path ${path}`);
  return `${whose}${cmdSN === undefined ? "" : `, CmdSN ${String(cmdSN)}`}, tag 0x${tag.toString(16)}`;
};

const commandWords = (event: EventOf<"command">): string => {
  const { action, lun, sector, sectors, fua, status, receivedNs, doneNs, t } = event;
  const where = sectors === 0 ? "" : `, ${sectorRange(sector, sectors)}`;
  const waited = receivedNs === undefined ? "" : `, ${formatMs((t - receivedNs) / 1e6)} after it came in`;
  const took = doneNs === undefined ? "" : `, done ${formatMs((doneNs - t) / 1e6)} later`;
  const how = status === undefined || status === 0 ? "" : `, status ${String(status)}`;
  return `the target executes ${action} of LUN ${String(lun)}${where}${fua === true ? ", FUA" : ""} (${commandName(event)})${waited}${took}${how}`;
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
    case "device":
      return `device ${String(event.id)} (${event.name}): LUN ${String(event.lun)}, ${sectorRange(0, event.sectors)}${event.path === undefined ? "" : `, over path ${event.path} alone`}, ${event.cache === "volatile" ? "volatile cache" : "no cache"}`;
    case "power-cut":
      return event.edge === "begin"
        ? `the power of the ${event.node} is cut`
        : `the power of the ${event.node} is gone`;
    case "command":
      return commandWords(event);
    case "witness":
      return `second witness, ${event.by}${event.whole ? "" : ", not whole"}, clocks within ${formatMs(event.skewNs / 1e6)}: ${event.text}`;
    case "inventory":
      return `${event.node}, ${event.when === "begin" ? "at the beginning" : "at the end"}: ${counted(event.names.length, event.thing)}${event.names.length === 0 ? "" : `: ${listed(event.names, SHOWN_NAMES)}`}`;
    case "blocked-task":
      return `${event.node}: ${event.comm} (pid ${String(event.pid)}) is blocked in ${listed(event.frames, SHOWN_FRAMES)}`;
    case "stopped":
      return `the cell was stopped: ${event.message} (${event.code})`;
    case "note":
      return event.text;
  }
};

export const hiddenWords = (left: LeftOut): string =>
  [
    left.operations > 0 ? counted(left.operations, "operation") : "",
    left.commands > 0 ? counted(left.commands, "command of the target", "commands of the target") : "",
    left.consoleLines > 0 ? counted(left.consoleLines, "console line") : "",
    left.others > 0 ? counted(left.others, "other event") : "",
  ]
    .filter(words => words !== "")
    .join(", ");
