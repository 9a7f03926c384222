/**
 * The only place that reads a clock or waits for time to pass. Histories use the host's monotonic clock; everything that
 * waits takes an AbortSignal and a deadline.
 */
import { setTimeout as sleepFor } from "node:timers/promises";
import { RigError } from "./errors.ts";

/** Nanoseconds on the host's monotonic clock (CLOCK_MONOTONIC), the same in every process of this machine. */
export const monotonicNs = (): bigint => process.hrtime.bigint();

/** Milliseconds on the host's monotonic clock. */
export const monotonicMs = (): number => performance.now();

/** The wall clock, for people and for file names only. */
export const wallClock = (): Date => new Date();

/** Waits `ms` milliseconds, or rejects with the signal's reason. */
export const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
  try {
    await sleepFor(Math.max(0, ms), undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  }
};

/** A signal that aborts after `ms` with a RigError that says what was expected, or when `outer` aborts. */
export const deadline = (ms: number, expected: string, outer?: AbortSignal): AbortSignal & Disposable => {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(
      new RigError("RIG_DEADLINE", `Expected ${expected} within ${String(Math.round(ms))} ms; it did not happen.`),
    );
  }, ms);
  const onOuter = () => {
    controller.abort(outer?.reason);
  };
  if (outer?.aborted === true) onOuter();
  else outer?.addEventListener("abort", onOuter, { once: true });
  return Object.assign(controller.signal, {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      outer?.removeEventListener("abort", onOuter);
    },
  });
};

/** The promise, or the signal's reason if it aborts first. The promise itself goes on; its late rejection is swallowed. */
export const orAbort = async <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> => {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => {
    reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    promise.catch(() => undefined);
  }
};

export interface PollOptions {
  readonly everyMs: number;
  readonly withinMs: number;
  readonly expected: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks again and again until `probe` answers with something other than undefined. For what can only be asked for: where
 * an event can be waited for, wait for it instead.
 */
export const poll = async <T>(probe: (signal: AbortSignal) => Promise<T | undefined>, o: PollOptions): Promise<T> => {
  using limit = deadline(o.withinMs, o.expected, o.signal);
  for (;;) {
    limit.throwIfAborted();
    const answer = await orAbort(probe(limit), limit);
    if (answer !== undefined) return answer;
    await sleep(o.everyMs, limit);
  }
};
