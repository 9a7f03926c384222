/**
 * Says in two or three sentences why a violation is one, with everything needed to follow it: which operations, when
 * they were invoked and answered, who saw what before, and how long after which fault. The lines point at the same facts
 * in history.ndjson.
 */
import { type FaultSpan, type Operation, seconds } from "../history/view.ts";
import { fillerOwner } from "../workload/stamp.ts";
import type { BadExtent } from "./finding.ts";
import { INITIAL } from "./register.ts";
import type { Operations, Proof, Violation } from "./violation.ts";
import { capital, faultRelation, labelOf, lifeWords, linesOf, operationWords, sectorWords, viaWords } from "./words.ts";

type OrderProof = Extract<Proof, { missing: number }>;
type TornProof = Extract<Proof, { kind: "torn" }>;
type ForeignProof = Extract<Proof, { kind: "foreign" }>;

/** One line for a finding of this violation's class; the more damning of two comes first when they are mixed. */
export const TITLES = [
  "older data over newer acknowledged data",
  "older data over newer data that had been read",
  "failed write took effect after its error",
  "acknowledged write lost",
  "sector made of parts of different writes",
  "data at the wrong address",
  "data that no operation wrote",
  "sectors unreadable after every fault was healed",
] as const;

export const titleOf = (proof: Proof): (typeof TITLES)[number] => {
  switch (proof.kind) {
    case "stale":
      return proof.acknowledged ? TITLES[0] : TITLES[1];
    case "late":
      return TITLES[2];
    case "lost":
      return TITLES[3];
    case "torn":
      return TITLES[4];
    case "misdirected":
      return TITLES[5];
    case "foreign":
      return TITLES[6];
    case "unreadable":
      return TITLES[7];
  }
};

/** "Sectors 8 to 15 held X when read 9 through the initiator was answered at 3 s, 1 s after f was healed". */
const scene = (violation: Violation, what: string, relation: string | undefined): string => {
  const { read } = violation;
  const after = relation === undefined ? "" : `, ${relation}`;
  const sectors = sectorWords(violation.sector, violation.sectors);
  return `${sectors} held ${what}, when ${operationWords(read)} ${viaWords(read.via)} was answered at ${seconds(read.doneNs)}${after}.`;
};

const foundWords = (found: Operation | undefined): string =>
  found === undefined ? operationWords(found) : `the data of ${operationWords(found)}, ${lifeWords(found)}`;

/** Why the rival's data came after the found data. */
const orderWords = ({ found, rival, seen }: OrderProof): string => {
  if (rival === undefined) return "Zeros, as before the first write, had been seen in place since";
  const since = found !== undefined && rival.invokeNs > found.doneNs ? ", after that," : "";
  const invoked = `${capital(operationWords(rival))} was invoked at ${seconds(rival.invokeNs)}${since}`;
  const answered =
    rival.state === "ok"
      ? ` and acknowledged at ${seconds(rival.doneNs)}`
      : seen === undefined
        ? ""
        : " and had its effect";
  return `${invoked}${answered}`;
};

const staleWords = (proof: OrderProof): string => {
  const { rival, seen, missing } = proof;
  if (seen !== undefined) {
    const sight = `${operationWords(seen)} ${viaWords(seen.via)} found ${rival === undefined ? "them" : "its data"} there at ${seconds(seen.doneNs)}`;
    return `${orderWords(proof)}, and ${sight}: it was in place, and the older data came over it.`;
  }
  const several = missing > 1 ? ` ${missing} newer writes are gone at once, so the older data came over them.` : "";
  return `${orderWords(proof)}, so nothing older may stand there.${several}`;
};

const lateWords = (proof: OrderProof): string => {
  const { rival, seen } = proof;
  const before =
    seen === undefined
      ? ""
      : ` After that error, ${operationWords(seen)} ${viaWords(seen.via)} still found ${rival === undefined ? "zeros" : `the data of ${operationWords(rival)}`} at ${seconds(seen.doneNs)}.`;
  return `The write took effect after its error was returned: whoever got the error could rely on it being over.${before}`;
};

const lostWords = (proof: OrderProof): string =>
  `${orderWords(proof)}, but no read ever found its data: the sectors hold what they would hold had it never been executed.`;

const tornWords = ({ extent, found }: TornProof, operations: Operations): string => {
  const owner = fillerOwner(extent.head, extent.badFrom);
  const other = [...operations.values()].find(({ op, action }) => action === "write" && op >>> 0 === owner?.op);
  const rest =
    owner === undefined || other === undefined
      ? "something that no write of this cell put there"
      : `the data of ${operationWords(other)} for sector ${owner.address}`;
  return `It begins as sector ${extent.i} of ${operationWords(found)}, but its checksum is wrong: from byte ${extent.badFrom} of 512 it is ${rest}.`;
};

