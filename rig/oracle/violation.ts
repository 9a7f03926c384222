/**
 * What is wrong with a sector, sorted into the six classes an engineer would look for in six different places. A
 * violation is one read's view of one run of sectors; many of them make one finding.
 *
 * | class | what was read | where to look |
 * | --- | --- | --- |
 * | stale | older data where newer, acknowledged data was | commands that outlive their connection |
 * | lost | what would be there had the write never been executed | a success reported too early |
 * | torn | a sector made of two | data placed without its digest being checked, reused buffers |
 * | misdirected | a sector that belongs elsewhere | a wrong address or tag |
 * | foreign | bytes that no operation wrote by then | freed memory, another run's data |
 * | unreadable | nothing: the read failed after everything was mended | recovery that does not recover |
 */
import type { Extent } from "../history/event.ts";
import type { Operation } from "../history/view.ts";
import { type Culprit, diagnose, legalValues } from "./diagnosis.ts";
import { type Cluster, INITIAL, isLinearizable, type RegisterRead, type RegisterWrite } from "./register.ts";
import type { Segment, Sighting } from "./segments.ts";

export const INTEGRITY_CLASSES = ["stale", "lost", "torn", "misdirected", "foreign", "unreadable"] as const;
export type IntegrityClass = (typeof INTEGRITY_CLASSES)[number];

type Damaged = Extract<Extent, { is: "damaged" }>;
type Elsewhere = Extract<Extent, { is: "elsewhere" }>;

/** Why it is a violation, with what the explanation needs. `late` is a write that took effect after its error. */
export type Proof =
  | {
      readonly kind: "stale" | "lost" | "late";
      /** The write whose data was read; undefined for zeros. */
      readonly found: Operation | undefined;
      /** The write whose data should be there, or newer data than its own; undefined for zeros. */
      readonly rival: Operation | undefined;
      /** A read that saw the rival's data in place before this one, where there is one. */
      readonly seen: Operation | undefined;
      /** Whether the rival was acknowledged before the read began and invoked after the found data was in place. */
      readonly acknowledged: boolean;
      /** How many newer writes are missing at once. */
      readonly missing: number;
    }
  | { readonly kind: "torn"; readonly extent: Damaged; readonly found: Operation }
  | { readonly kind: "misdirected"; readonly extent: Elsewhere; readonly found: Operation }
  | { readonly kind: "foreign"; readonly extent: Extent; readonly early?: Operation }
  | { readonly kind: "unreadable"; readonly readBack: boolean };

export interface Violation {
  readonly class: IntegrityClass;
  readonly sector: number;
  readonly sectors: number;
  readonly read: Operation;
  /** The operations whose data would have been legal, newest first; INITIAL for zeros. */
  readonly expected: readonly number[];
  readonly proof: Proof;
}

export type Operations = ReadonlyMap<number, Operation>;

/** The address of a stamped extent's sector that stands at `sector`. */
const indexAt = (extent: { readonly at: number; readonly i: number }, sector: number): number =>
  extent.i + sector - extent.at;

const classOf = { stale: "stale", late: "stale", lost: "lost" } as const;

/** What a sighting says: a value of the register, or why it is none. */
const valueOf = (sighting: Sighting, segment: Segment, operations: Operations): { of: number } | { proof: Proof } => {
  const { extent, read } = sighting;
  if (extent.is === "zero") return { of: INITIAL };
  if (extent.is === "foreign") return { proof: { kind: "foreign", extent } };
  const found = operations.get(extent.op);
  if (found?.action !== "write") return { proof: { kind: "foreign", extent } };
  if (found.invokeNs > read.doneNs) return { proof: { kind: "foreign", extent, early: found } };
  if (extent.is === "damaged") return { proof: { kind: "torn", extent, found } };
  if (extent.is === "elsewhere") return { proof: { kind: "misdirected", extent, found } };
  const inside = segment.sector >= found.sector && segment.sector < found.sector + found.sectors;
  const fits = inside && indexAt(extent, segment.sector) === segment.sector - found.sector;
  return fits ? { of: extent.op } : { proof: { kind: "foreign", extent } };
};

const registerWrite = (write: Operation): RegisterWrite => ({
  id: write.op,
  startNs: write.invokeNs,
  endNs: write.doneNs,
  required: write.state === "ok",
});

/** The register value an extent stands for, where it is one. */
const seenValue = (extent: Extent): number | undefined =>
  extent.is === "write" ? extent.op : extent.is === "zero" ? INITIAL : undefined;

/** The first read that began after `afterNs`, was answered before `beforeNs` and saw the value in place. */
const firstSight = (segment: Segment, id: number, afterNs: number, beforeNs: number): Operation | undefined =>
  segment.sightings
    .filter(({ extent, read }) => seenValue(extent) === id && read.invokeNs > afterNs && read.doneNs < beforeNs)
    .map(({ read }) => read)
    .reduce<Operation | undefined>((first, read) => (first && first.doneNs <= read.doneNs ? first : read), undefined);

/** Sorts a read that fits no order into stale, lost, or a write that took effect after its error. */
const proofOf = ({ found, rivals, read }: Culprit, segment: Segment, operations: Operations): Proof => {
  const foundOp = operations.get(found.write.id);
  const newer = rivals.filter(y => y.write.required && y.write.endNs < read.startNs && found.minEnd < y.write.startNs);
  const late = foundOp?.state === "fail" && newer.length === 0;
  const sightOf = (rival: Cluster) =>
    firstSight(segment, rival.write.id, late ? foundOp.doneNs : Number.NEGATIVE_INFINITY, read.startNs);
  const choice = newer.length > 0 ? newer : rivals;
  const rival = choice.find(sightOf) ?? choice[0];
  const seenAtAll = new Set(segment.sightings.map(({ extent }) => seenValue(extent)));
  const unseen = rivals.every(y => y.write.required && !seenAtAll.has(y.write.id));
  const lost = foundOp?.state !== "fail" && unseen && (foundOp === undefined || rivals.length === 1);
  return {
    kind: late ? "late" : lost ? "lost" : "stale",
    found: foundOp,
    rival: rival && operations.get(rival.write.id),
    seen: rival && sightOf(rival),
    acknowledged: newer.length > 0,
    missing: rivals.length,
  };
};

/** Everything that is wrong with one segment. */
export const violationsOf = (segment: Segment, operations: Operations): Violation[] => {
  const reads: (RegisterRead & { readonly sighting: Sighting })[] = [];
  const wrong: { read: Operation; proof: Proof }[] = [];
  for (const sighting of segment.sightings) {
    const { read } = sighting;
    const value = valueOf(sighting, segment, operations);
    if ("proof" in value) wrong.push({ read, proof: value.proof });
    else reads.push({ id: read.op, of: value.of, startNs: read.invokeNs, endNs: read.doneNs, sighting });
  }
  const writes = segment.writes.map(registerWrite);
  if (wrong.length === 0 && isLinearizable(writes, reads)) return [];
  const { culprits, clusters } = diagnose(writes, reads);
  for (const culprit of culprits) {
    const read = operations.get(culprit.read.id);
    if (read !== undefined) wrong.push({ read, proof: proofOf(culprit, segment, operations) });
  }
  return wrong.map(({ read, proof }) => ({
    class: proof.kind === "stale" || proof.kind === "late" || proof.kind === "lost" ? classOf[proof.kind] : proof.kind,
    sector: segment.sector,
    sectors: segment.sectors,
    read,
    expected: legalValues(clusters, read.invokeNs, read.doneNs),
    proof,
  }));
};
