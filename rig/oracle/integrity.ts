/**
 * Did the disk keep its promise? Every sector is a register of its own (see register.ts), and every read, through the
 * initiator or from the target's backing device behind its back, must be explained by the writes: acknowledged ones took
 * effect between invocation and acknowledgement, failed ones at most before their error, unanswered ones at any time.
 * The decision is exact: a history without an explanation is always found, and one with an explanation never blamed. Two
 * things leave the first half open, never the second: zeros that several operations may have left (register-zeros.ts),
 * and a power cut that more operations span than can be tried (register-cuts.ts).
 *
 * Nearly every sector is beyond doubt at a glance (segments-judge.ts); objects are made only of the others.
 */
import type { History } from "../history/event.ts";
import { ACTION, BACKING, STATE } from "../history/operations.ts";
import { type FaultSpan, faultsOf } from "../history/view.ts";
import type { Finding } from "./finding.ts";
import { Sight } from "./integrity-blind.ts";
import { disksOf } from "./integrity-disks.ts";
import { badExtentOf } from "./integrity-extents.ts";
import { ViolationRuns } from "./integrity-runs.ts";
import { titleOf } from "./integrity-titles.ts";
import { cutOffReadBack, unreadable } from "./integrity-unreadable.ts";
import { Witness } from "./integrity-witness.ts";
import { explain } from "./integrity-words.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import { eachSegment, ownersOf, type SegmentLimits } from "./segments.ts";
import { SegmentJudge } from "./segments-judge.ts";
import { INTEGRITY_CLASSES, type IntegrityClass, violationsOf } from "./violation.ts";
import { linesOf, plural } from "./words.ts";

/** For so many extents of a finding the target's commands are told. */
const WITNESSED = 8;

/** Why the target's disk image was not read, where that was tried. */
const unreadImage = ({ operations }: History): string | undefined => {
  const { count, action, state, flags, errors } = operations;
  for (let row = 0; row < count; row++) {
    if (action[row] !== ACTION.read || state[row] === STATE.ok || ((flags[row] ?? 0) & BACKING) === 0) continue;
    return `The target's disk image could not be read (read ${row + 1}): ${errors.get(row) ?? "no answer"}.`;
  }
  return undefined;
};

type ClassRuns = NonNullable<ReturnType<ViolationRuns["of"]>>;

const total = ({ runs, sectors, reads }: ClassRuns, listed: number): string => {
  if (runs === 1) return "";
  const cut = listed < runs ? `; the first ${listed} runs are listed` : "";
  return ` In all, ${plural(reads.size, "read")} found this in ${plural(runs, "run")} of sectors, ${plural(sectors, "sector")} together${cut}.`;
};

/** One finding for all violations of a class. The most damning one that was seen first is explained. */
const findingOf = (
  name: IntegrityClass,
  all: ClassRuns | undefined,
  history: History,
  faults: readonly FaultSpan[],
): Finding | undefined => {
  const sorted = all?.best() ?? [];
  const [first] = sorted;
  if (all === undefined || first === undefined) return undefined;
  const table = history.operations;
  const witness = new Witness(history, faults);
  const testimonies = sorted.slice(0, WITNESSED).map(violation => witness.of(violation));
  const { text, lines } = explain(first, { history, table, faults });
  const said = testimonies[0]?.text ?? "";
  return {
    oracle: "integrity",
    class: name,
    title: titleOf(first.proof),
    explanation: `${text}${said === "" ? "" : ` ${said}`}${total(all, sorted.length)}`,
    lines: linesOf([...lines, ...(testimonies[0]?.lines ?? [])]),
    extents: sorted.map((violation, index) => badExtentOf(violation, table, testimonies[index]?.commands)),
  };
};

/** @param limits how much of the disk is looked at at a time; the judgement is the same. */
export const judgeIntegrity = (history: History, limits: SegmentLimits = {}): Judgement => {
  const table = history.operations;
  const owners = ownersOf(table);
  const judge = new SegmentJudge(table);
  const sight = new Sight(table, owners);
  const runs = new ViolationRuns();
  const disks = disksOf(history);
  for (const disk of disks) {
    eachSegment(
      table,
      disk.devices,
      segment => {
        sight.see(segment);
        if (!judge.explained(segment)) runs.add(violationsOf(table, owners, disk, segment));
      },
      limits,
    );
  }
  const faults = faultsOf(history);
  for (const violation of unreadable(history, disks)) runs.add([violation]);
  const findings = INTEGRITY_CLASSES.map(name => findingOf(name, runs.of(name), history, faults));
  const blind = sight.blindness();
  const found = { findings: findings.filter(finding => finding !== undefined) };
  const cutOff = cutOffReadBack(history);
  if (blind === undefined && cutOff === undefined) return found;
  const image = blind === undefined ? undefined : unreadImage(history);
  return { ...found, blind: [blind, cutOff, image].filter(words => words !== undefined).join(" ") };
};

export const integrityOracle: Oracle = { name: "integrity", judge: history => judgeIntegrity(history) };
