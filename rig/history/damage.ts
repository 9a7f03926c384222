/**
 * What is wrong with a history's file, line by line. The list is bounded: a file of noise has a million bad lines, and the
 * first hundred tell as much. Where a damaged compact line costs those that count from it, they are told with it.
 */
import type { Damage } from "./event.ts";

/** As many are told in words; the others are counted. */
export const DAMAGE_TOLD = 100;

interface Entry {
  readonly line: number;
  readonly problem: string;
  /** Compact lines that could not be understood because of this one, the last of them, and answers to what they invoked. */
  leftOut: number;
  lastLine: number;
  orphans: number;
}

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`;

const inWords = ({ line, problem, leftOut, lastLine, orphans }: Entry): Damage => {
  const left = leftOut === 0 ? "" : `; ${counted(leftOut, "line")} more up to line ${lastLine} left out with it`;
  const lost = orphans === 0 ? "" : `; ${counted(orphans, "later answer")} left out whose invocation was lost`;
  return { line, problem: `${problem}${left}${lost}` };
};

export class DamageList {
  readonly #entries: Entry[] = [];
  #untold = 0;
  #firstUntold = 0;
  /** The latest damage that cost a section's rest. */
  #loss: Entry | undefined;

  add(line: number, problem: string): void {
    this.#add({ line, problem, leftOut: 0, lastLine: line, orphans: 0 });
  }

  /** Damage after which compact lines mean nothing, until a clock line. */
  addLoss(line: number, problem: string): void {
    this.#loss = { line, problem, leftOut: 0, lastLine: line, orphans: 0 };
    this.#add(this.#loss);
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Whether anything was lost so far. */
  get hasLoss(): boolean {
    return this.#loss !== undefined;
  }

  /** A compact line that means nothing, because of the latest loss. */
  leaveOut(line: number): void {
    if (this.#loss === undefined) return;
    this.#loss.leftOut++;
    this.#loss.lastLine = line;
  }

  /** An answer to an operation that nothing invoked, after a loss. */
  orphan(): void {
    if (this.#loss !== undefined) this.#loss.orphans++;
  }

  list(): readonly Damage[] {
    const told = this.#entries.map(inWords);
    if (this.#untold === 0) return told;
    return [...told, { line: this.#firstUntold, problem: `and ${counted(this.#untold, "more line")} like these` }];
  }

  #add(entry: Entry): void {
    if (this.#entries.length < DAMAGE_TOLD) this.#entries.push(entry);
    else if (this.#untold++ === 0) this.#firstUntold = entry.line;
  }
}
