/**
 * What is wrong with a sector, sorted into the classes an engineer would look for in different places. A violation is one
 * read's view of one run of sectors; many of them make one finding.
 *
 * | class | what was read | where to look |
 * | --- | --- | --- |
 * | stale | older data where newer, acknowledged data was | commands that outlive their connection |
 * | lost | what would be there had the write never been executed | a success or a flush reported too early |
 * | torn | a sector made of two | data placed without its digest being checked, reused buffers |
 * | misdirected | a sector that belongs elsewhere | a wrong address or tag |
 * | early | data of a write that had not yet been invoked | the rig: no disk knows what will be written |
 * | foreign | bytes that no operation wrote | freed memory, another run's data |
 * | unreadable | nothing: a read of the final read-back failed | recovery that does not recover |
 */
import type { Extent } from "../history/extent.ts";
import { type OperationTable, STATE } from "../history/operations.ts";
import { type Culprit, diagnose } from "./diagnosis.ts";
import { type CutCulprit, diagnoseThroughCuts } from "./diagnosis-cuts.ts";
import { INITIAL } from "./register.ts";
import { resolveZeros } from "./register-zeros.ts";
import type { SegmentVisit } from "./segments.ts";
import { type ContentProof, type Disk, registerOf, Sights } from "./violation-register.ts";

export const INTEGRITY_CLASSES = ["stale", "lost", "torn", "misdirected", "early", "foreign", "unreadable"] as const;
export type IntegrityClass = (typeof INTEGRITY_CLASSES)[number];

/**
 * Why a read fits no order. `late` is a write that took effect after its error, `returned` newer data that had been replaced,
 * or that a power cut had taken, and that stood there again. All are numbers of operations.
 */
export interface OrderProof {
  readonly kind: "stale" | "late" | "returned" | "lost";
  /** The write whose data was read; undefined for what was there before any write. */
  readonly found: number | undefined;
  /**
   * The write whose data should be there, or newer data than its own; undefined for the content before any write, and where
   * nothing is `missing`: then no single one forbids it.
   */
  readonly rival: number | undefined;
  /** A read that saw the rival's data in place before this one, where there is one. */
  readonly seen: number | undefined;
  /** Whether the rival was acknowledged before the read began and invoked after the found data was in place. */
  readonly acknowledged: boolean;
  /** How many newer writes are missing at once; RIVALS stands for more. */
  readonly missing: number;
  /** The power cut of the disk, by its number, that the rival had to survive and did not, or after which old data came back. */
  readonly cut?: number;
}

/** Why it is a violation, with what the explanation needs. */
export type Proof = OrderProof | ContentProof | { readonly kind: "unreadable" };

export interface Violation {
  readonly class: IntegrityClass;
  readonly disk: Disk;
  readonly sector: number;
  readonly sectors: number;
  /** The read's number, and when it was invoked. */
  readonly read: number;
  readonly startNs: number;
  /** The operations whose data would have been legal, newest first; INITIAL for the content before any write. Not cheap. */
  readonly expected: () => readonly number[];
  readonly proof: Proof;
}

const CLASS_OF = {
  stale: "stale",
  late: "stale",
  returned: "stale",
  lost: "lost",
  torn: "torn",
  misdirected: "misdirected",
  early: "early",
  foreign: "foreign",
  unreadable: "unreadable",
} as const;

export const classOf = (proof: Proof): IntegrityClass => CLASS_OF[proof.kind];

/** The foreign bytes of a proof, or undefined. */
export const foreignBytes = (proof: Proof): Extract<Extent, { is: "foreign" }> | undefined =>
  proof.kind === "foreign" && proof.extent.is === "foreign" ? proof.extent : undefined;

const numbered = (id: number | undefined): number | undefined => (id === INITIAL ? undefined : id);

/** Sorts a read that fits no order into stale, lost, a write that took effect after its error, and data that came back. */
const proofOf = (culprit: Culprit | CutCulprit, sights: Sights, table: OperationTable, { cuts }: Disk): OrderProof => {
  const { found, rivals, read } = culprit;
  const row = found.write.id - 1;
  const failed = row >= 0 && table.state[row] === STATE.fail;
  const newer = rivals.filter(y => y.write.required && y.write.endNs < read.startNs && found.minEnd < y.write.startNs);
  const seenBefore = sights.first(found.write.id, Number.NEGATIVE_INFINITY, found.write.endNs) !== undefined;
  const late = failed && !seenBefore && newer.length === 0 && read.startNs > found.write.endNs;
  const sightOf = (id: number) => sights.first(id, late ? found.write.endNs : Number.NEGATIVE_INFINITY, read.startNs);
  const choice = newer.length > 0 ? newer : rivals;
  const lostThrough = "lost" in culprit ? culprit.lost : undefined;
  const rival = choice.find(({ write }) => sightOf(write.id) !== undefined) ?? choice[0];
  const rest = { found: numbered(found.write.id), acknowledged: newer.length > 0, missing: rivals.length };
  if (lostThrough !== undefined && !late) {
    return { ...rest, kind: "lost", rival: lostThrough.id, seen: undefined, cut: lostThrough.cut };
  }
  const unseen = rivals.every(({ write }) => write.required && !sights.has(write.id));
  const lost = !failed && unseen && (rest.found === undefined || rivals.length === 1);
  const returned = rival !== undefined && rivals.length === 1 && rival.write.startNs < found.write.startNs && !late;
  const kind = late ? "late" : lost ? "lost" : returned ? "returned" : "stale";
  const cut = cuts.findLastIndex(({ beginNs, endNs }) => endNs >= found.write.startNs && beginNs <= read.startNs);
  const through = kind === "returned" && cut >= 0 ? { cut } : {};
  return { ...rest, ...through, kind, rival: numbered(rival?.write.id), seen: rival && sightOf(rival.write.id) };
};

/** Everything that is wrong with one segment. */
export const violationsOf = (
  table: OperationTable,
  owners: Uint32Array,
  disk: Disk,
  segment: SegmentVisit,
): Violation[] => {
  const { uniques, zeroers, reads: seen, wrong } = registerOf(table, owners, disk, segment);
  const cutOff = disk.cuts.length > 0;
  // Through a power cut zeros that may be anybody's are not traced: what they were before it is as uncertain as after it.
  const traceable = cutOff && zeroers.length > 0 ? seen.filter(({ of }) => of !== INITIAL) : seen;
  const reads = cutOff ? traceable : resolveZeros(uniques, zeroers, traceable);
  const writes = [...uniques, ...zeroers];
  const diagnosis = cutOff ? diagnoseThroughCuts(writes, reads, disk.cuts) : diagnose(writes, reads);
  const sights = new Sights(reads);
  const found: { read: { id: number; startNs: number; endNs: number }; proof: Proof }[] = [
    ...wrong,
    ...diagnosis.culprits.map(culprit => ({ read: culprit.read, proof: proofOf(culprit, sights, table, disk) })),
  ];
  const { sector, sectors } = segment;
  return found.map(({ read, proof }) => ({
    class: classOf(proof),
    disk,
    sector,
    sectors,
    read: read.id,
    startNs: read.startNs,
    expected: () => diagnosis.legalAt(read.startNs, read.endNs),
    proof,
  }));
};
