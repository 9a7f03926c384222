/**
 * A fault is something broken on purpose. It can be mended, twice without harm, and it proves by counters of its own that
 * it bit: what was broken but struck nothing proves nothing about the kernel.
 */
import type { HistorySink } from "../history/event.ts";

export interface Evidence {
  /** Whether the fault had an effect. */
  readonly bit: boolean;
  /** Whether every trace of it is gone. */
  readonly gone: boolean;
  /** In words. */
  readonly text: string;
  readonly counters: Readonly<Record<string, number>>;
}

export interface Fault {
  /** Unique in the cell, such as `path-drop:a#1`. */
  readonly name: string;
  /** What it acts on, for the timeline: "path a", "iscsid". */
  readonly on: string;
  inject(): Promise<string>;
  /** Safe to call twice. */
  heal(): Promise<string>;
  evidence(): Promise<Evidence>;
}

/** Runs faults, records them in the history, and remembers which are still in place. */
export class FaultDesk {
  readonly #sink: HistorySink;
  readonly #active: Fault[] = [];
  readonly #all: { readonly fault: Fault; evidence: Evidence | undefined }[] = [];

  constructor(sink: HistorySink) {
    this.#sink = sink;
  }

  async inject(fault: Fault): Promise<void> {
    // Registered before it is done: a half-done injection is healed too.
    this.#active.push(fault);
    this.#all.push({ fault, evidence: undefined });
    this.#sink.record({ kind: "fault", fault: fault.name, action: "inject", edge: "begin", on: fault.on });
    const detail = await fault.inject();
    this.#sink.record({ kind: "fault", fault: fault.name, action: "inject", edge: "end", on: fault.on, detail });
  }

  async heal(fault: Fault): Promise<void> {
    if (!this.#active.includes(fault)) return;
    this.#sink.record({ kind: "fault", fault: fault.name, action: "heal", edge: "begin", on: fault.on });
    const detail = await fault.heal();
    this.#sink.record({ kind: "fault", fault: fault.name, action: "heal", edge: "end", on: fault.on, detail });
    this.#active.splice(this.#active.indexOf(fault), 1);
    const evidence = await fault.evidence();
    const entry = this.#all.find(candidate => candidate.fault === fault);
    if (entry !== undefined) entry.evidence = evidence;
    this.#sink.record({ kind: "evidence", fault: fault.name, ...evidence, counters: { ...evidence.counters } });
  }

  /** Heals what is still broken, last first. Every fault is tried; the first error is passed on at the end. */
  async healAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const fault of this.#active.toReversed()) {
      try {
        await this.heal(fault);
      } catch (error) {
        errors.push(error);
        this.#sink.record({ kind: "note", text: `healing ${fault.name} failed: ${String(error)}` });
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  /** What every fault of the cell had to show. */
  get evidence(): readonly (Evidence & { readonly fault: string })[] {
    return this.#all.flatMap(({ fault, evidence }) =>
      evidence === undefined ? [] : [{ fault: fault.name, ...evidence }],
    );
  }
}
