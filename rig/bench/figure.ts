/**
 * A figure: what was measured, what the machine could do at best or did before (the floor, from the same run, so that a slow
 * machine is slow in both), and the bounds that it is held to. Pure.
 */
import type { FigureName } from "./names.ts";
import { median, type Spread, spreadOf } from "./statistics.ts";

export type Unit = "ms" | "MiB" | "cells/h" | "ops/s" | "bytes" | "ns" | "times";

/** A limit to the value, or to its ratio to the floor. */
export interface Bound {
  readonly of: "value" | "ratio";
  readonly must: "at-most" | "at-least";
  readonly limit: number;
}

interface Definition {
  readonly unit: Unit;
  readonly bounds: readonly Bound[];
}

const atMost = (of: Bound["of"], limit: number): Bound => ({ of, must: "at-most", limit });
const atLeast = (of: Bound["of"], limit: number): Bound => ({ of, must: "at-least", limit });

/** What each figure is held to. docs/benchmarks.md says the same to people, and a test compares the two. */
export const DEFINITIONS: Readonly<Record<FigureName, Definition>> = {
  "integrity-oracle": { unit: "ops/s", bounds: [atLeast("value", 1_000_000)] },
  "integrity-tenfold": { unit: "times", bounds: [atMost("value", 12)] },
  "integrity-memory": { unit: "bytes", bounds: [atMost("value", 200)] },
  "integrity-mixed": { unit: "ops/s", bounds: [] },
  "history-bytes": { unit: "bytes", bounds: [atMost("value", 40)] },
  "history-record": { unit: "ns", bounds: [atMost("value", 5000)] },
  "history-read": { unit: "ns", bounds: [] },
  "lab-cold": { unit: "ms", bounds: [atMost("ratio", 2)] },
  "lab-cold-login": { unit: "ms", bounds: [atMost("value", 5000)] },
  "lab-restored": { unit: "ms", bounds: [atMost("value", 800), atMost("ratio", 0.1)] },
  "restore-memory": { unit: "MiB", bounds: [] },
  "ledger-4k": { unit: "ops/s", bounds: [atLeast("ratio", 0.5)] },
  "ledger-64k": { unit: "ops/s", bounds: [atLeast("ratio", 0.5)] },
  "cell-overhead": { unit: "ms", bounds: [atMost("value", 1500)] },
  "cells-per-hour": { unit: "cells/h", bounds: [atLeast("value", 2500), atLeast("ratio", 10)] },
};

export interface Figure {
  readonly name: FigureName;
  readonly value: Spread;
  /** The floor's median, where there is one. */
  readonly floor: number | undefined;
}

/** A figure of repeated measurements, and of its floor's. */
export const figureOf = (name: FigureName, samples: readonly number[], floor?: readonly number[]): Figure => ({
  name,
  value: spreadOf(samples),
  floor: floor === undefined ? undefined : median(floor),
});

/** Undefined where there is no floor, or none to divide by. */
export const ratioOf = ({ value, floor }: Figure): number | undefined =>
  floor === undefined || floor <= 0 ? undefined : value.median / floor;

/** Whether a bound is met; undefined where there is no ratio to hold to it. */
export const isMet = (figure: Figure, { of, must, limit }: Bound): boolean | undefined => {
  const seen = of === "value" ? figure.value.median : ratioOf(figure);
  if (seen === undefined) return undefined;
  return must === "at-most" ? seen <= limit : seen >= limit;
};

const rounded = (value: number | undefined, digits: number): number | null =>
  value === undefined ? null : Number(value.toFixed(digits));

/** A figure as one line of JSON, without the newline; null stands for what there is not. */
export const jsonLine = (figure: Figure): string => {
  const { name, value, floor } = figure;
  const { unit } = DEFINITIONS[name];
  return JSON.stringify({
    name,
    value: rounded(value.median, 1),
    unit,
    floor: rounded(floor, 1),
    ratio: rounded(ratioOf(figure), 4),
  });
};
