/**
 * Did a kernel complain? Both nodes' serial consoles are read for the kernel's own reports: panics, oopses, memory
 * errors, lockups, hung tasks, warnings. No ssh is needed, so a kernel that died is heard too.
 */
import { CONSOLE_FULL, NODE_NAMES, type NodeName } from "../core/names.ts";
import type { EventOf, History } from "../history/event.ts";
import { eventsOf, type FaultSpan, faultsOf, type Located, seconds } from "../history/view.ts";
import { type ConsoleReport, reportsOf } from "./console-report.ts";
import { REPORT_CLASSES } from "./console-start.ts";
import type { Finding } from "./finding.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { faultRelation, linesOf } from "./words.ts";

/** Beyond this many titles nobody learns anything new, and a console that makes them up must not fill the results. */
const MAX_TITLES = 50;

type ConsoleLine = Located<EventOf<"console">>;

const rank = (report: ConsoleReport): number => REPORT_CLASSES.indexOf(report.class);

const panicWords = (report: ConsoleReport, lines: readonly ConsoleLine[]): string => {
  if (report.panic === undefined) return "";
  const text = lines[report.panic]?.event.line.replace(/^.*?(?=Kernel panic)/, "") ?? "";
  return ` The kernel did not survive it: "${text.slice(0, 200)}".`;
};

/** One finding for all reports of one title on one node. */
const findingOf = (
  node: NodeName,
  same: readonly ConsoleReport[],
  lines: readonly ConsoleLine[],
  faults: readonly FaultSpan[],
): Finding | undefined => {
  const [first] = same;
  const worst = [...same].sort((a, b) => rank(a) - rank(b))[0];
  const opening = first === undefined ? undefined : lines[first.start];
  if (first === undefined || worst === undefined || opening === undefined) return undefined;
  const relation = faultRelation(faults, opening.event.t);
  const after = relation.words === undefined ? "" : `, ${relation.words}`;
  const times = same.length === 1 ? "" : ` It was reported ${same.length} times.`;
  const where = first.frame === undefined ? "" : ` The report names ${first.frame}.`;
  return {
    oracle: "kernel-log",
    class: worst.class,
    title: first.title,
    explanation: `The ${node}'s kernel reported "${first.title}" on its console at ${seconds(opening.event.t)}${after}.${where}${times}${panicWords(worst, lines)}`,
    lines: linesOf([
      ...same.map(report => lines[report.start]?.line),
      worst.panic === undefined ? undefined : lines[worst.panic]?.line,
      relation.line,
    ]),
    excerpt: [...worst.lines],
  };
};

export const kernelLogOracle: Oracle = {
  name: "kernel-log",
  judge(history: History): Judgement {
    const console = eventsOf(history, "console");
    const faults = faultsOf(history);
    const found: { order: number; finding: Finding }[] = [];
    for (const node of NODE_NAMES) {
      const lines = console.filter(({ event }) => event.node === node);
      const reports = reportsOf(lines.map(({ event }) => event.line));
      for (const same of Map.groupBy(reports, ({ title }) => title).values()) {
        const finding = findingOf(node, same, lines, faults);
        if (finding !== undefined) found.push({ order: Math.min(...same.map(rank)), finding });
      }
    }
    const all = found.sort((a, b) => a.order - b.order).map(({ finding }) => finding);
    const rest = all.length - MAX_TITLES;
    const findings = all
      .slice(0, MAX_TITLES)
      .map((finding, index) =>
        rest > 0 && index === MAX_TITLES - 1
          ? { ...finding, explanation: `${finding.explanation} There are ${rest} more titles.` }
          : finding,
      );
    const silent = NODE_NAMES.filter(node => !console.some(({ event }) => event.node === node));
    const full = NODE_NAMES.filter(node =>
      console.some(({ event }) => event.node === node && event.line === CONSOLE_FULL),
    );
    if (full.length > 0)
      return {
        findings,
        blind: `The ${full.join("'s and the ")}'s console said too much to be read to its end, so a crash may have gone unnoticed.`,
      };
    if (silent.length === 0) return { findings };
    return {
      findings,
      blind: `Nothing was seen of the ${silent.join("'s and the ")}'s console, so a crash would have gone unnoticed.`,
    };
  },
};
