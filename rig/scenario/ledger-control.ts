/**
 * The ledger as a timeline steers it. Every call is a step of the history, and waits no longer than the configuration under test
 * allows an operation to take.
 */
import { poll } from "../core/clock.ts";
import { READ_BACK_PHASE } from "../core/names.ts";
import type { HistorySink } from "../history/event.ts";
import type { Outcome } from "../workload/batch.ts";
import type { Generation, Ledger } from "../workload/ledger.ts";

interface GenerationControl extends Pick<Generation, "label" | "inFlight"> {
  /** Waits until every write was acknowledged; fails after the time that the configuration allows. */
  readonly acknowledged: () => Promise<void>;
  /** Waits until every write has an answer, good or bad; fails after the time that the configuration allows. */
  readonly answered: () => Promise<Outcome>;
}

export interface LedgerControl {
  /** Submits one write to every slot, all at once, and returns while they are under way. */
  readonly rewrite: () => Promise<GenerationControl>;
  /** Writes every sector once, in the sizes of the mix, and waits until all of it is acknowledged. */
  readonly fill: () => Promise<void>;
  /** Begins operations of the mix, a queue depth of them at a time, and returns. They go on until `quiesce`. */
  readonly steady: () => Promise<void>;
  /** Waits until so many operations of the steady phase are under way. */
  readonly inFlight: (atLeast: number) => Promise<void>;
  /** Submits so many operations of the mix at once, beside whatever else runs, and returns while they are under way. */
  readonly burst: (operations: number) => Promise<GenerationControl>;
  /**
   * Writes newer data over everything that is not acknowledged at this moment, and waits until the newer data is. What the older
   * operations still do later is stale.
   */
  readonly supersede: (options?: { through?: number }) => Promise<void>;
  /** Ends the steady phase and waits until every operation of it has an answer, good or bad. */
  readonly quiesce: () => Promise<void>;
  /**
   * Reads the final state through both ends, now rather than at the end of the cell. For a scenario that leaves something
   * broken which says nothing about the data, and whose mending would make the initiator drop its sessions.
   */
  readonly readBack: () => Promise<void>;
  /** Reads the target's disk image, behind the initiator's back. */
  readonly observe: () => Promise<void>;
}

interface LedgerBench {
  readonly ledger: Ledger;
  readonly sink: HistorySink;
  readonly scale: number;
  readonly signal: AbortSignal;
  /** Milliseconds in which the configuration must have answered an operation. */
  readonly answerWithinMs: number;
  /** What holds the initiator's kernel up beyond that. */
  readonly instruments?: { readonly heldUpMs: number };
}

type Step = <T>(text: string, work: () => Promise<T>) => Promise<T>;

/** How long reading everything back may take. */
export const READ_BACK_MS = 60_000;

/** The connection to the device has nothing to wait for: how many are under way has to be asked. */
const LOOK_MS = 5;

export const ledgerControl = (bench: LedgerBench, step: Step): LedgerControl => {
  const { ledger } = bench;
  // A little more than the configuration allows: the hang oracle judges by the limit, the timeline only gives up after it.
  const patienceMs = () => bench.answerWithinMs + (bench.instruments?.heldUpMs ?? 0) + 2000;
  const controlOf = (generation: Generation): GenerationControl => ({
    label: generation.label,
    get inFlight() {
      return generation.inFlight;
    },
    acknowledged: () => step(`${generation.label} is acknowledged`, () => generation.acknowledged(patienceMs())),
    answered: () => step(`${generation.label} is answered`, () => generation.answered(patienceMs())),
  });
  const enough = (atLeast: number) => (): Promise<true | undefined> =>
    Promise.resolve(ledger.inFlight >= atLeast ? true : undefined);
  return {
    rewrite: () => step("write every slot anew", () => Promise.resolve(controlOf(ledger.rewrite()))),
    fill: () => step("write every sector once", () => ledger.fill().acknowledged(READ_BACK_MS * bench.scale)),
    steady: () =>
      step("begin a steady load", () => {
        ledger.steady();
        return Promise.resolve();
      }),
    inFlight: atLeast =>
      step(`${atLeast} operations are under way`, async () => {
        const expected = `${atLeast} operations of the steady load to be under way`;
        await poll(enough(atLeast), { everyMs: LOOK_MS, withinMs: patienceMs(), expected, signal: bench.signal });
      }),
    burst: operations =>
      step(`submit ${operations} operations at once`, () => Promise.resolve(controlOf(ledger.burst(operations)))),
    supersede: ({ through } = {}) =>
      step("write newer data over what is not acknowledged", () =>
        ledger.supersede(through).acknowledged(patienceMs()),
      ),
    quiesce: () => step("end the steady load", () => ledger.quiesce(patienceMs())),
    readBack: () =>
      step("read everything back", async () => {
        bench.sink.record({ kind: "phase", name: READ_BACK_PHASE, edge: "begin" });
        try {
          await ledger.readBack(READ_BACK_MS * bench.scale);
        } finally {
          bench.sink.record({ kind: "phase", name: READ_BACK_PHASE, edge: "end" });
        }
      }),
    observe: () => step("read the target's disk image", () => ledger.readBacking()),
  };
};
