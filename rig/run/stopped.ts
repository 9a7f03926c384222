/**
 * What stopped a cell goes into its history, for the verdict is made from the history alone: a cell that is judged again
 * must come to the same end without the error that was thrown.
 */
import type { RigError } from "../core/errors.ts";
import type { EventOf, Unstamped } from "../history/event.ts";
import { isUnrecovered } from "../scenario/controls.ts";
import { isFailed, isUnanswered } from "../workload/ledger.ts";

export const stoppedEvent = (error: RigError): Unstamped<EventOf<"stopped">> => ({
  kind: "stopped",
  code: error.code,
  blame: error.blame,
  message: error.message,
  ...(isUnanswered(error) ? { unanswered: true } : {}),
  ...(isFailed(error) ? { failed: true } : {}),
  ...(isUnrecovered(error) ? { unrecovered: true } : {}),
});
