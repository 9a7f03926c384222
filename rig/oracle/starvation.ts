/**
 * Did the lab have the CPU that it needed? Labs that run side by side share one machine, and a guest that is kept waiting
 * for a CPU misses its timers: a dead connection and a busy machine look the same from within. This is no oracle: it
 * blames no kernel, it tells which verdicts are worth nothing.
 *
 * The host says how long each node's QEMU waited for a CPU (`load`), the guest says how late it woke up (`late`). Only the
 * host's word is proof. A guest that is late while its QEMU had a CPU was held up by its own kernel, and that is what
 * the other oracles are for. All thresholds are parts of the span S, the shortest NOP timer of the scenario: what is much
 * to a timer of one second is nothing to one of ten.
 *
 * Boot, restore and set-up do not count: they wait for what they wait for, and nothing is judged by how long.
 */
import { NODE_NAMES, type NodeName, type PathName, READ_BACK_PHASE } from "../core/names.ts";
import type { EventOf, History } from "../history/event.ts";
import { eventsOf, type FaultSpan, faultsOf, heldUpNs, phaseOf } from "../history/view.ts";
import { diedNs } from "./node-death.ts";

/** S where no NOP timer is known. */
const DEFAULT_SPAN_MS = 1000;
/** A node that waited for this part of any S cannot be held to its timers: what takes it a tenth of S took it half. */
const WAITED = 0.8;
/** So late by its own clock is a guest that may have missed one, if the host explains at least half of it. */
const LATE = 0.5;
const EXPLAINED = 0.5;
/** A session that fails on a healthy path is a missed NOP, if a node waited for this part of S in the two before. */
const WAITED_BEFORE_LOSS = 0.15;
const SPANS_BEFORE_LOSS = 2;

/** A stretch of time and how long the node waited in it, spread evenly. */
interface Stretch {
  readonly fromNs: number;
  readonly toNs: number;
  readonly waitMs: number;
}

const partOf = ({ fromNs, toNs, waitMs }: Stretch, from: number, to: number): Stretch => ({
  fromNs: from,
  toNs: to,
  waitMs: from === fromNs && to === toNs ? waitMs : (waitMs * (to - from)) / (toNs - fromNs),
});

/** The windows as stretches without overlap, in order, and only what lies between two moments. */
const stretchesOf = (loads: readonly EventOf<"load">[], beginNs: number, endNs: number): Stretch[] => {
  const stretches: Stretch[] = [];
  for (const { t, windowMs, waitMs } of loads.toSorted((a, b) => a.t - b.t)) {
    // A wait that is longer than its window began before it; what other threads waited meanwhile is no more than that.
    const fromNs = t - Math.max(windowMs, waitMs) * 1e6;
    while ((stretches.at(-1)?.fromNs ?? Number.NEGATIVE_INFINITY) >= fromNs) stretches.pop();
    const before = stretches.at(-1);
    if (before !== undefined && before.toNs > fromNs)
      stretches[stretches.length - 1] = partOf(before, before.fromNs, fromNs);
    if (fromNs < t) stretches.push({ fromNs, toNs: t, waitMs });
  }
  return stretches
    .filter(({ fromNs, toNs }) => fromNs < endNs && toNs > beginNs)
    .map(stretch => partOf(stretch, Math.max(stretch.fromNs, beginNs), Math.min(stretch.toNs, endNs)));
};

/** How long a node waited, between any two moments. */
class Waits {
  readonly #stretches: readonly Stretch[];
  /** The wait of all stretches before each. */
  readonly #before: readonly number[];
  // Where the last answers were found: moments that are asked for in order cost one walk in all.
  readonly #low = { index: 0 };
  readonly #high = { index: 0 };

  constructor(stretches: readonly Stretch[]) {
    let sum = 0;
    this.#stretches = stretches;
    this.#before = [0, ...stretches.map(({ waitMs }) => (sum += waitMs))];
  }

  between(fromNs: number, toNs: number): number {
    return this.#upTo(toNs, this.#high) - this.#upTo(fromNs, this.#low);
  }

  /** The most that it waited in any span of this length: one that begins or ends where a stretch does. */
  mostWithin(spanMs: number): number {
    const spanNs = spanMs * 1e6;
    const sums = [
      ...this.#stretches.map(({ toNs }) => this.between(toNs - spanNs, toNs)),
      ...this.#stretches.map(({ fromNs }) => this.between(fromNs, fromNs + spanNs)),
    ];
    return sums.reduce((most, sum) => Math.max(most, sum), 0);
  }

  #upTo(ns: number, hint: { index: number }): number {
    const stretches = this.#stretches;
    const endOf = (index: number) => stretches[index]?.toNs ?? Number.POSITIVE_INFINITY;
    while (hint.index > 0 && endOf(hint.index - 1) > ns) hint.index--;
    while (hint.index < stretches.length && endOf(hint.index) <= ns) hint.index++;
    const current = stretches[hint.index];
    const part = current === undefined || ns <= current.fromNs ? 0 : partOf(current, current.fromNs, ns).waitMs;
    return (this.#before[hint.index] ?? 0) + part;
  }
}

interface Measured {
  readonly history: History;
  readonly spanMs: number;
  readonly waits: readonly { readonly node: NodeName; readonly waits: Waits }[];
  /** Whether the moment is one that counts. */
  readonly counts: (ns: number) => boolean;
}

