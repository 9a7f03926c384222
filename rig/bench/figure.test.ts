import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { PROJECT_DIR } from "../core/paths.ts";
import { DEFINITIONS, figureOf, isMet, jsonLine, ratioOf } from "./figure.ts";
import { boundWords } from "./figure-table.ts";
import { FIGURE_NAMES } from "./names.ts";

test("a figure is the median against the floor's median", () => {
  const figure = figureOf("lab-cold", [1500, 9000, 1600], [1000, 100, 1000]);
  expect(figure).toEqual({
    name: "lab-cold",
    value: { median: 1600, least: 1500, most: 9000, count: 3 },
    floor: 1000,
  });
  expect(ratioOf(figure)).toBeCloseTo(1.6);
});

test("without a floor, or with one of nothing, there is no ratio", () => {
  expect(ratioOf(figureOf("lab-cold-login", [3000]))).toBeUndefined();
  expect(ratioOf(figureOf("lab-cold", [3000], [0]))).toBeUndefined();
});

test.each([
  ["lab-cold", [2000], [1000], [true]],
  ["lab-cold", [2001], [1000], [false]],
  ["lab-cold", [2001], undefined, [undefined]],
  ["lab-restored", [800], [8000], [true, true]],
  ["lab-restored", [801], [8000], [false, false]],
  ["lab-restored", [700], [6000], [true, false]],
  ["cells-per-hour", [2500], [250], [true, true]],
  ["cells-per-hour", [2499], [100], [false, true]],
  ["restore-memory", [40], [200], []],
] as const)("%s of %j against %j meets its bounds: %j", (name, samples, floor, met) => {
  const figure = figureOf(name, samples, floor);
  expect(DEFINITIONS[name].bounds.map(bound => isMet(figure, bound))).toEqual(met);
});

test("a line of JSON has five fields, rounded", () => {
  expect(jsonLine(figureOf("lab-cold", [1234.5678], [700]))).toBe(
    '{"name":"lab-cold","value":1234.6,"unit":"ms","floor":700,"ratio":1.7637}',
  );
});

test("what there is not is null", () => {
  expect(jsonLine(figureOf("lab-cold-login", [3000]))).toBe(
    '{"name":"lab-cold-login","value":3000,"unit":"ms","floor":null,"ratio":null}',
  );
});

test("docs/benchmarks.md has every figure with the bounds that it is held to", () => {
  const rows = readFileSync(path.join(PROJECT_DIR, "docs/benchmarks.md"), "utf8")
    .split("\n")
    .filter(line => line.startsWith("| `"))
    .map(line => line.split("|").map(cell => cell.trim()))
    .map(cells => [cells[1], cells.at(-2)]);
  expect(rows).toEqual(FIGURE_NAMES.map(name => [`\`${name}\``, boundWords(name)]));
});