const foreignWords = ({ extent, early }: ForeignProof): string => {
  if (early !== undefined) {
    return `${capital(operationWords(early))} was invoked only at ${seconds(early.invokeNs)}: its data was read before it was written.`;
  }
  if (extent.is === "foreign") {
    return extent.otherRun === true
      ? "They are intact sectors of another run or cell, which had no business on this disk."
      : `They carry no stamp of the ledger; the first bytes are ${extent.head.slice(0, 32)}.`;
  }
  const named = extent.is === "zero" ? "an operation" : `operation ${extent.op}`;
  return `The stamp names ${named}, but no write of that number wrote this sector in this cell.`;
};

/** The explanation and the lines of the history that prove it. */
export const explain = (
  violation: Violation,
  operations: Operations,
  faults: readonly FaultSpan[],
): { text: string; lines: number[] } => {
  const { proof, read } = violation;
  const answered = Number.isFinite(read.doneNs) ? read.doneNs : read.invokeNs;
  const relation = faultRelation(faults, answered);
  const readLines = [read.doneLine ?? read.invokeLine];
  switch (proof.kind) {
    case "stale":
    case "late":
    case "lost": {
      const words = { stale: staleWords, late: lateWords, lost: lostWords }[proof.kind](proof);
      const { found, rival, seen } = proof;
      const ends = [found?.invokeLine, found?.doneLine, rival?.invokeLine, rival?.doneLine, seen?.doneLine];
      return {
        text: `${scene(violation, foundWords(found), relation.words)} ${words}`,
        lines: linesOf([...readLines, ...ends, relation.line]),
      };
    }
    case "torn":
      return {
        text: `${scene(violation, `a damaged sector of ${operationWords(proof.found)}`, relation.words)} ${tornWords(proof, operations)}`,
        lines: linesOf([...readLines, proof.found.invokeLine, proof.found.doneLine, relation.line]),
      };
    case "misdirected": {
      const belongs = proof.extent.address + violation.sector - proof.extent.at;
      return {
        text: `${scene(violation, foundWords(proof.found), relation.words)} That write put it at sector ${belongs}; here it is ${Math.abs(belongs - violation.sector)} sectors from home.`,
        lines: linesOf([...readLines, proof.found.invokeLine, proof.found.doneLine, relation.line]),
      };
    }
    case "foreign":
      return {
        text: `${scene(violation, "data that no operation wrote", relation.words)} ${foreignWords(proof)}`,
        lines: linesOf([...readLines, proof.early?.invokeLine, relation.line]),
      };
    case "unreadable": {
      const answer =
        read.state === "fail" ? `failed at ${seconds(read.doneNs)} with "${read.error ?? ""}"` : "was never answered";
      const when = proof.readBack ? "It belongs to the final read-back." : "Every fault had been healed by then.";
      const after = relation.words === undefined ? "" : `, ${relation.words}`;
      return {
        text: `${capital(operationWords(read))} of ${sectorWords(read.sector, read.sectors).toLowerCase()} ${viaWords(read.via)}, invoked at ${seconds(read.invokeNs)}, ${answer}${after}. ${when}`,
        lines: linesOf([...readLines, read.invokeLine, relation.line]),
      };
    }
  }
};

/** The violation as the report shows it. */
export const badExtentOf = (violation: Violation, operations: Operations): BadExtent => {
  const { proof, read } = violation;
  const expected = violation.expected.map(op => ({
    op,
    label: op === INITIAL ? "zeros" : labelOf(operations.get(op)),
  }));
  return { sector: violation.sector, sectors: violation.sectors, via: read.via, expected, found: foundOf(proof, read) };
};

const foundOf = (proof: Proof, read: Operation): BadExtent["found"] => {
  switch (proof.kind) {
    case "stale":
    case "late":
    case "lost":
      return { ...(proof.found === undefined ? {} : { op: proof.found.op }), label: labelOf(proof.found) };
    case "torn": {
      const { badFrom, head } = proof.extent;
      return { op: proof.found.op, label: `${labelOf(proof.found)}, damaged from byte ${badFrom}`, head };
    }
    case "misdirected":
      return { op: proof.found.op, label: `${labelOf(proof.found)} of sector ${proof.extent.address}` };
    case "foreign": {
      if (proof.early !== undefined) return { op: proof.early.op, label: `${labelOf(proof.early)}, not yet written` };
      const { extent } = proof;
      if (extent.is !== "foreign") return { label: "data of no operation" };
      return {
        label: extent.otherRun === true ? "data of another run" : "bytes no operation wrote",
        head: extent.head,
      };
    }
    case "unreadable":
      return { label: read.state === "fail" ? `error: ${read.error ?? ""}` : "no answer" };
  }
};
