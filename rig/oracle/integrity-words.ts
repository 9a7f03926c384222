/**
 * Says in a few sentences why a violation is one, with everything needed to follow it: which operations, when they were
 * invoked and answered, who saw what before, how long after which fault, and what would have been legal. The lines point
 * at the same facts in history.ndjson.
 */
import type { History } from "../history/event.ts";
import type { Operation, OperationTable } from "../history/operations.ts";
import { eventsOf, type FaultSpan, seconds } from "../history/view.ts";
import { fillerOwner } from "../workload/stamp.ts";
import { RIVALS } from "./diagnosis.ts";
import { guessAt } from "./integrity-guess.ts";
import { legalWords } from "./integrity-legal.ts";
import { homeOf } from "./integrity-titles.ts";
import { foreignBytes, type OrderProof, type Proof, type Violation } from "./violation.ts";
import { capital, faultRelation, lifeWords, linesOf, operationWords, sectorWords, viaWords } from "./words.ts";

type TornProof = Extract<Proof, { kind: "torn" }>;

/** What an explanation is made from. */
export interface Telling {
  readonly history: History;
  readonly table: OperationTable;
  readonly faults: readonly FaultSpan[];
}

export interface Explanation {
  readonly text: string;
  readonly lines: (number | undefined)[];
}

const operationOf = ({ table }: Telling, op: number | undefined): Operation | undefined =>
  op === undefined ? undefined : table.get(op);

/** "Sectors 8 to 15 held X when read 9 through the initiator was answered at 3 s, 1 s after f was healed". */
const scene = (violation: Violation, read: Operation, what: string, relation: string | undefined): string => {
  const after = relation === undefined ? "" : `, ${relation}`;
  const where = violation.disk.lun === undefined ? "" : ` of LUN ${violation.disk.lun}`;
  const sectors = `${sectorWords(violation.sector, violation.sectors)}${where}`;
  return `${sectors} held ${what}, when ${operationWords(read)} ${viaWords(read.via)} was answered at ${seconds(read.doneNs)}${after}.`;
};

const foundWords = (found: Operation | undefined): string =>
  found === undefined
    ? operationWords(found)
    : found.action === "write"
      ? `the data of ${operationWords(found)}, ${lifeWords(found)}`
      : `the zeros of ${operationWords(found)}, ${lifeWords(found)}`;

