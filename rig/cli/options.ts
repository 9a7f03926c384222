/** Options that several commands share, and how their values are checked. */
import { type Command, InvalidArgumentError, Option } from "commander";

const integer =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^-?[0-9]+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };

const factor = (text: string): number => {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0.1 && value <= 100) return value;
  throw new InvalidArgumentError("Expected a number from 0.1 to 100.");
};

const repeatOption = (byDefault: number) =>
  new Option("--repeat <n>", "cells for each scenario and kernel, with seeds from --seed on")
    .argParser(integer(1, 10_000))
    .default(byDefault);
const seedOption = () => new Option("--seed <s>", "the first seed").argParser(integer(0, 2 ** 31 - 1)).default(1);
const outOption = () => new Option("--out <dir>", "where results go").default("results");
const jsonOption = (text: string) => new Option("--json", text).default(false);
const keepLabOption = () => new Option("--keep-lab", "leave the last cell's lab running, for rig shell").default(false);
const dumpMemoryOption = () =>
  new Option(
    "--dump-memory",
    "where something hangs, write both guests' memory beside the results, for crash(8)",
  ).default(false);
const timeoutScaleOption = () =>
  new Option("--timeout-scale <x>", "stretch every deadline, for slow machines").argParser(factor).default(1);

const jobs = (text: string): "auto" | number => (text === "auto" ? text : integer(1, 256)(text));
const jobsOption = () =>
  new Option("--jobs <n>", "labs side by side: a number, or auto for as many as the machine carries")
    .argParser(jobs)
    .default("auto");
const snapshotsOption = () =>
  new Option("--no-snapshots", "boot every cell's lab instead of restoring it from a snapshot").default(true);

export interface RunOptions {
  readonly repeat: number;
  readonly seed: number;
  readonly out: string;
  readonly json: boolean;
  readonly keepLab: boolean;
  readonly dumpMemory: boolean;
  readonly timeoutScale: number;
  readonly jobs: "auto" | number;
  readonly snapshots: boolean;
}

/** The seeds of a run. */
export const seedsOf = ({ seed, repeat }: Pick<RunOptions, "seed" | "repeat">): readonly number[] =>
  Array.from({ length: repeat }, (_, i) => seed + i);

/** Gives a command everything that runs cells has in common. */
export const withRunOptions = (command: Command, defaults: { repeat: number; json?: string }): Command => {
  const shared = [
    seedOption(),
    outOption(),
    jsonOption(defaults.json ?? "print run.json on standard output"),
    jobsOption(),
    snapshotsOption(),
    keepLabOption(),
    dumpMemoryOption(),
    timeoutScaleOption(),
  ];
  for (const option of [repeatOption(defaults.repeat), ...shared]) command.addOption(option);
  return command;
};
