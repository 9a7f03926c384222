/**
 * Legal histories, made by a disk that keeps its promise and not a hair more: everything takes effect at some moment of its
 * life, per sector and in any order; what failed or got no answer may have had an effect; what has no answer yet may be
 * executed again, whatever came over it meanwhile; a discard leaves zeros or not; and when the power goes, a volatile cache
 * loses whatever no flush and no FUA covers, each sector for itself. It knows nothing of how the oracle thinks.
 */
import type { Rng } from "../../core/rng.ts";
import type { EventOf, HistoryEvent } from "../../history/event.ts";
import type { Extent } from "../../history/extent.ts";

type Action = EventOf<"invoke">["action"];

interface Planned {
  readonly action: Action;
  readonly device: number;
  readonly sector: number;
  readonly sectors: number;
  readonly start: number;
  readonly end: number;
  readonly state: "ok" | "fail" | "unanswered";
  readonly fua: boolean;
  readonly backing: boolean;
}

interface Device {
  readonly id: number;
  readonly lun: number;
  readonly isVolatile: boolean;
}

interface PowerCut {
  readonly begin: number;
  readonly at: number;
  readonly end: number;
}

export interface Plan {
  readonly operations: readonly Planned[];
  /** Empty where the history declares none; then there is one disk without a cache. */
  readonly devices: readonly Device[];
  readonly cuts: readonly PowerCut[];
}

/** Times are seconds. Nothing is invoked after BUSY, and an unanswered write may take effect until HORIZON. */
const BUSY = 30;
const HORIZON = 60;
const SECTORS = 6;
const READ_BACK_AT = 70;

const pick = <T>(rng: Rng, choices: readonly T[]): T => choices[rng.integer(0, choices.length - 1)] as T;

const planned = (rng: Rng, devices: readonly Device[], plain: boolean): Planned => {
  const action = pick(
    rng,
    plain
      ? (["write", "write", "write", "read", "read"] as const)
      : (["write", "write", "write", "write", "read", "read", "read", "flush", "zeroes", "discard"] as const),
  );
  const sector = rng.integer(0, SECTORS - 1);
  const start = rng.integer(0, BUSY);
  const state = pick(rng, ["ok", "ok", "ok", "ok", "fail", "unanswered"] as const);
  return {
    action,
    device: devices.length === 0 ? 0 : pick(rng, devices).id,
    sector: action === "flush" ? 0 : sector,
    sectors: action === "flush" ? 0 : rng.integer(1, SECTORS - sector),
    start,
    end: state === "unanswered" ? Number.POSITIVE_INFINITY : start + rng.integer(0, 8),
    state,
    fua: action === "write" && rng.integer(0, 5) === 0,
    backing: action === "read" && rng.integer(0, 3) === 0,
  };
};

/** What happens in a history, of every size and kind that the oracle must understand. */
export const planOf = (rng: Rng): Plan => {
  const cache = () => rng.integer(0, 1) === 0;
  const kind = rng.integer(0, 3);
  const [one, two] = [cache(), cache()];
  const all: Device[] = [
    { id: 0, lun: 0, isVolatile: one },
    { id: 1, lun: 0, isVolatile: one },
    { id: 2, lun: 0, isVolatile: one },
    { id: 7, lun: 3, isVolatile: two },
  ];
  const devices = kind === 0 ? [] : all.slice(0, kind === 1 ? 1 : 4);
  const cuts: PowerCut[] = [];
  for (let at = rng.integer(3, 25), left = rng.integer(0, 2); left > 0 && kind > 0; left--, at += rng.integer(6, 14)) {
    const [before, after] = [rng.integer(0, 2), rng.integer(0, 2)];
    cuts.push({ begin: at - before, at: at - before + rng.next() * (before + after), end: at + after });
  }
  const plain = rng.integer(0, 2) > 0;
  const operations = Array.from({ length: rng.integer(3, 14) }, () => planned(rng, devices, plain));
  const luns = devices.length === 0 ? [0] : [...new Set(devices.map(({ lun }) => lun))];
  const readBack = luns.flatMap((lun, place) =>
    [false, true].map(
      (backing, second): Planned => ({
        action: "read",
        device: devices.find(device => device.lun === lun)?.id ?? 0,
        sector: 0,
        sectors: SECTORS,
        start: READ_BACK_AT + 2 * place + second,
        end: READ_BACK_AT + 2 * place + second + 0.5,
        state: "ok",
        fua: false,
        backing,
      }),
    ),
  );
  return { operations: [...operations, ...readBack].sort((a, b) => a.start - b.start), devices, cuts };
};

interface Effect {
  readonly at: number;
  readonly op: number;
  readonly sector: number;
  readonly is: "put" | "see" | "cut";
  readonly lun: number;
}

/** The moments between two, at any of which something may happen. */
const moment = (rng: Rng, from: number, to: number): number => from + rng.next() * (to - from);

/** When, and how often, an operation touches one of its sectors. */
const touches = (rng: Rng, plan: Plan, operation: Planned): number[] => {
  const { start, end, state, action } = operation;
  const last = Math.min(end, HORIZON);
  if (action === "read") return state === "ok" ? [moment(rng, start, last)] : [];
  if ((state !== "ok" || action === "discard") && rng.integer(0, 2) === 0) return [];
  const first = moment(rng, start, last);
  // Where the power takes what the cache held while it is under way, it is sent again.
  const isVolatile = plan.devices.some(({ id, isVolatile: cached }) => cached && id === operation.device);
  const cut = isVolatile ? plan.cuts.find(({ at }) => at > first && at < last) : undefined;
  const resent = cut !== undefined && rng.integer(0, 1) === 0 ? [moment(rng, cut.at, last)] : [];
  // Its path dies before the response is there.
  const retries = rng.integer(0, 3) === 0 ? rng.integer(1, 2) : 0;
  return [first, ...resent, ...Array.from({ length: retries }, () => moment(rng, first, last))];
};