/** Why the rival's data came after the found data. */
const orderWords = (
  found: Operation | undefined,
  rival: Operation | undefined,
  seen: Operation | undefined,
): string => {
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

const sightWords = (seen: Operation, rival: Operation | undefined): string =>
  `${operationWords(seen)} ${viaWords(seen.via)} found ${rival === undefined ? "them" : "its data"} there at ${seconds(seen.doneNs)}`;

/** Through which flush, or FUA, the rival had to survive, and the lines that show it. */
const survivalWords = ({ disk }: Violation, proof: OrderProof, rival: Operation, telling: Telling): Explanation => {
  const cut = disk.cuts[proof.cut ?? -1];
  if (cut === undefined) return { text: "", lines: [] };
  const power = eventsOf(telling.history, "power-cut").find(({ event }) => event.t === cut.beginNs);
  const at = `the power cut at ${seconds(cut.beginNs)}`;
  const flush = disk.flushes.find(({ startNs, endNs }) => startNs > rival.doneNs && endNs < cut.beginNs);
  if (flush === undefined) {
    const text = `It was written with FUA and acknowledged before ${at}, so it had to survive that.`;
    return { text, lines: [power?.line] };
  }
  const operation = telling.table.get(flush.op);
  const text = `Flush ${flush.op} was invoked after it was acknowledged, at ${seconds(flush.startNs)}, and completed at ${seconds(flush.endNs)}, before ${at}, so it had to survive that.`;
  return { text, lines: [operation?.invokeLine, operation?.doneLine, power?.line] };
};

const orderProofWords = (violation: Violation, proof: OrderProof, telling: Telling): Explanation => {
  const found = operationOf(telling, proof.found);
  const rival = operationOf(telling, proof.rival);
  const seen = operationOf(telling, proof.seen);
  if (proof.missing === 0) return { text: "No order of the writes and reads allows it.", lines: [] };
  const order = orderWords(found, rival, seen);
  switch (proof.kind) {
    case "stale": {
      if (seen !== undefined) {
        return {
          text: `${order}, and ${sightWords(seen, rival)}: it was in place, and the older data came over it.`,
          lines: [],
        };
      }
      const { missing } = proof;
      const many = `${missing < RIVALS ? "" : "At least "}${missing} newer writes`;
      const several = missing > 1 ? ` ${many} are gone at once, so the older data came over them.` : "";
      return { text: `${order}, so nothing older may stand there.${several}`, lines: [] };
    }
    case "late": {
      const held = rival === undefined ? "zeros" : `the data of ${operationWords(rival)}`;
      const before =
        seen === undefined
          ? ""
          : ` After that error, ${operationWords(seen)} ${viaWords(seen.via)} still found ${held} at ${seconds(seen.doneNs)}.`;
      const text = `The write took effect after its error was returned: whoever got the error could rely on it being over.${before}`;
      return { text, lines: [] };
    }
    case "returned": {
      const sight = seen === undefined ? "" : `, and ${sightWords(seen, rival)}`;
      return { text: `${order}${sight}: nothing wrote the other data since, and yet they stand there.`, lines: [] };
    }
    case "lost": {
      if (proof.cut === undefined || rival === undefined) {
        const text = `${order}, but no read ever found its data: the sectors hold what they would hold had it never been executed.`;
        return { text, lines: [] };
      }
      const survival = survivalWords(violation, proof, rival, telling);
      return { text: `${order}. ${survival.text} Its data were gone afterwards.`, lines: survival.lines };
    }
  }
};

const tornWords = ({ extent, found }: TornProof, telling: Telling): string => {
  const owner = fillerOwner(extent.head, extent.badFrom);
  const other = operationOf(telling, owner?.op);
  const rest =
    owner === undefined || other?.action !== "write"
      ? "something that no write of this cell put there"
      : `the data of ${operationWords(other)} for sector ${owner.address}`;
  return `It begins as sector ${extent.i} of ${operationWords(operationOf(telling, found))}, but its checksum is wrong: from byte ${extent.badFrom} of 512 it is ${rest}.`;
};

const foreignWords = (proof: Extract<Proof, { kind: "foreign" }>): string => {
  const bytes = foreignBytes(proof);
  if (bytes !== undefined) {
    if (bytes.otherRun === true) {
      return "They are intact sectors of another run or cell, which had no business on this disk.";
    }
    const guess = guessAt(bytes.head);
    return `They carry no stamp of the ledger; the first bytes are ${bytes.head.slice(0, 32)}.${guess === undefined ? "" : ` ${guess}`}`;
  }
  const { extent } = proof;
  const named = "op" in extent ? `operation ${extent.op}` : "an operation";
  return `The stamp names ${named}, but no write of that number wrote this sector in this cell.`;
};

const unreadableWords = (read: Operation, relation: string | undefined): string => {
  const answer =
    read.state === "fail" ? `failed at ${seconds(read.doneNs)} with "${read.error ?? ""}"` : "was never answered";
  const after = relation === undefined ? "" : `, ${relation}`;
  return `${capital(operationWords(read))} of ${sectorWords(read.sector, read.sectors).toLowerCase()} ${viaWords(read.via)}, invoked at ${seconds(read.invokeNs)}, ${answer}${after}. It belongs to the final read-back.`;
};

/** "device 2, which is LUN 9". */
const diskWords = ({ history }: Telling, device: number): string => {
  const lun = eventsOf(history, "device").find(({ event }) => event.id === device)?.event.lun;
  return `device ${device}${lun === undefined ? "" : `, which is LUN ${lun}`}`;
};

const linesOfOperation = (operation: Operation | undefined): (number | undefined)[] => [
  operation?.invokeLine,
  operation?.doneLine,
];

/** What was found, why it is wrong, and the lines that show it. */
const proven = (violation: Violation, read: Operation, relation: string | undefined, telling: Telling): Explanation => {
  const { proof } = violation;
  const seenAs = (what: string) => scene(violation, read, what, relation);
  switch (proof.kind) {
    case "stale":
    case "late":
    case "returned":
    case "lost": {
      const found = operationOf(telling, proof.found);
      const words = orderProofWords(violation, proof, telling);
      const ends = [...linesOfOperation(found), ...linesOfOperation(operationOf(telling, proof.rival))];
      const seen = operationOf(telling, proof.seen);
      return { text: `${seenAs(foundWords(found))} ${words.text}`, lines: [...ends, seen?.doneLine, ...words.lines] };
    }
    case "torn": {
      const found = operationOf(telling, proof.found);
      const text = `${seenAs(`a damaged sector of ${operationWords(found)}`)} ${tornWords(proof, telling)}`;
      return { text, lines: linesOfOperation(found) };
    }
    case "misdirected": {
      const found = operationOf(telling, proof.found);
      const belongs = homeOf(proof.extent) + violation.sector - proof.extent.at;
      const far = Math.abs(belongs - violation.sector);
      const moved = far === 0 ? [] : [`here it is ${far} sectors from home`];
      const device = found?.device ?? 0;
      const strange = violation.disk.devices[device] === 0;
      const away = [...(strange ? ["it is that of another disk"] : []), ...moved].join(", and ");
      const home = `That write put it at sector ${belongs}${strange ? ` of ${diskWords(telling, device)}` : ""}; ${away}.`;
      return { text: `${seenAs(foundWords(found))} ${home}`, lines: linesOfOperation(found) };
    }
    case "early": {
      const found = operationOf(telling, proof.found);
      const name = operationWords(found);
      const text = `${seenAs(`the data of ${name}`)} ${capital(name)} was invoked only at ${seconds(found?.invokeNs ?? 0)}: its data was read before it was written.`;
      return { text, lines: [found?.invokeLine] };
    }
    case "foreign":
      return { text: `${seenAs("data that no operation wrote")} ${foreignWords(proof)}`, lines: [] };
    case "unreadable":
      return { text: unreadableWords(read, relation), lines: [read.invokeLine] };
  }
};

/** The explanation and the lines of the history that prove it. */
export const explain = (violation: Violation, telling: Telling): { text: string; lines: number[] } => {
  const read = telling.table.get(violation.read);
  if (read === undefined) return { text: "", lines: [] };
  const answered = Number.isFinite(read.doneNs) ? read.doneNs : read.invokeNs;
  const relation = faultRelation(telling.faults, answered);
  const { text, lines } = proven(violation, read, relation.words, telling);
  const legal = legalWords(violation, telling.table);
  return {
    text: legal === "" ? text : `${text} ${legal}`,
    lines: linesOf([read.doneLine ?? read.invokeLine, ...lines, relation.line]),
  };
};
