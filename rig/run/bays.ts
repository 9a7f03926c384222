/** The bays of a run: opened when one more lab is to run beside the others, used again and again, closed at its end. */
import { messageOf } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { type Bay, type BayRequest, openBay } from "../lab/bay.ts";

export class Bays implements AsyncDisposable {
  readonly #request: BayRequest;
  readonly #log: Log;
  readonly #idle: Bay[] = [];
  /** Closing takes Docker a while, and nobody has to wait for it but the end of the run. */
  #closing: Promise<unknown> = Promise.resolve();

  constructor(request: BayRequest, log: Log) {
    this.#request = request;
    this.#log = log;
  }

  /** An idle bay, or a new one. */
  async take(): Promise<Bay> {
    return this.#idle.pop() ?? openBay(this.#request);
  }

  /** Takes a bay back. One that is not as it was made is closed instead. */
  async give(bay: Bay): Promise<void> {
    if (bay.isKept) return;
    const changed = await bay.changed();
    if (changed === undefined) {
      this.#idle.push(bay);
      return;
    }
    this.#log.say(`A lab's containers are not used again: ${changed}`, "warn");
    this.#close(bay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const bay of this.#idle.splice(0)) this.#close(bay);
    await this.#closing;
  }

  #close(bay: Bay): void {
    const closing = bay[Symbol.asyncDispose]().catch((error: unknown) => {
      this.#request.onCleanupFailure(messageOf(error));
    });
    this.#closing = Promise.all([this.#closing, closing]);
  }
}
