/** Figures as a table for people. */
import { table } from "../cli/table.ts";
import { type Bound, DEFINITIONS, type Figure, isMet, ratioOf, type Unit } from "./figure.ts";
import type { FigureName } from "./names.ts";

const DIGITS: Readonly<Record<Unit, number>> = {
  ms: 0,
  MiB: 1,
  "cells/h": 0,
  "ops/s": 0,
  bytes: 1,
  ns: 0,
  times: 1,
};

const wordsOf = ({ of, must, limit }: Bound, unit: Unit): string => {
  const sign = must === "at-most" ? "≤" : "≥";
  return of === "ratio" ? `ratio ${sign} ${limit}` : `${sign} ${limit} ${unit}`;
};

/** Everything that a figure is held to. */
export const boundWords = (name: FigureName): string => {
  const { bounds, unit } = DEFINITIONS[name];
  return bounds.length === 0 ? "none" : bounds.map(bound => wordsOf(bound, unit)).join(", ");
};

const metWords = (met: boolean | undefined): string => {
  if (met === undefined) return "not measured";
  return met ? "met" : "NOT met";
};

const rowOf = (figure: Figure): readonly string[] => {
  const { name, value, floor } = figure;
  const { bounds, unit } = DEFINITIONS[name];
  const number = (of: number) => of.toFixed(DIGITS[unit]);
  const spread = value.count === 1 ? "" : `${number(value.least)}–${number(value.most)}`;
  return [
    name,
    number(value.median),
    unit,
    spread,
    String(value.count),
    floor === undefined ? "" : number(floor),
    ratioOf(figure)?.toFixed(2) ?? "",
    bounds.map(bound => `${wordsOf(bound, unit)}: ${metWords(isMet(figure, bound))}`).join(", "),
  ];
};

export const figureTable = (figures: readonly Figure[]): string =>
  table(
    [["figure", "median", "unit", "min–max", "n", "floor", "ratio", "bounds"], ...figures.map(rowOf)],
    [1, 3, 4, 5, 6],
  );
