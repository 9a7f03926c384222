/** What a lab is asked to be. */
import type { HistorySink } from "../history/event.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Bay } from "./bay.ts";
import type { Node } from "./node.ts";
import type { LabShape } from "./qemu-argv.ts";
import type { Snapshot } from "./snapshot.ts";

export interface LabRequest {
  readonly bay: Bay;
  readonly kernel: Kernel;
  /** Size of the disk behind each LUN of the target. */
  readonly backingMiB: number;
  /** One LUN and one device if undefined. */
  readonly shape?: LabShape;
  readonly sink: HistorySink;
  /** Where console logs are written, and captures, unless the lab is only there to be saved: then it is under the bay's `out`. */
  readonly artefacts: string;
  /** The lab goes on when this process has ended, for `rig shell`. */
  readonly survives?: boolean;
  /** Called with each node that is booted, so that its set-up need not wait for the other one's boot. */
  readonly onNode?: (node: Node) => void;
  readonly timeoutScale: number;
  readonly signal?: AbortSignal | undefined;
  /** Told of clean-up steps that failed. */
  readonly onCleanupFailure: (what: string) => void;
}

/** A lab whose state will be saved: its memory is in files of this directory under the cache of snapshots. */
export interface SavableRequest extends LabRequest {
  readonly saveTo: string;
}

export interface RestoreRequest extends LabRequest {
  readonly snapshot: Snapshot;
}
