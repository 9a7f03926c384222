/** The parts of a cell's life, timed and put into the history. */
import { monotonicMs } from "../core/clock.ts";
import type { HistorySink } from "../history/event.ts";

export interface Phase {
  readonly name: string;
  readonly ms: number;
}

export class Phases {
  readonly list: Phase[] = [];
  readonly #sink: HistorySink;
  readonly #onPhase: (name: string) => void;

  constructor(sink: HistorySink, onPhase: (name: string) => void) {
    this.#sink = sink;
    this.#onPhase = onPhase;
  }

  /** Runs one phase; its time counts however it ends. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const started = monotonicMs();
    this.#onPhase(name);
    this.#sink.record({ kind: "phase", name, edge: "begin" });
    try {
      return await work();
    } finally {
      this.#sink.record({ kind: "phase", name, edge: "end" });
      this.list.push({ name, ms: Math.round((monotonicMs() - started) * 10) / 10 });
    }
  }
}
