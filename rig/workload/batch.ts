/**
 * Operations that belong together: one generation, a burst, a stream that runs until it is stopped. A batch counts what became
 * of each and can be waited for, with or without patience for those that failed.
 */
import { deadline, orAbort, sleep } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";
import type { Issuer, LedgerDevice, Result } from "./issuer.ts";
import type { PlannedOperation } from "./operation-plan.ts";

/** What became of a batch's operations. */
export interface Outcome {
  readonly ok: number;
  readonly failed: number;
  readonly unanswered: number;
}

/** Operations under way or over. */
export interface Generation {
  readonly label: string;
  /** Operations that have no answer yet. */
  readonly inFlight: number;
  /** Resolves when every operation has its answer, or the connection ended. Rejects after `withinMs`. */
  answered(withinMs: number): Promise<Outcome>;
  /** Resolves when every operation was acknowledged; one that failed is a RIG_NBD error. */
  acknowledged(withinMs: number): Promise<void>;
}

/** Marks a deadline that the hang oracle will explain: the operation did not answer in the time that was allowed. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof RigError && error.context["unanswered"] === true;

/** Marks an error that the errors oracle may explain: an operation failed that the timeline needed. */
export const isFailed = (error: unknown): boolean => error instanceof RigError && error.context["failed"] === true;

/** Waits for answers; those that do not come in time are told as a deadline that the hang oracle explains. */
export const answersOf = async (
  answers: Promise<unknown>,
  withinMs: number,
  expected: string,
  signal: AbortSignal,
  waiting: () => string = () => "",
): Promise<void> => {
  using limit = deadline(withinMs, expected, signal);
  try {
    await orAbort(answers, limit);
  } catch (error) {
    signal.throwIfAborted();
    if (!limit.aborted) throw error;
    throw new RigError("RIG_DEADLINE", `${messageOf(error)}${waiting()}`, {
      blame: "scenario",
      context: { unanswered: true },
      cause: error,
    });
  }
};

/** A disk that refuses everything at once would fill the history with nothing else. */
const AFTER_ERROR_MS = 10;

/** What is to be done through one device, and how much of it at once. */
export interface Work {
  readonly device: LedgerDevice;
  readonly operations: Iterator<PlannedOperation, unknown>;
  readonly depth: number;
}

export class Batch implements Generation {
  readonly label: string;
  readonly #issuer: Issuer;
  readonly #signal: AbortSignal;
  readonly #done: Promise<unknown>;
  readonly #outcome = { ok: 0, failed: 0, unanswered: 0 };
  /** What the operations are called in messages. */
  readonly #noun: string;
  #issued = 0;
  #inFlight = 0;
  #firstError: string | undefined;
  #stopped = false;

  /** Begins at once: `depth` operations of each work are under way when this returns. */
  constructor(issuer: Issuer, label: string, works: readonly Work[], signal: AbortSignal, noun = "operation") {
    this.#issuer = issuer;
    this.label = label;
    this.#signal = signal;
    this.#noun = noun;
    this.#done = Promise.all(works.flatMap(work => Array.from({ length: work.depth }, () => this.#lane(work))));
    // Whoever waits is told; where nobody does, it is no reason to end the process.
    this.#done.catch(() => undefined);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Operations issued so far. */
  get issued(): number {
    return this.#issued;
  }

  get outcome(): Outcome {
    return this.#outcome;
  }

  /** Issues nothing more. What is under way goes on. */
  stop(): void {
    this.#stopped = true;
  }

  async answered(withinMs: number): Promise<Outcome> {
    const expected = `every ${this.#noun} of ${this.label} to be answered`;
    const waiting = () => ` ${this.#inFlight} of ${this.#issued} still wait.`;
    await answersOf(this.#done, withinMs, expected, this.#signal, waiting);
    return this.#outcome;
  }

  async acknowledged(withinMs: number): Promise<void> {
    const { ok, failed, unanswered } = await this.answered(withinMs);
    if (failed + unanswered === 0) return;
    throw new RigError(
      "RIG_NBD",
      `Expected every ${this.#noun} of ${this.label} to be acknowledged: ${ok} were, ${failed} failed, ${unanswered} got no answer (${this.#firstError ?? "no error given"}).`,
      { blame: "scenario", context: { failed: failed > 0 } },
    );
  }

  /** Issues one operation after another until there are no more, or the device is gone. */
  async #lane({ device, operations }: Work): Promise<void> {
    while (!this.#stopped && !this.#signal.aborted) {
      const next = operations.next();
      if (next.done === true) return;
      this.#issued++;
      this.#inFlight++;
      let result: Result;
      try {
        result = await this.#issuer.issue(device, next.value, this.label);
      } finally {
        this.#inFlight--;
      }
      this.#outcome[result.end]++;
      this.#firstError ??= result.error;
      if (result.end === "unanswered") return;
      if (result.end === "failed") await sleep(AFTER_ERROR_MS);
    }
  }
}
