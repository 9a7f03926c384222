/** `npm run bench`: how fast the rig is, against what the machine can do. Figures on standard output, progress on standard error. */
import { availableParallelism, loadavg } from "node:os";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { commandContext } from "../cli/context.ts";
import { asRigError, exitStatusOf } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { type Figure, jsonLine } from "./figure.ts";
import { figureTable } from "./figure-table.ts";
import { type Measured, measure } from "./measure.ts";
import { BENCH_NAMES, type BenchName, chosenBenches, needsLab } from "./names.ts";
import { openStand } from "./stand.ts";
import { measureWithoutLab } from "./without-lab.ts";

interface Options {
  readonly json?: true;
  readonly repeat?: number;
}

const repetitions = (text: string): number => {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= 1 && value <= 1000) return value;
  throw new InvalidArgumentError("Expected a whole number from 1 to 1000.");
};

/** Other work takes CPU from what is measured, and not always the same. */
const warnOfLoad = (log: Log): void => {
  const [load = 0] = loadavg();
  const cpus = availableParallelism();
  if (load > cpus / 4)
    log.say(
      `This machine is busy: a load of ${load.toFixed(1)} on ${cpus} CPUs. Figures will be worse for it.`,
      "warn",
    );
};

/** What needs no lab comes first, and then no lab is prepared where none is needed. */
async function* measureAll(
  chosen: readonly BenchName[],
  repeat: number | undefined,
  log: Log,
  signal: AbortSignal,
): AsyncGenerator<Measured> {
  yield* measureWithoutLab(chosen, repeat, log, signal);
  if (!chosen.some(needsLab)) return;
  await using stand = await openStand(log, signal);
  const { accelerator, why } = stand.host.accelerator;
  log.say(`Measuring ${chosen.filter(needsLab).join(", ")} with ${stand.head.name}, ${accelerator} (${why}).`);
  yield* measure(stand, chosen, repeat);
}

const bench = async (given: readonly string[], options: Options): Promise<void> => {
  // Names are checked before anything is made: a typo should cost a second.
  const chosen = chosenBenches(given);
  using context = commandContext();
  const { log, signal } = context;
  warnOfLoad(log);
  const [figures, notes]: [Figure[], string[]] = [[], []];
  for await (const measured of measureAll(chosen, options.repeat, log, signal)) {
    figures.push(...measured.figures);
    notes.push(...measured.notes);
    if (options.json === true) for (const figure of measured.figures) process.stdout.write(`${jsonLine(figure)}\n`);
  }
  if (options.json === true) for (const note of notes) log.say(note);
  else process.stdout.write(`${[figureTable(figures), ...notes].join("\n")}\n`);
};

const program = new Command("npm run bench --")
  .description("Measures how fast the rig is. Needs root, and a machine that does nothing else.")
  .argument("[name...]", `what to measure: ${BENCH_NAMES.join(", ")}; all where none is named`)
  .option("--json", "a line of JSON for each figure instead of a table")
  .option("--repeat <n>", "repetitions (default: 5); of cells-per-hour, seeds (default: 25)", repetitions)
  .exitOverride()
  .action(bench);

// A reader that went away is no error of the rig's.
process.stdout.on("error", () => undefined);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    const known = asRigError(error);
    process.stderr.write(`bench: ${known.message}\n`);
    process.exitCode = exitStatusOf(known);
  }
}
// Sockets to Docker are kept alive for reuse; the work is over.
process.exit(process.exitCode ?? 0);
