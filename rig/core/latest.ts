/**
 * Work that only its last time matters for, such as writing the state of things to a file: asked for often, done soon, never
 * twice at once, and not more often than once in a while.
 */
import { sleep } from "./clock.ts";

export interface Latest {
  /** Has it done some time soon. */
  soon(): void;
  /** Resolves when everything that was asked for is done; rejects with the first error of any of it. */
  done(): Promise<void>;
}

export const latest = (work: () => Promise<unknown>, everyMs: number): Latest => {
  let wanted = false;
  let going: Promise<void> | undefined;
  let failure: { error: unknown } | undefined;
  let hurry = new AbortController();
  const go = async () => {
    while (wanted && failure === undefined) {
      wanted = false;
      try {
        await work();
      } catch (error) {
        failure = { error };
      }
      await sleep(everyMs, hurry.signal).catch(() => undefined);
    }
    going = undefined;
  };
  return {
    soon: () => {
      wanted = true;
      going ??= go();
    },
    done: async () => {
      hurry.abort();
      await going;
      hurry = new AbortController();
      if (failure !== undefined) throw failure.error;
    },
  };
};
