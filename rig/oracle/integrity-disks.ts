/**
 * Which disks a history is about. Devices of one LUN are the same disk, whichever path they go over, and are judged
 * together; a history without `device` events has but one. What a power cut of the target may cost a disk depends on its
 * cache: with none, nothing that was acknowledged; with a volatile one, what no flush and no FUA covers.
 */
import type { History } from "../history/event.ts";
import { ACTION, STATE } from "../history/operations.ts";
import { eventsOf } from "../history/view.ts";
import type { Cut } from "./register-holdings.ts";
import type { Disk, Flush } from "./violation-register.ts";

const DEVICES = 256;

interface Span {
  readonly beginNs: number;
  readonly endNs: number;
}

/** The target's power cuts, in order; two that overlap are one. A cut whose end was not recorded may still come. */
const cutSpans = (history: History): Span[] => {
  const spans: { beginNs: number; endNs: number }[] = [];
  const edges = eventsOf(history, "power-cut").filter(({ event }) => event.node === "target");
  for (const { event } of edges.sort((a, b) => a.event.t - b.event.t)) {
    const open = spans.at(-1);
    const isOpen = open?.endNs === Number.POSITIVE_INFINITY;
    if (event.edge === "begin" && !isOpen) spans.push({ beginNs: event.t, endNs: Number.POSITIVE_INFINITY });
    if (event.edge === "end" && isOpen) open.endNs = event.t;
  }
  return spans;
};

/** The flushes of a disk that were completed, in the order of their invocation. */
const flushesOf = (history: History, devices: Uint8Array): Flush[] => {
  const { operations } = history;
  const flushes: Flush[] = [];
  for (let row = 0; row < operations.count; row++) {
    if (operations.action[row] !== ACTION.flush || operations.state[row] !== STATE.ok) continue;
    if (devices[operations.device[row] ?? 0] === 0) continue;
    flushes.push({ op: row + 1, startNs: operations.invokeNs[row] ?? 0, endNs: operations.doneNs[row] ?? 0 });
  }
  return flushes.sort((a, b) => a.startNs - b.startNs);
};

const cutsOf = (spans: readonly Span[], flushes: readonly Flush[]): Cut[] =>
  spans.map(({ beginNs, endNs }) => {
    let flushedNs = Number.NEGATIVE_INFINITY;
    for (const flush of flushes) if (flush.endNs < beginNs) flushedNs = Math.max(flushedNs, flush.startNs);
    return { beginNs, endNs, flushedNs };
  });

/** The disks, in the order in which their devices are declared. */
export const disksOf = (history: History): Disk[] => {
  const declared = eventsOf(history, "device").map(({ event }) => event);
  const groups = new Map<number | undefined, Set<number>>();
  for (const { lun, id } of declared) groups.set(lun, (groups.get(lun) ?? new Set()).add(id));
  const known = new Set(declared.map(({ id }) => id));
  // Operations on what was not declared are those of one more disk: of which, nobody knows.
  const others = Array.from({ length: DEVICES }, (_, id) => id).filter(id => !known.has(id));
  groups.set(undefined, new Set(others));
  const spans = cutSpans(history);
  return [...groups].map(([lun, ids]) => {
    const devices = Uint8Array.from({ length: DEVICES }, (_, id) => (ids.has(id) ? 1 : 0));
    const isVolatile = declared.some(device => device.lun === lun && device.cache === "volatile");
    if (!isVolatile || spans.length === 0) return { lun, devices, cuts: [], flushes: [] };
    const flushes = flushesOf(history, devices);
    return { lun, devices, cuts: cutsOf(spans, flushes), flushes };
  });
};
