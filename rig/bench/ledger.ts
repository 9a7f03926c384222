/**
 * How fast the ledger drives a device, against fio in the initiator's guest on the same device at the same block size and depth.
 * fio is the floor: it has no network in between and keeps no account. The ledger's operations are stamped, sent by NBD into the
 * guest, and recorded in a history on disk, as in a cell.
 */
import path from "node:path";
import { z } from "zod";
import { monotonicMs, sleep } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { openHistory } from "../history/writer.ts";
import type { Node } from "../lab/node.ts";
import { openBench } from "../scenario/bench.ts";
import { Ledger } from "../workload/ledger.ts";
import { inLab } from "./running-lab.ts";
import { BENCH_RUN, NO_SINK, type Stand } from "./stand.ts";

const DEPTH = 16;
const REGION_BYTES = 16 * 2 ** 20;
/** How long each measurement runs, and how long before that it is left to get going. */
const RUN_MS = 4000;
const WARM_UP_MS = 500;
const ANSWER_MS = 30_000;

export const BLOCK_BYTES = { "ledger-4k": 4096, "ledger-64k": 65_536 } as const;
export type LedgerBenchName = keyof typeof BLOCK_BYTES;

/** What is measured in turns; each work gives operations a second. */
export interface LedgerPair {
  readonly name: LedgerBenchName;
  readonly floors: number[];
  readonly samples: number[];
  readonly fio: () => Promise<number>;
  readonly write: () => Promise<number>;
}

const fioSchema = z.object({ jobs: z.array(z.object({ write: z.object({ iops: z.number().positive() }) })).length(1) });

/** Operations a second of fio, from its own report. */
export const parseFio = (text: string): number => {
  try {
    // Notes may come before the report.
    return fioSchema.parse(JSON.parse(text.slice(Math.max(0, text.indexOf("{"))))).jobs[0]?.write.iops ?? 0;
  } catch (error) {
    throw new RigError("RIG_LAB_EXEC", "Expected fio's report in JSON from the initiator; it said something else.", {
      cause: error,
    });
  }
};

const runFio = async (node: Node, device: string, blockBytes: number, signal: AbortSignal): Promise<number> => {
  const argv = [
    ...["fio", "--name=floor", `--filename=${device}`, "--ioengine=libaio", "--direct=1", "--rw=randwrite"],
    ...[`--bs=${blockBytes}`, `--iodepth=${DEPTH}`, `--size=${REGION_BYTES}`, "--time_based"],
    ...[`--ramp_time=${WARM_UP_MS}ms`, `--runtime=${RUN_MS}ms`, "--output-format=json"],
  ];
  const { stdout } = await node.ssh.execOk(argv, { signal, timeoutMs: 10 * RUN_MS });
  return parseFio(stdout);
};

/** Operations a second of the ledger, from its own account. */
const runLedger = async (ledger: Ledger, signal: AbortSignal): Promise<number> => {
  const stream = ledger.steady();
  await sleep(WARM_UP_MS, signal);
  const [before, began] = [stream.outcome.ok, monotonicMs()];
  await sleep(RUN_MS, signal);
  const rate = ((stream.outcome.ok - before) * 1000) / (monotonicMs() - began);
  await ledger.quiesce(ANSWER_MS);
  const { failed, unanswered } = stream.outcome;
  if (failed + unanswered > 0)
    throw new RigError("RIG_NBD", `Expected a healthy lab to do every write; ${failed + unanswered} were not done.`);
  return rate;
};

/** Boots a lab and has its ledger and fio measured, in turns, by `turns`. */
export const measureLedger = (
  stand: Stand,
  names: readonly LedgerBenchName[],
  turns: (pairs: readonly LedgerPair[]) => Promise<void>,
): Promise<void> =>
  inLab(stand, async (lab, configured, scope) => {
    const { scenario } = stand;
    const signal = AbortSignal.any([stand.signal, lab.nodeLost]);
    const identity = `${BENCH_RUN}/ledger`;
    const { devices } = await openBench({
      ...{ lab, configured, scenario, identity, signal, scope },
      ...{ seed: 1, scale: 1, sink: NO_SINK },
    });
    const about = { run: BENCH_RUN, scenario: "bench/ledger", kernel: stand.head.name, seed: 1 };
    const { initiator } = lab.nodes;
    const making = names.map(async (name): Promise<LedgerPair> => {
      const sink = await openHistory(path.join(stand.out, `${name}.ndjson`), about);
      scope.defer("history", () => sink.close());
      const slotBytes = BLOCK_BYTES[name];
      const shape = { slots: REGION_BYTES / slotBytes, slotBytes, depth: DEPTH };
      const ledger = new Ledger({ shape, devices, sink, identity, seed: 1, signal });
      return {
        name,
        floors: [],
        samples: [],
        fio: () => runFio(initiator, devices[0]?.block ?? "", slotBytes, signal),
        write: () => runLedger(ledger, signal),
      };
    });
    await turns(await Promise.all(making));
  });
