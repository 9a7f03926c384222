import { expect, test } from "vitest";
import { figureOf } from "./figure.ts";
import { boundWords, figureTable } from "./figure-table.ts";

test("a table for people", () => {
  const figures = [
    figureOf("lab-cold", [2100.4, 2000, 2900], [1000]),
    figureOf("lab-cold-login", [3000, 3100]),
    figureOf("restore-memory", [41.25], [210]),
    figureOf("cells-per-hour", [2600], [200]),
  ];
  expect(figureTable(figures)).toBe(
    [
      "figure          median  unit       min–max  n  floor  ratio  bounds",
      "lab-cold          2100  ms       2000–2900  3   1000   2.10  ratio ≤ 2: NOT met",
      "lab-cold-login    3050  ms       3000–3100  2                ≤ 5000 ms: met",
      "restore-memory    41.3  MiB                 1  210.0   0.20",
      "cells-per-hour    2600  cells/h             1    200  13.00  ≥ 2500 cells/h: met, ratio ≥ 10: met",
    ].join("\n"),
  );
});

test("a ratio that could not be measured is not called met", () => {
  expect(figureTable([figureOf("lab-cold", [2000])])).toContain("ratio ≤ 2: not measured");
});

test("bounds in words", () => {
  expect(boundWords("lab-restored")).toBe("≤ 800 ms, ratio ≤ 0.1");
  expect(boundWords("restore-memory")).toBe("none");
});
