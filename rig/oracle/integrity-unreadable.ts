/**
 * Reads of the final read-back, through the initiator, that got no data. By then everything has been healed and had time to
 * settle, so none may fail. Whether a read before that may is the errors oracle's question, which knows when a path could
 * carry nothing.
 */
import { READ_BACK_PHASE } from "../core/names.ts";
import type { History } from "../history/event.ts";
import { ACTION, BACKING, STATE } from "../history/operations.ts";
import { eventsOf, phaseOf, seconds } from "../history/view.ts";
import { diedNs } from "./node-death.ts";
import type { Violation } from "./violation.ts";
import type { Disk } from "./violation-register.ts";

/** The read-back's reads through the initiator that got no data, as their rows. */
const unreadRows = (history: History): number[] => {
  const { count, action, state, flags, invokeNs, doneNs } = history.operations;
  const readBack = phaseOf(history, READ_BACK_PHASE);
  if (readBack === undefined) return [];
  const died = diedNs(history);
  const rows: number[] = [];
  for (let row = 0; row < count; row++) {
    if (action[row] !== ACTION.read || state[row] === STATE.ok) continue;
    // No kernel under test is asked for the target's disk image: where that cannot be read, it is this machine's doing.
    if (((flags[row] ?? 0) & BACKING) !== 0) continue;
    const startNs = invokeNs[row] ?? 0;
    if (startNs < readBack.beginNs || startNs > readBack.endNs) continue;
    // A node's death has a cause of its own; and a lab that is taken down afterwards has not died.
    if (died <= (doneNs[row] ?? 0) && died < readBack.endNs) continue;
    rows.push(row);
  }
  return rows;
};

/** The end of the connection over which the read got no answer, where there was one. */
const disconnectOf = (history: History, row: number) => {
  const { state, device } = history.operations;
  const endNs = phaseOf(history, READ_BACK_PHASE)?.endNs ?? 0;
  if (state[row] !== STATE.unanswered) return undefined;
  return eventsOf(history, "disconnect").find(
    ({ event }) => event.t <= endNs && (event.device ?? device[row]) === device[row],
  )?.event;
};

export const unreadable = (history: History, disks: readonly Disk[]): Violation[] => {
  const { device, sector, sectors, invokeNs } = history.operations;
  return unreadRows(history).flatMap((row): Violation[] => {
    const disk = disks.find(({ devices }) => devices[device[row] ?? 0] === 1);
    if (disk === undefined || disconnectOf(history, row) !== undefined) return [];
    return [
      {
        class: "unreadable",
        disk,
        sector: sector[row] ?? 0,
        sectors: sectors[row] ?? 0,
        read: row + 1,
        startNs: invokeNs[row] ?? 0,
        expected: () => [],
        proof: { kind: "unreadable" },
      },
    ];
  });
};

/** Why the read-back was not answered although both nodes lived: the rig's own NBD server had ended. */
export const cutOffReadBack = (history: History): string | undefined => {
  for (const row of unreadRows(history)) {
    const end = disconnectOf(history, row);
    if (end === undefined) continue;
    const of = end.device === undefined ? "" : ` of device ${end.device}`;
    return `Read ${row + 1} of the read-back got no answer, for the rig's own connection${of} had ended at ${seconds(end.t)}: ${end.why}.`;
  }
  return undefined;
};
