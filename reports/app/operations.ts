/**
 * Operations put back together from a history's invocations and answers. As in Jepsen there are three outcomes, and an
 * operation without an answer is its own kind: it may take effect at any time after it was handed over.
 */

import type { Extent } from "../../rig/history/extent.ts";
import type { Action } from "../../rig/history/operations.ts";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { secondsOf } from "./units.ts";

export type Outcome = "ok" | "fail" | "unanswered";

export interface Operation {
  readonly op: number;
  readonly action: Action;
  readonly via: "initiator" | "backing";
  /** The disk that the device it went to is. */
  readonly lun: number;
  readonly sector: number;
  readonly sectors: number;
  readonly label?: string;
  readonly from: number;
  readonly line: number;
  outcome: Outcome;
  /** Seconds; absent while unanswered. */
  to?: number;
  answerLine?: number;
  error?: string;
  content?: readonly Extent[];
}

export const operationsOf = (events: readonly NumberedEvent[]): ReadonlyMap<number, Operation> => {
  const operations = new Map<number, Operation>();
  const luns = new Map<number, number>();
  for (const [line, event] of events) {
    if (event.kind === "device") luns.set(event.id, event.lun);
    else if (event.kind === "invoke") {
      const { op, action, via, device = 0, sector, sectors, label } = event;
      const lun = luns.get(device) ?? 0;
      const named = label === undefined ? {} : { label };
      const from = secondsOf(event.t);
      operations.set(op, { op, action, via, lun, sector, sectors, ...named, from, line, outcome: "unanswered" });
    } else if (event.kind === "ok" || event.kind === "fail") {
      const operation = operations.get(event.op);
      if (operation === undefined) continue;
      operation.outcome = event.kind;
      operation.to = secondsOf(event.t);
      operation.answerLine = line;
      if (event.kind === "fail") operation.error = event.error;
      else if (event.content !== undefined) operation.content = event.content;
    }
  }
  return operations;
};

/** What people call this operation's data: the scenario's label, or its number. */
export const nameOf = (operation: Operation): string => operation.label ?? `operation ${String(operation.op)}`;

export const OUTCOME_WORDS: Readonly<Record<Outcome, string>> = {
  ok: "acknowledged",
  fail: "failed",
  unanswered: "unanswered",
};
