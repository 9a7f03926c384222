/**
 * Operations put back together from a history's invocations and answers. As in Jepsen there are three outcomes, and an
 * operation without an answer is its own kind: it may take effect at any time after it was handed over.
 */

import type { Extent } from "../../rig/history/event.ts";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { secondsOf } from "./units.ts";

export type Outcome = "ok" | "fail" | "unanswered";

export interface Operation {
  readonly op: number;
  readonly action: "write" | "read" | "flush";
  readonly via: "initiator" | "backing";
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
  for (const [line, event] of events) {
    if (event.kind === "invoke") {
      const { op, action, via, sector, sectors, label } = event;
      const named = label === undefined ? {} : { label };
      const from = secondsOf(event.t);
      operations.set(op, { op, action, via, sector, sectors, ...named, from, line, outcome: "unanswered" });
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
