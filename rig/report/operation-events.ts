/**
 * One operation of a history as the events that told of it. A history keeps its operations in columns; the page draws
 * events, each with its line, and only of the few operations that were chosen for it.
 */
import type { Operation } from "../history/operations.ts";
import type { NumberedEvent } from "./bundle.ts";

/** The invocation, and the answer where there was one. */
export const operationEvents = (operation: Operation): NumberedEvent[] => {
  const { op, action, via, device, sector, sectors, fua, label, state, error, content } = operation;
  const invoke: NumberedEvent = [
    operation.invokeLine,
    {
      t: operation.invokeNs,
      kind: "invoke",
      op,
      action,
      via,
      ...(device === 0 ? {} : { device }),
      sector,
      sectors,
      ...(fua ? { fua } : {}),
      ...(label === undefined ? {} : { label }),
    },
  ];
  if (operation.doneLine === undefined) return [invoke];
  const t = operation.doneNs;
  const answer: NumberedEvent[1] =
    state === "fail"
      ? { t, kind: "fail", op, error: error ?? "" }
      : { t, kind: "ok", op, ...(content === undefined ? {} : { content: [...content] }) };
  return [invoke, [operation.doneLine, answer]];
};
