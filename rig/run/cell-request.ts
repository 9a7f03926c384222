/** What is asked of one cell. */
import path from "node:path";
import type { Kernel } from "../kernel/kernel.ts";
import type { Bay } from "../lab/bay.ts";
import type { Scenario } from "../scenario/scenario.ts";
import type { Labs } from "./labs.ts";

export interface CellRequest {
  readonly run: string;
  readonly bay: Bay;
  readonly labs: Pick<Labs, "ready">;
  readonly scenario: Scenario;
  readonly kernel: Kernel;
  readonly seed: number;
  /** 1 for the first try. */
  readonly attempt: number;
  /** The run's directory. */
  readonly out: string;
  readonly timeoutScale: number;
  /** Leave the lab running after the cell. */
  readonly keepLab: boolean;
  /** Where something hangs, write both guests' memory to files. */
  readonly dumpMemory: boolean;
  readonly signal: AbortSignal;
  /** Handed the removal of the lab, which goes on after the cell is judged; until it is over the bay is in use. It never rejects. */
  readonly onRemoval: (removal: Promise<void>) => void;
  readonly onPhase: (name: string) => void;
  /** Told of what is worth a line in the log: a lab that was kept, clean-up that failed. */
  readonly onNote: (text: string) => void;
}

/** A cell's directory, relative to the run's. */
export const cellDirectory = (scenario: string, kernel: string, seed: number): string =>
  path.join("cells", scenario, kernel, String(seed));
