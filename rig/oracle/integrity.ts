/**
 * Did the disk keep its promise? Every sector is a register of its own (see register.ts), and every read, through the
 * initiator or from the target's backing device behind its back, must be explained by the writes: acknowledged ones took
 * effect between invocation and acknowledgement, failed ones at most before their error, unanswered ones at any time.
 * The decision is exact: a history without an explanation is always found, and one with an explanation never blamed.
 */
import { READ_BACK_PHASE } from "../core/names.ts";
import type { History } from "../history/event.ts";
import {
  allHealedNs,
  endedNs,
  type FaultSpan,
  faultsOf,
  type Operation,
  operationsOf,
  phaseOf,
} from "../history/view.ts";
import type { BadExtent, Finding } from "./finding.ts";
import { badExtentOf, explain, TITLES, titleOf } from "./integrity-words.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { type Segment, segmentsOf } from "./segments.ts";
import { INTEGRITY_CLASSES, type Operations, type Violation, violationsOf } from "./violation.ts";
import { plural } from "./words.ts";

/** At most this many bad extents are listed in one finding. */
export const MAX_EXTENTS = 200;

/**
 * Reads that got no data although nothing was broken any more, or that belong to the final read-back. One that went through an
 * initiator that died tells of its death and not of the disk: the kernel log has the cause.
 */
const unreadable = (history: History, operations: Operations, faults: readonly FaultSpan[]): Violation[] => {
  const healedNs = allHealedNs(faults);
  const readBack = phaseOf(history, READ_BACK_PHASE);
  const inReadBack = (read: Operation) =>
    readBack !== undefined && read.invokeNs >= readBack.beginNs && read.invokeNs <= readBack.endNs;
  const diedNs = endedNs(history, "initiator");
  const ofTheDead = (read: Operation) =>
    read.via === "initiator" && diedNs.some(t => t <= read.doneNs && t < (readBack?.endNs ?? 0));
  return [...operations.values()]
    .filter(({ action, state }) => action === "read" && state !== "ok")
    .filter(read => !ofTheDead(read))
    .filter(read => inReadBack(read) || (read.state === "fail" && read.invokeNs > healedNs))
    .map(read => ({
      class: "unreadable",
      sector: read.sector,
      sectors: read.sectors,
      read,
      expected: [],
      proof: { kind: "unreadable", readBack: inReadBack(read) },
    }));
};

/** Adjacent violations that are one: the same read found the same wrong thing in place of the same right ones. */
const joined = (violations: readonly Violation[], operations: Operations): Violation[] => {
  const result: Violation[] = [];
  const open = new Map<string, number>();
  for (const violation of violations) {
    const { found } = badExtentOf(violation, operations);
    const key = JSON.stringify([
      violation.read.op,
      titleOf(violation.proof),
      found.op,
      found.label,
      violation.expected,
    ]);
    const place = open.get(key);
    const before = place === undefined ? undefined : result[place];
    if (place !== undefined && before !== undefined && before.sector + before.sectors === violation.sector) {
      result[place] = { ...before, sectors: before.sectors + violation.sectors };
    } else {
      open.set(key, result.length);
      result.push(violation);
    }
  }
  return result;
};

const total = (violations: readonly Violation[], listed: number): string => {
  if (violations.length === 1) return "";
  const sectors = violations.reduce((sum, violation) => sum + violation.sectors, 0);
  const reads = new Set(violations.map(({ read }) => read.op)).size;
  const cut = listed < violations.length ? `; the first ${listed} runs are listed` : "";
  return ` In all, ${plural(reads, "read")} found this in ${plural(violations.length, "run")} of sectors, ${plural(sectors, "sector")} together${cut}.`;
};

/** One finding for all violations of a class. The most damning one that was seen first is explained. */
const findingOf = (
  violations: readonly Violation[],
  operations: Operations,
  faults: readonly FaultSpan[],
): Finding | undefined => {
  const rank = ({ proof }: Violation) => TITLES.indexOf(titleOf(proof));
  const sorted = [...violations].sort((a, b) => rank(a) - rank(b) || a.read.invokeNs - b.read.invokeNs);
  const [first] = sorted;
  if (first === undefined) return undefined;
  const extents: BadExtent[] = sorted.slice(0, MAX_EXTENTS).map(violation => badExtentOf(violation, operations));
  const { text, lines } = explain(first, operations, faults);
  return {
    oracle: "integrity",
    class: first.class,
    title: titleOf(first.proof),
    explanation: `${text}${total(violations, extents.length)}`,
    lines,
    extents,
  };
};

/** Why nothing can be said about the disk: nothing was acknowledged, or it was not read back completely. */
const blindness = (operations: Operations, segments: readonly Segment[]): string | undefined => {
  const writes = [...operations.values()].filter(({ action }) => action === "write");
  if (!writes.some(({ state }) => state === "ok"))
    return "No write was acknowledged, so there is nothing to hold the disk to.";
  const lastNs = writes.reduce((last, w) => Math.max(last, w.state === "unanswered" ? w.invokeNs : w.doneNs), 0);
  for (const via of ["initiator", "backing"] as const) {
    const how = via === "initiator" ? "through the initiator" : "from the target's backing device";
    const isFinal = (read: Operation) => read.via === via && read.invokeNs >= lastNs;
    const due = segments.filter(segment => segment.writes.some(({ state }) => state === "ok"));
    const missed = due.filter(segment => !segment.sightings.some(({ read }) => isFinal(read)));
    if (missed.length === due.length) return `No final read: nothing was read ${how} after the last write was over.`;
    if (missed.length === 0) continue;
    const count = (of: readonly Segment[]) => of.reduce((sum, { sectors }) => sum + sectors, 0);
    return `The final read is incomplete: ${count(missed)} of ${plural(count(due), "sector")} with acknowledged data were not read ${how} after the last write was over.`;
  }
  return undefined;
};

export const integrityOracle: Oracle = {
  name: "integrity",
  judge(history: History): Judgement {
    const operations = operationsOf(history);
    const faults = faultsOf(history);
    const segments = segmentsOf(operations.values());
    const violations = segments.flatMap(segment => violationsOf(segment, operations));
    const all = Map.groupBy(
      [...joined(violations, operations), ...unreadable(history, operations, faults)],
      violation => violation.class,
    );
    const findings = INTEGRITY_CLASSES.map(name => findingOf(all.get(name) ?? [], operations, faults));
    const blind = blindness(operations, segments);
    const found = { findings: findings.filter(finding => finding !== undefined) };
    return blind === undefined ? found : { ...found, blind };
  },
};