/** The phases that count: from the moment when the sessions have to hold until everything was healed, read and counted. */
const judgedPart = (history: History): { beginNs: number; endNs: number } | undefined => {
  const open = phaseOf(history, "open") ?? phaseOf(history, "timeline");
  if (open === undefined) return undefined;
  const last = ["heal", READ_BACK_PHASE].map(name => phaseOf(history, name)).filter(phase => phase !== undefined);
  const countedNs = eventsOf(history, "inventory").reduce((latest, { event }) => Math.max(latest, event.t), 0);
  const endNs = last.length === 0 ? Number.POSITIVE_INFINITY : Math.max(countedNs, ...last.map(phase => phase.endNs));
  return { beginNs: open.beginNs, endNs };
};

const words = (what: string): string => `starved: ${what}; run again when the machine has less to do.`;
const waitedWords = (node: NodeName, waitMs: number, ofMs: number): string =>
  `the ${node} waited ${Math.round(waitMs)} ms of ${ofMs} for a CPU of this machine`;

/** A guest that woke up late because the machine let it wait. */
const explainedLateness = ({ history, spanMs, waits, counts }: Measured): string | undefined => {
  for (const { event } of eventsOf(history, "late")) {
    if (!counts(event.t) || event.ms < LATE * spanMs) continue;
    const own = waits.find(({ node }) => node === event.node)?.waits.between(event.t - event.ms * 1e6, event.t) ?? 0;
    if (own >= EXPLAINED * event.ms)
      return words(`the ${event.node} woke up ${event.ms} ms late, and ${waitedWords(event.node, own, event.ms)}`);
  }
  return undefined;
};

/** A fault on one path leaves the other one alone; any other fault may touch both. */
export const touches = ({ on }: FaultSpan, path: PathName): boolean =>
  !/^path [a-z]$/.test(on) || on === `path ${path}`;

const wasInPlace = ({ on, injectBegin, healBegin, healEnd }: FaultSpan, fromNs: number, toNs: number): boolean => {
  // Sessions do well without iscsid. It is its new start that drops them, some time after it: it takes them over one by one.
  if (on === "iscsid") return healBegin !== undefined && healBegin.event.t <= toNs;
  if (injectBegin === undefined || injectBegin.event.t > toNs) return false;
  return (healEnd?.event.t ?? Number.POSITIVE_INFINITY) >= fromNs;
};

/** When the connection failed: where an instrument may have held its loss up, the kernel's own word on its console. */
const errorNs = (history: History, { sid, t }: EventOf<"session">, slackNs: number): number => {
  const heldNs = heldUpNs(history, t);
  if (heldNs === 0) return t;
  const error = `connection${sid}:0: detected conn error`;
  const told = eventsOf(history, "console").findLast(
    ({ event }) => event.node === "initiator" && event.t <= t && event.line.includes(error),
  );
  return told === undefined || told.event.t < t - heldNs - slackNs ? t : told.event.t;
};

/** A session that was lost on a path that nobody had touched, while a node was waiting. */
const unprovokedLoss = ({ history, spanMs, waits, counts }: Measured): string | undefined => {
  const faults = faultsOf(history);
  const beforeMs = SPANS_BEFORE_LOSS * spanMs;
  const states = new Map<string, string>();
  const logouts = eventsOf(history, "logout");
  const died = diedNs(history);
  for (const { event } of eventsOf(history, "session")) {
    // What a node takes with it when it dies was not lost for want of a CPU.
    if (event.t >= died) continue;
    const was = states.get(event.sid);
    states.set(event.sid, event.state);
    if (was !== "LOGGED_IN" || event.state === "LOGGED_IN" || !counts(event.t)) continue;
    if (logouts.some(({ event: { path, t } }) => path === event.path && t <= event.t)) continue;
    const lostNs = errorNs(history, event, beforeMs * 1e6);
    const fromNs = lostNs - beforeMs * 1e6;
    if (faults.some(fault => touches(fault, event.path) && wasInPlace(fault, fromNs, lostNs))) continue;
    for (const { node, waits: own } of waits) {
      const waitMs = own.between(fromNs, lostNs);
      if (waitMs >= WAITED_BEFORE_LOSS * spanMs)
        return words(
          `the session of path ${event.path} was ${event.state} without a fault on its path, and ${waitedWords(node, waitMs, beforeMs)}`,
        );
    }
  }
  return undefined;
};

export interface Starvation {
  /** Why the cell's verdict is worth nothing, in a sentence; undefined where it is not. */
  readonly starved: string | undefined;
  /** The most that a node waited in any S, in milliseconds of a second, so that cells of all scenarios compare. */
  readonly worstWaitMs: number;
}

/** Whether the machine starved the lab, and how near it came to that. */
export const judgeStarvation = (history: History): Starvation => {
  const part = judgedPart(history);
  if (part === undefined) return { starved: undefined, worstWaitMs: 0 };
  const loads = eventsOf(history, "load").map(({ event }) => event);
  const noops = eventsOf(history, "limits").flatMap(({ event }) => event.noopMs ?? []);
  const spanMs = noops.length === 0 ? DEFAULT_SPAN_MS : noops.reduce((least, ms) => Math.min(least, ms));
  const waits = NODE_NAMES.map(node => {
    const own = loads.filter(load => load.node === node);
    return { node, waits: new Waits(stretchesOf(own, part.beginNs, part.endNs)) };
  });
  const counts = (ns: number): boolean => ns >= part.beginNs && ns <= part.endNs;
  const measured = { history, spanMs, waits, counts };
  const most = waits.map(({ node, waits: own }) => ({ node, waitMs: own.mostWithin(spanMs) }));
  const worst = most.reduce((a, b) => (b.waitMs > a.waitMs ? b : a));
  const waited = worst.waitMs >= WAITED * spanMs ? words(waitedWords(worst.node, worst.waitMs, spanMs)) : undefined;
  return {
    starved: waited ?? explainedLateness(measured) ?? unprovokedLoss(measured),
    worstWaitMs: Math.round((worst.waitMs * 1000) / spanMs),
  };
};
