/** What a lab is asked to be. */
import type Docker from "dockerode";
import type { HistorySink } from "../history/event.ts";
import type { GuestRoot } from "../image/guest-root.ts";
import type { NodeImage } from "../image/node-image.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { AcceleratorChoice } from "./accelerator.ts";

/** What every lab of a run shares. */
export interface LabHost {
  readonly docker: Docker;
  readonly image: NodeImage;
  readonly root: GuestRoot;
  readonly accelerator: AcceleratorChoice;
}

export interface LabRequest {
  readonly host: LabHost;
  readonly run: string;
  readonly kernel: Kernel;
  /** Size of the disk behind the target's LUN. */
  readonly backingMiB: number;
  readonly sink: HistorySink;
  /** Where console logs and captures are written. */
  readonly artefacts: string;
  readonly timeoutScale: number;
  readonly signal?: AbortSignal | undefined;
  /** Told of clean-up steps that failed. */
  readonly onCleanupFailure: (what: string) => void;
}
