/**
 * A gate between work that may go on side by side and work that must be alone: many hold it shared, or one holds it
 * exclusively. Who wants to be alone goes before those who come later, so that it is not kept waiting for ever.
 */
import { orAbort } from "./clock.ts";

export interface Lease {
  /** An exclusive lease becomes a shared one, without letting anybody in between who wants to be alone. */
  share(): void;
  /** Safe to call twice. */
  release(): void;
}

interface Waiting {
  readonly alone: boolean;
  readonly enter: () => void;
}

export class Gate {
  #shared = 0;
  #alone = false;
  readonly #queue: Waiting[] = [];

  /** Waits until nobody is alone in it. */
  shared(signal?: AbortSignal): Promise<Lease> {
    return this.#take(false, signal);
  }

  /** Waits until nobody is in it. */
  exclusive(signal?: AbortSignal): Promise<Lease> {
    return this.#take(true, signal);
  }

  async #take(alone: boolean, signal: AbortSignal | undefined): Promise<Lease> {
    signal?.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const waiting: Waiting = { alone, enter: () => resolve(undefined) };
    this.#queue.push(waiting);
    this.#admit();
    const lease = this.#lease(alone);
    if (signal === undefined) await promise;
    else {
      try {
        await orAbort(promise, signal);
      } catch (error) {
        const place = this.#queue.indexOf(waiting);
        if (place < 0) lease.release();
        else {
          this.#queue.splice(place, 1);
          this.#admit();
        }
        throw error;
      }
    }
    return lease;
  }

  #lease(alone: boolean): Lease {
    let holds: "alone" | "shared" | "nothing" = alone ? "alone" : "shared";
    return {
      share: () => {
        if (holds !== "alone") return;
        holds = "shared";
        this.#alone = false;
        this.#shared++;
        this.#admit();
      },
      release: () => {
        if (holds === "alone") this.#alone = false;
        if (holds === "shared") this.#shared--;
        holds = "nothing";
        this.#admit();
      },
    };
  }

  /** Lets in, in the order of coming, whoever may be in it together with those who are. */
  #admit(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#alone || (next.alone && this.#shared > 0)) return;
      this.#queue.shift();
      if (next.alone) this.#alone = true;
      else this.#shared++;
      next.enter();
    }
  }
}
