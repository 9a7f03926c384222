/** What labs need of the machine that carries them. */
import type Docker from "dockerode";
import type { GuestRoot } from "../image/guest-root.ts";
import type { NodeImage } from "../image/node-image.ts";
import type { AcceleratorChoice } from "./accelerator.ts";

/** What every lab of a run shares. */
export interface LabHost {
  readonly docker: Docker;
  readonly image: NodeImage;
  readonly root: GuestRoot;
  readonly accelerator: AcceleratorChoice;
  /** QEMU devices that every microVM has beside its own; for tests. */
  readonly devices?: readonly string[];
}
