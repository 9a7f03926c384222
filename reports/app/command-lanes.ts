/**
 * Lanes of what the target executed, one a path, each command a tick at its moment. This is the second witness's account:
 * it shows in which order the writes of both paths reached the disk, and which of them a finding names.
 */
import type { BadCommand, Finding } from "../../rig/oracle/finding.ts";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { eventWords } from "./event-words.ts";
import type { Moment } from "./moment.ts";
import type { Bar, Lane } from "./spans.ts";
import { counted, secondsOf } from "./units.ts";

/** The title of their group. */
export const COMMANDS = "target executes";

/** What tells a command from all others of a cell. */
export const commandKey = (tag: number, executedNs: number): string => `${String(tag)} ${String(executedNs)}`;

/** The commands that findings name, each once, in the order of execution. */
export const namedCommands = (finding: Pick<Finding, "extents">): readonly BadCommand[] => {
  const commands = (finding.extents ?? []).flatMap(extent => extent.commands ?? []);
  const known = new Map(commands.map(command => [commandKey(command.tag, command.executedNs), command]));
  return [...known.values()].sort((a, b) => a.executedNs - b.executedNs || a.sector - b.sector);
};

/** When the target executed what findings name: one line for what came over one path. */
export const commandMoments = (events: readonly NumberedEvent[], findings: readonly Finding[]): Moment[] => {
  const named = findings.flatMap(finding => namedCommands(finding).map(command => ({ command, finding })));
  const lines = new Map(
    events.flatMap(([n, e]) => (e.kind === "command" ? [[commandKey(e.tag, e.t), n] as const] : [])),
  );
  const groups = Map.groupBy(named, ({ command, finding }) => `${command.path ?? ""} ${finding.class}`);
  return [...groups.values()].flatMap((group): Moment[] => {
    const [first] = group;
    if (first === undefined) return [];
    const { command, finding } = first;
    const line = lines.get(commandKey(command.tag, command.executedNs));
    if (line === undefined) return [];
    const over = command.path === undefined ? "" : ` that came over path ${command.path}`;
    const text = `The target executes ${counted(group.length, "command")}${over}, and with ${group.length === 1 ? "it" : "them"} the ${finding.class} data`;
    return [{ at: secondsOf(command.executedNs), line, tone: "alarm", text }];
  });
};

export const commandLanes = (events: readonly NumberedEvent[], findings: readonly Finding[]): Lane[] => {
  const named = new Set(findings.flatMap(f => namedCommands(f).map(c => commandKey(c.tag, c.executedNs))));
  const ticks = events.flatMap(([line, event]) => {
    if (event.kind !== "command" || event.action === "read" || event.action === "other") return [];
    const at = secondsOf(event.t);
    const tone = named.has(commandKey(event.tag, event.t)) ? "culprit" : "executed";
    const bar: Bar = { from: at, to: at, open: false, text: "", tone, detail: eventWords(event), line, row: 0 };
    return [{ label: event.path === undefined ? "path unknown" : `path ${event.path}`, bar }];
  });
  return [...Map.groupBy(ticks, ({ label }) => label)]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([label, own]): Lane => {
      const bars = own.map(({ bar }) => bar);
      const culprits = bars.filter(bar => bar.tone === "culprit").length;
      const note = { text: `${counted(culprits, "command")} named`, tone: "alarm" } as const;
      return { label, look: "thin", bars, rows: 1, ...(culprits > 0 ? { note } : {}) };
    });
};