const lunOf = (plan: Plan, device: number): number => plan.devices.find(({ id }) => id === device)?.lun ?? 0;

/** A sector's values since the last that is durable, as writes' numbers; 0 for zeros. */
class Sectors {
  readonly #values = new Map<string, { op: number; value: number }[]>();

  at(lun: number, sector: number): { op: number; value: number }[] {
    const key = `${lun} ${sector}`;
    const known = this.#values.get(key) ?? [{ op: 0, value: 0 }];
    this.#values.set(key, known);
    return known;
  }

  keys(lun: number): number[] {
    return [...this.#values.keys()].filter(key => key.startsWith(`${lun} `)).map(key => Number(key.split(" ")[1]));
  }
}

/** Whether the write was certainly on stable storage when the power went. */
const isDurable = (plan: Plan, op: number, cut: PowerCut): boolean => {
  const write = plan.operations[op - 1];
  if (write?.state !== "ok" || write.action === "discard") return false;
  if (write.fua && write.end < cut.begin) return true;
  const lun = lunOf(plan, write.device);
  return plan.operations.some(
    flush =>
      flush.action === "flush" &&
      flush.state === "ok" &&
      lunOf(plan, flush.device) === lun &&
      write.end < flush.start &&
      flush.end < cut.begin,
  );
};

/** What every read finds, by the read's number and the sector; 0 for zeros. */
const contentsOf = (rng: Rng, plan: Plan): Map<string, number> => {
  const effects: (Effect & { readonly tie: number })[] = [];
  plan.operations.forEach((operation, index) => {
    const is = operation.action === "read" ? "see" : "put";
    const lun = lunOf(plan, operation.device);
    for (let sector = operation.sector; sector < operation.sector + operation.sectors; sector++)
      for (const at of touches(rng, plan, operation))
        effects.push({ at, op: index + 1, sector, is, lun, tie: rng.next() });
  });
  plan.cuts.forEach(({ at }, index) => {
    for (const { lun, isVolatile } of plan.devices.filter((d, i) => plan.devices.findIndex(o => o.lun === d.lun) === i))
      if (isVolatile) effects.push({ at, op: index, sector: 0, is: "cut", lun, tie: rng.next() });
  });
  effects.sort((a, b) => a.at - b.at || a.tie - b.tie);
  const sectors = new Sectors();
  const seen = new Map<string, number>();
  for (const { op, sector, is, lun } of effects) {
    const values = sectors.at(lun, sector);
    if (is === "see") seen.set(`${op} ${sector}`, values.at(-1)?.value ?? 0);
    if (is === "put") values.push({ op, value: plan.operations[op - 1]?.action === "write" ? op : 0 });
    if (is !== "cut") continue;
    const cut = plan.cuts[op] as PowerCut;
    for (const key of sectors.keys(lun)) {
      const own = sectors.at(lun, key);
      const first = Math.max(
        0,
        own.findLastIndex(({ op: writer }) => isDurable(plan, writer, cut)),
      );
      const kept = own[rng.integer(first, own.length - 1)] as { op: number; value: number };
      own.splice(0, own.length, { op: 0, value: kept.value });
    }
  }
  return seen;
};

const ns = (s: number): number => Math.round(s * 1e9);

/** The events of a plan that the disk carried out. */
export const carriedOut = (rng: Rng, plan: Plan): HistoryEvent[] => {
  const seen = contentsOf(rng, plan);
  const events: HistoryEvent[] = plan.devices.map(({ id, lun, isVolatile }) => ({
    t: 0,
    kind: "device",
    id,
    name: `sd${id}`,
    lun,
    sectors: 1024,
    cache: isVolatile ? "volatile" : "none",
  }));
  // Reads may fail while something is broken, and it is mended before the disk is read back.
  for (const [action, at] of [
    ["inject", 0],
    ["heal", READ_BACK_AT - 1],
  ] as const)
    for (const edge of ["begin", "end"] as const)
      events.push({ t: ns(at), kind: "fault", fault: "path-drop:a#1", action, edge, on: "path a" });
  plan.operations.forEach((operation, index) => {
    const { action, device, sector, sectors, start, end, state, fua, backing } = operation;
    const op = index + 1;
    const via = backing ? "backing" : "initiator";
    events.push({ t: ns(start), kind: "invoke", op, action, via, device, sector, sectors, fua });
    if (state === "fail") events.push({ t: ns(end), kind: "fail", op, error: "Input/output error" });
    if (state !== "ok") return;
    const content = Array.from({ length: sectors }, (_, place): Extent => {
      const at = sector + place;
      const value = seen.get(`${op} ${at}`) ?? 0;
      if (value === 0) return { is: "zero", at, n: 1 };
      return { is: "write", at, n: 1, op: value, i: at - (plan.operations[value - 1]?.sector ?? 0) };
    });
    events.push({ t: ns(end), kind: "ok", op, ...(action === "read" ? { content } : {}) });
  });
  for (const { begin, end } of plan.cuts) {
    events.push({ t: ns(begin), kind: "power-cut", node: "target", edge: "begin" });
    events.push({ t: ns(end), kind: "power-cut", node: "target", edge: "end" });
  }
  return events;
};

/** A legal history's events. */
export const legalEvents = (rng: Rng): HistoryEvent[] => carriedOut(rng, planOf(rng));
