/** Measurements of what the rig computes: the integrity oracle's speed, and what a history costs. No lab, no root. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Log } from "../core/log.ts";
import { figureOf } from "./figure.ts";
import { historyCost } from "./history.ts";
import { measureIntegrity } from "./integrity.ts";
import type { Measured } from "./measure.ts";
import type { BenchName } from "./names.ts";

const REPEAT = 3;
/** Operations of the history that is written and read. */
const OPERATIONS = 1_000_000;

const integrity = async (): Promise<Measured> => {
  const seen = await measureIntegrity();
  return {
    figures: [
      figureOf("integrity-oracle", [seen.opsPerSecond]),
      figureOf("integrity-tenfold", [seen.ratioTenfold]),
      figureOf("integrity-memory", [seen.bytesPerOp]),
      figureOf("integrity-mixed", [seen.mixedOpsPerSecond]),
    ],
    notes: [],
  };
};

const history = async (repeat: number, log: Log, signal: AbortSignal): Promise<Measured> => {
  const directory = await mkdtemp(path.join(tmpdir(), "rig-bench-"));
  try {
    const costs: Awaited<ReturnType<typeof historyCost>>[] = [];
    for (let i = 1; i <= repeat; i++) {
      signal.throwIfAborted();
      log.status(`history, ${i} of ${repeat}`);
      costs.push(await historyCost(path.join(directory, `${i}.ndjson`), OPERATIONS));
    }
    log.status("");
    const all = (of: keyof (typeof costs)[number]) => costs.map(cost => cost[of]);
    return {
      figures: [
        figureOf("history-bytes", all("bytes")),
        figureOf("history-record", all("recordNs")),
        figureOf("history-read", all("readNs")),
      ],
      notes: [],
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};

/** Measures what of the chosen needs no lab, and hands out figures as they are there. */
export async function* measureWithoutLab(
  chosen: readonly BenchName[],
  repeat: number | undefined,
  log: Log,
  signal: AbortSignal,
): AsyncGenerator<Measured> {
  if (chosen.includes("integrity-oracle")) yield await integrity();
  if (chosen.includes("history")) yield await history(repeat ?? REPEAT, log, signal);
}
