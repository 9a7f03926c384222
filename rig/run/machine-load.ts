/** How busy the machine is and how much memory it has left, as its kernel tells in /proc. */
import { readFileSync } from "node:fs";
import { RigError } from "../core/errors.ts";

/** Time that all CPUs together have spent since they were started, in the kernel's ticks. */
export interface CpuTicks {
  readonly busy: number;
  readonly total: number;
}

const unreadable = (what: string, file: string): RigError =>
  new RigError("RIG_FILE", `Expected ${what} in ${file}; it is not there. Is /proc mounted?`, { blame: "environment" });

/** The first line of /proc/stat (proc_stat(5)): user nice system idle iowait irq softirq steal, and guests, which user has in it. */
export const parseCpuTicks = (stat: string): CpuTicks => {
  const ticks = /^cpu +([\d ]+)$/m.exec(stat)?.[1]?.trim().split(/ +/).slice(0, 8).map(Number);
  if (ticks === undefined || ticks.length < 4) throw unreadable("the CPUs' times", "/proc/stat");
  const total = ticks.reduce((sum, n) => sum + n, 0);
  const [, , , idle = 0, iowait = 0] = ticks;
  return { busy: total - idle - iowait, total };
};

/** The part of all CPUs that worked between two moments; undefined where no time has passed. */
export const busyBetween = (before: CpuTicks, after: CpuTicks): number | undefined => {
  const total = after.total - before.total;
  // The time of waiting for I/O may run backwards.
  return total <= 0 ? undefined : Math.min(1, Math.max(0, (after.busy - before.busy) / total));
};

/** What could be given to new programs without swapping (MemAvailable of /proc/meminfo). */
export const parseAvailableMiB = (meminfo: string): number => {
  const kib = /^MemAvailable: +(\d+) kB$/m.exec(meminfo)?.[1];
  if (kib === undefined) throw unreadable("MemAvailable", "/proc/meminfo");
  return Math.floor(Number(kib) / 1024);
};

export class MachineLoad {
  readonly #read: (file: string) => string;
  #before: CpuTicks;
  #busy = 0;

  constructor(read = (file: string): string => readFileSync(file, "utf8")) {
    this.#read = read;
    this.#before = parseCpuTicks(read("/proc/stat"));
  }

  /** How it is now; `busy` is of the time since the last sample. */
  sample(): { readonly busy: number; readonly availableMiB: number } {
    const now = parseCpuTicks(this.#read("/proc/stat"));
    this.#busy = busyBetween(this.#before, now) ?? this.#busy;
    this.#before = now;
    return { busy: this.#busy, availableMiB: parseAvailableMiB(this.#read("/proc/meminfo")) };
  }
}
