/** When a node died: its kernel panicked, or its microVM ended. What comes after that says nothing of the other parts. */
import type { History } from "../history/event.ts";
import { endedNs, eventsOf } from "../history/view.ts";

const PANIC = /Kernel panic - not syncing/;

/** In nanoseconds; Infinity where both nodes lived to the end. */
export const diedNs = (history: History): number =>
  [
    ...endedNs(history),
    ...eventsOf(history, "console").flatMap(({ event }) => (PANIC.test(event.line) ? [event.t] : [])),
  ].reduce((first, ns) => Math.min(first, ns), Number.POSITIVE_INFINITY);
