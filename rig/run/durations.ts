/**
 * How long cells took, from earlier runs on this machine: the longest go first. A guess is all that is wanted, so what
 * cannot be read or written does not matter.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { cacheDir } from "../core/paths.ts";
import type { CellSummary } from "../results/schema.ts";
import type { ExpectedMs } from "./schedule.ts";

const schema = z.record(z.string(), z.number());

const fileName = (): string => path.join(cacheDir(), "durations.json");
const keyOf = (scenario: string, kernel: string): string => `${scenario} ${kernel}`;

const load = async (): Promise<Record<string, number>> => {
  try {
    return schema.parse(JSON.parse(await readFile(fileName(), "utf8")));
  } catch {
    return {};
  }
};

export const knownDurations = async (): Promise<ExpectedMs> => {
  const known = await load();
  return (scenario, kernel) => known[keyOf(scenario, kernel)];
};

/** Remembers the median of each scenario and kernel. */
export const rememberDurations = async (cells: readonly CellSummary[]): Promise<void> => {
  const medians = [...Map.groupBy(cells, cell => keyOf(cell.scenario, cell.kernel))].map(([key, group]) => {
    const sorted = group.map(cell => cell.durationMs).toSorted((a, b) => a - b);
    return [key, sorted[Math.floor(sorted.length / 2)] ?? 0] as const;
  });
  const file = fileName();
  try {
    const all = { ...(await load()), ...Object.fromEntries(medians) };
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(`${file}.${process.pid}`, JSON.stringify(all));
    await rename(`${file}.${process.pid}`, file);
  } catch {
    // The next run orders its cells by what it knows.
  }
};
