/**
 * The judge on trial. Of the histories of a disk that keeps its promise none may be blamed; of those of a broken one each
 * must be, with the right class and no other. RIG_TRIALS makes it so many times as long: 10 judges 100,000 legal histories.
 */
import { describe, expect, test } from "vitest";
import { createRng } from "../core/rng.ts";
import type { HistoryEvent } from "../history/event.ts";
import { judgeIntegrity } from "./integrity.ts";
import { BROKEN_DISKS, Tale } from "./testdata/broken-disks.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";
import { carriedOut, legalEvents, planOf } from "./testdata/legal-histories.ts";

const TIMES = Number(process.env["RIG_TRIALS"] ?? 1);
const LEGAL = 10_000 * TIMES;
const BROKEN = 200 * TIMES;

const judged = (events: readonly HistoryEvent[]) => judgeIntegrity(new HistoryBuilder().add(...events).build());

const explained = (events: readonly HistoryEvent[]): string =>
  judged(events)
    .findings.map(finding => `${finding.class}: ${finding.explanation}`)
    .join("\n");

test("legal histories are never blamed", { timeout: 600_000 }, () => {
  const met = { cuts: 0, zeroes: 0, discards: 0, devices: 0, unanswered: 0, blind: 0 };
  for (let seed = 1; seed <= LEGAL; seed++) {
    const events = legalEvents(createRng(seed));
    const { findings, blind } = judged(events);
    if (findings.length > 0) throw new Error(`Seed ${seed} is legal. ${explained(events)}`);
    const has = (test: (event: HistoryEvent) => boolean) => (events.some(test) ? 1 : 0);
    met.cuts += has(event => event.kind === "power-cut");
    met.zeroes += has(event => event.kind === "invoke" && event.action === "zeroes");
    met.discards += has(event => event.kind === "invoke" && event.action === "discard");
    met.devices += has(event => event.kind === "device");
    met.blind += blind === undefined ? 0 : 1;
  }
  expect(met.cuts).toBeGreaterThan(LEGAL / 4);
  expect(Math.min(met.zeroes, met.discards)).toBeGreaterThan(LEGAL / 10);
  expect(met.devices).toBeGreaterThan(LEGAL / 2);
});

describe("a broken disk is found out", () => {
  test.each(BROKEN_DISKS.map(disk => [disk.class, disk.name, disk] as const))("%s: %s", (name, _name, disk) => {
    let tried = 0;
    for (let seed = 1; tried < BROKEN; seed++) {
      const rng = createRng(seed);
      const plan = planOf(rng);
      const first = plan.devices[0];
      const ownCut = disk.cut === true;
      // A power cut of the others' may excuse what this one does, unless it is of a disk without a cache.
      if (ownCut ? first?.isVolatile !== true || plan.cuts.length > 0 : first?.isVolatile === true) continue;
      tried++;
      const legal = carriedOut(rng, plan);
      const tale = new Tale(rng, plan.operations.length + 1, first?.id ?? 0);
      disk.breaks(tale, plan.devices.some(({ id }) => id === 2) ? 2 : 0);
      // The tale's power cut would change what the legal history may hold.
      const events = ownCut
        ? [...legal.filter(({ kind }) => kind === "device"), ...tale.events]
        : [...legal, ...tale.events];
      const { findings } = judged(ownCut ? renumbered(events) : events);
      expect(findings.map(finding => finding.class)).toEqual([name]);
    }
  });
});

/** The events with their operations numbered from 1. */
const renumbered = (events: readonly HistoryEvent[]): HistoryEvent[] => {
  const numbers = new Map<number, number>();
  for (const event of events) if (event.kind === "invoke") numbers.set(event.op, numbers.size + 1);
  const number = (op: number) => numbers.get(op) ?? op;
  return events.map((event): HistoryEvent => {
    if (event.kind === "invoke" || event.kind === "fail") return { ...event, op: number(event.op) };
    if (event.kind !== "ok") return event;
    const content = event.content?.map(extent => ("op" in extent ? { ...extent, op: number(extent.op) } : extent));
    return { ...event, op: number(event.op), ...(content === undefined ? {} : { content }) };
  });
};
