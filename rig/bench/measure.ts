/**
 * Takes the measurements that the chosen benchmarks need. What is set against each other is measured in turns, so that the
 * machine's mood falls on all of it.
 */
import { timeOverhead } from "./cell-overhead.ts";
import { measureThroughput, verdictWords } from "./cells-per-hour.ts";
import { type Figure, figureOf } from "./figure.ts";
import { measureLedger } from "./ledger.ts";
import type { BenchName } from "./names.ts";
import { bootedMemory, restoredMemory, timeBoot, timeRestore } from "./running-lab.ts";
import { prepareSnapshot, type Stand } from "./stand.ts";
import { bootTrivial, trivialBundle } from "./trivial-boot.ts";

/** Repetitions where none are asked for; of cells-per-hour, seeds. */
const REPEAT = 5;
const SEEDS = 25;
/** A booted cell takes long, and one after another they are all alike. */
const SLOW_SEEDS = 3;
/** Labs restored side by side when their memory is measured: pages that only one has touched are its own. */
const LABS_BESIDE = 3;

export interface Measured {
  readonly figures: readonly Figure[];
  /** What the figures do not say. */
  readonly notes: readonly string[];
}

/** One measurement, told in words; it keeps its numbers itself. */
type Work = () => Promise<string>;

/** Does all works so many times, in turns. */
const inTurns = async (stand: Stand, repeat: number, works: Readonly<Record<string, Work>>): Promise<void> => {
  for (let i = 1; i <= repeat; i++) {
    for (const [what, work] of Object.entries(works)) {
      stand.signal.throwIfAborted();
      stand.log.status(`${what}, ${i} of ${repeat}`);
      stand.log.say(`${what}, ${i} of ${repeat}: ${await work()}`);
    }
  }
  stand.log.status("");
};

/** Measures milliseconds into a list. */
const msInto =
  (samples: number[], work: () => Promise<number>): Work =>
  async () => {
    const ms = await work();
    samples.push(ms);
    return `${Math.round(ms)} ms`;
  };

/** Measures operations a second into a list. */
const rateInto =
  (samples: number[], work: () => Promise<number>): Work =>
  async () => {
    const rate = await work();
    samples.push(rate);
    return `${Math.round(rate)} operations a second`;
  };

/** Measures memory into a list. */
const mibInto =
  (samples: number[], work: () => Promise<readonly number[]>): Work =>
  async () => {
    const mib = await work();
    samples.push(...mib);
    return `${mib.map(value => value.toFixed(1)).join(", ")} MiB`;
  };

const labs = async (stand: Stand, chosen: readonly BenchName[], repeat: number): Promise<Measured> => {
  const [cold, restored] = [chosen.includes("lab-cold"), chosen.includes("lab-restored")];
  const [floors, ups, logins, restores]: [number[], number[], number[], number[]] = [[], [], [], []];
  const works: Record<string, Work> = {};
  if (cold) {
    const bundle = await trivialBundle(stand);
    works["QEMU with a trivial init"] = msInto(floors, () => bootTrivial(stand, bundle));
  }
  works["lab booted"] = async () => {
    const { upMs, loginMs } = await timeBoot(stand);
    ups.push(upMs);
    logins.push(loginMs);
    return `up after ${Math.round(upMs)} ms, logged in after ${Math.round(loginMs)} ms`;
  };
  if (restored) {
    works["lab restored"] = msInto(restores, () => timeRestore(stand));
  }
  await inTurns(stand, repeat, works);
  return {
    figures: [
      ...(cold ? [figureOf("lab-cold", ups, floors), figureOf("lab-cold-login", logins)] : []),
      ...(restored ? [figureOf("lab-restored", restores, logins)] : []),
    ],
    notes: [],
  };
};

const memory = async (stand: Stand, repeat: number): Promise<Measured> => {
  const [booted, restored]: [number[], number[]] = [[], []];
  await inTurns(stand, repeat, {
    "memory of a booted lab": mibInto(booted, async () => [await bootedMemory(stand)]),
    [`memory of ${LABS_BESIDE} restored labs`]: mibInto(restored, () => restoredMemory(stand, LABS_BESIDE)),
  });
  return { figures: [figureOf("restore-memory", restored, booted)], notes: [] };
};

const overhead = async (stand: Stand, repeat: number): Promise<Measured> => {
  const samples: number[] = [];
  await prepareSnapshot(stand, stand.head);
  await inTurns(stand, repeat, { cell: msInto(samples, () => timeOverhead(stand, samples.length + 1)) });
  return { figures: [figureOf("cell-overhead", samples)], notes: [] };
};

const throughput = async (stand: Stand, seeds: number): Promise<Measured> => {
  const { fast, slow } = await measureThroughput(stand, { fast: seeds, slow: Math.min(seeds, SLOW_SEEDS) });
  const [[one], [other]] = [fast.run.comparison, slow.run.comparison];
  return {
    figures: [figureOf("cells-per-hour", [fast.cellsPerHour], [slow.cellsPerHour])],
    notes: one === undefined || other === undefined ? [] : verdictWords(one, other),
  };
};

const ledger = async (stand: Stand, chosen: readonly BenchName[], repeat: number): Promise<Measured> => {
  const names = (["ledger-4k", "ledger-64k"] as const).filter(name => chosen.includes(name));
  const figures: Figure[] = [];
  await measureLedger(stand, names, async pairs => {
    await inTurns(
      stand,
      repeat,
      Object.fromEntries(
        pairs.flatMap(({ name, floors, samples, fio, write }) => [
          [`${name}, fio in the guest`, rateInto(floors, fio)],
          [`${name}, the ledger`, rateInto(samples, write)],
        ]),
      ),
    );
    for (const { name, floors, samples } of pairs) figures.push(figureOf(name, samples, floors));
  });
  return { figures, notes: [] };
};

/** Measures what needs a lab, and hands out figures as they are there. */
export async function* measure(
  stand: Stand,
  chosen: readonly BenchName[],
  repeat: number | undefined,
): AsyncGenerator<Measured> {
  const times = repeat ?? REPEAT;
  if (chosen.includes("lab-cold") || chosen.includes("lab-restored")) yield await labs(stand, chosen, times);
  if (chosen.includes("restore-memory")) yield await memory(stand, times);
  if (chosen.some(name => name === "ledger-4k" || name === "ledger-64k")) yield await ledger(stand, chosen, times);
  if (chosen.includes("cell-overhead")) yield await overhead(stand, times);
  if (chosen.includes("cells-per-hour")) yield await throughput(stand, repeat ?? SEEDS);
}
