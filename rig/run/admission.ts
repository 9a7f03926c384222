/**
 * How many labs may run side by side. More of them end a run sooner, until their guests get too little CPU and miss timers:
 * then cells are starved and have to run again, and worse, what is measured is the machine. How many that is depends on
 * the machine and on what runs, so it is found out on the way: up by one while cells end without having waited much, down
 * when they did. On two cores without KVM, seven labs waited for half a second in the worst second of theirs, and none was
 * starved; of twelve a lab now and then loses a connection for want of CPU.
 *
 * Memory is no matter of trying: what runs out of it is killed. No more labs start than fit, whatever was asked for.
 */

export interface CellEnded {
  readonly kind: "cell-ended";
  /** How long a node waited for a CPU at worst, in milliseconds of a second (`judgeStarvation`). */
  readonly worstWaitMs: number;
  /** Its verdict was thrown away for that. */
  readonly starved: boolean;
  /** The most memory that the lab had; undefined where it was not measured. */
  readonly peakMiB: number | undefined;
}

export interface MachineState {
  /** The part of all CPUs that worked over the last window, 0 to 1. */
  readonly busy: number;
  readonly availableMiB: number;
  /** How many labs ran when this was measured. */
  readonly running: number;
}

export interface AdmissionOptions {
  readonly mode: "auto" | number;
  readonly cores: number;
  readonly memoryMiB: number;
}

const LABS_A_CORE_FIRST = 3;
const LABS_A_CORE_MOST = 6;
/** A lab's memory until one was measured. */
const LAB_MIB = 400;
/** So many cells are remembered: their memory, and that one of them was starved. */
const RECENT_CELLS = 20;
/** The machine keeps this much memory free, or this part of it where that is more. */
const FREE_MIB = 1024;
const FREE_PART = 0.1;
/** A wait below the first is no obstacle to one more lab; above the second one less is better. */
const CALM_MS = 500;
const CLOSE_MS = 700;
const BUSY = 0.92;
/** What is left of the limit when a cell was starved. */
const AFTER_STARVED = 0.85;

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #most: number;
  /** How many labs the CPUs carry, as far as is known. */
  #level: number;
  #reason: string;
  #machine: MachineState | undefined;
  #peaksMiB: readonly number[] = [];
  /** After a cell was starved: no more labs than this for so many cells. */
  #ceiling = { level: Number.POSITIVE_INFINITY, cells: 0 };
  /** After a step down: so many cells may end that ran beside too many others, and say nothing about fewer. */
  #stale = 0;

  constructor(options: AdmissionOptions) {
    const { mode, cores } = options;
    this.#options = options;
    this.#most = mode === "auto" ? LABS_A_CORE_MOST * Math.max(1, cores) : mode;
    this.#level = mode === "auto" ? LABS_A_CORE_FIRST * Math.max(1, cores) : Math.max(1, mode);
    this.#reason = mode === "auto" ? `${LABS_A_CORE_FIRST} for each core` : "as asked";
  }

  /** How many labs may run now; at least one. */
  get limit(): number {
    return Math.max(1, Math.min(this.#level, this.#fitting));
  }

  /** Why that many. */
  get why(): string {
    if (this.#fitting >= this.#level) return this.#reason;
    const available = this.#machine === undefined ? "" : `, ${Math.round(this.#machine.availableMiB)} MiB available`;
    return `memory: ${Math.round(this.#labMiB)} MiB for each lab${available}`;
  }

  /** Whether one more lab may start while so many run; the first one always. */
  mayStart(running: number): boolean {
    return running < this.limit;
  }

  /** Takes note of the machine's state; to be told about once a second. */
  machine(state: MachineState): void {
    this.#machine = state;
  }

  /** Takes note of what an ended cell met. */
  observe({ worstWaitMs, starved, peakMiB }: CellEnded): void {
    if (peakMiB !== undefined && peakMiB > 0) this.#peaksMiB = [...this.#peaksMiB, peakMiB].slice(-RECENT_CELLS);
    if (this.#options.mode !== "auto") return;
    const most = this.#ceiling.cells > 0 ? Math.min(this.#ceiling.level, this.#most) : this.#most;
    this.#ceiling.cells = Math.max(0, this.#ceiling.cells - 1);
    if (this.#stale > 0) {
      this.#stale--;
      return;
    }
    const { limit } = this;
    if (starved) {
      this.#shrink(Math.floor(limit * AFTER_STARVED), `a cell was starved of CPU beside ${limit - 1} others`);
      this.#ceiling = { level: this.#level, cells: RECENT_CELLS };
    } else if (worstWaitMs > CLOSE_MS)
      this.#shrink(limit - 1, `a node waited ${Math.round(worstWaitMs)} ms of a second for a CPU`);
    else if (worstWaitMs < CALM_MS && this.#isIdle && limit < most && limit < this.#fitting) {
      this.#level = limit + 1;
      this.#reason = "the machine keeps up";
    }
  }

  #shrink(level: number, reason: string): void {
    this.#stale = this.limit - 1;
    this.#level = Math.max(1, level);
    this.#reason = reason;
  }

  /** Unmeasured is not idle. */
  get #isIdle(): boolean {
    return this.#machine !== undefined && this.#machine.busy < BUSY;
  }

  get #labMiB(): number {
    return this.#peaksMiB.length === 0 ? LAB_MIB : Math.max(...this.#peaksMiB);
  }

  /** How many labs the memory has room for: all of it, for they will grow, and what others have left of it. */
  get #fitting(): number {
    const { memoryMiB } = this.#options;
    const freeMiB = Math.max(FREE_MIB, memoryMiB * FREE_PART);
    const inAll = Math.floor((memoryMiB - freeMiB) / this.#labMiB);
    if (this.#machine === undefined) return inAll;
    const { availableMiB, running } = this.#machine;
    return Math.min(inAll, running + Math.floor((availableMiB - freeMiB) / this.#labMiB));
  }
}
