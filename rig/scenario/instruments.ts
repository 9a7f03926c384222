/**
 * Instruments of the kernel under test: patches that change nothing but time, so that a race that takes luck elsewhere
 * can be met at will. Each holds one piece of work up by a module parameter; at 0, its default, the kernel is as it was.
 * Base and head of a comparison must have the same ones, set to the same.
 */
import { RigError } from "../core/errors.ts";
import type { HistorySink } from "../history/event.ts";
import { type Node, script } from "../lab/node.ts";

/** A kernel's suffix for each instrument is its name: linux-5.10+slow-stop. */
export const INSTRUMENT_NAMES = ["slow-stop", "slow-disconnect"] as const;
export type InstrumentName = (typeof INSTRUMENT_NAMES)[number];

const PARAMETERS = "/sys/module/scsi_transport_iscsi/parameters";

/** The file that sets an instrument, in milliseconds. */
const fileOf = (name: InstrumentName): string => `${PARAMETERS}/${name.replaceAll("-", "_")}_ms`;

/** Prints the arguments that are no files to be written. */
const MISSING = `for file in "$@"; do [ -w "$file" ] || echo "$file"; done`;

/** $1 value, $2 file. What the kernel made of it is read back. */
const SET = `echo "$1" > "$2"; cat "$2"`;

/**
 * Makes sure that the initiator's kernel has these instruments. With none it costs nothing.
 * @throws RIG_NO_INSTRUMENT, for which the environment is to blame: the cell is MISS.
 */
export const requireInstruments = async (
  node: Node,
  names: readonly InstrumentName[],
  signal?: AbortSignal,
): Promise<void> => {
  if (names.length === 0) return;
  const { stdout } = await script(node, MISSING, names.map(fileOf), { signal });
  const missing = names.filter(name => stdout.split("\n").includes(fileOf(name)));
  if (missing.length === 0) return;
  const suffixes = missing.map(name => `+${name}`).join("");
  throw new RigError(
    "RIG_NO_INSTRUMENT",
    `The scenario needs ${missing.join(" and ")} in the initiator's kernel, which has no ${missing.map(fileOf).join(" and no ")}. Run it on a kernel that the rig builds, with the suffix ${suffixes}, such as linux-5.10${suffixes}.`,
    { blame: "environment" },
  );
};

/** The instruments of one cell, and what they are set to. */
export class Instruments {
  readonly #node: Node;
  readonly #sink: HistorySink;
  readonly #signal: AbortSignal;
  readonly #set = new Map<InstrumentName, number>();

  constructor(node: Node, sink: HistorySink, signal: AbortSignal) {
    this.#node = node;
    this.#sink = sink;
    this.#signal = signal;
  }

  /** From now on the instrument holds its work up by `ms`; 0 takes it back. Work that waits already goes on waiting. */
  async set(name: InstrumentName, ms: number): Promise<void> {
    const { stdout } = await script(this.#node, SET, [String(ms), fileOf(name)], { signal: this.#signal });
    if (stdout.trim() !== String(ms))
      throw new RigError(
        "RIG_FAULT",
        `Expected ${fileOf(name)} to take ${ms}; it holds ${JSON.stringify(stdout.trim().slice(0, 40))}.`,
      );
    // A longer one may still be at work.
    this.#set.set(name, Math.max(ms, this.#set.get(name) ?? 0));
    this.#sink.record({ kind: "instrument", name, ms });
  }

  /** By how much everything that waits for the kernel may be late. */
  get heldUpMs(): number {
    return this.#set.values().reduce((sum, ms) => sum + ms, 0);
  }
}
