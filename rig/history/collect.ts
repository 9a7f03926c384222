/** Puts a history together from its events, one after the other: operations into the table, the others into their list. */
import type { Damage, Header, History, HistoryEvent, PlainEvent } from "./event.ts";
import { ACTION, BACKING, FUA, OperationTable, STATE } from "./operations.ts";

/** Why an invocation was not taken. */
export const refusal = (op: number): string =>
  `invokes operation ${op} a second time, far out of order, or beyond the last sector that there can be`;

export class HistoryCollector {
  readonly operations = new OperationTable();
  readonly #events: PlainEvent[] = [];
  readonly #lines: number[] = [];

  /** Takes an event that stands on this line. Says what is wrong where it contradicts what came before. */
  take(event: HistoryEvent, line: number): string | undefined {
    const { operations } = this;
    if (event.kind === "invoke") {
      const flags = (event.fua === true ? FUA : 0) | (event.via === "backing" ? BACKING : 0);
      const { op, action, device = 0, sector, sectors, label, t } = event;
      const id = operations.labelId(label);
      const isTaken = operations.invoke(op, ACTION[action], flags, device, sector, sectors, id, t, line);
      return isTaken ? undefined : refusal(op);
    }
    if (event.kind === "ok") {
      const { contents } = operations;
      const from = contents.count;
      const problem = operations.answer(event.op, STATE.ok, event.t, line, from, event.content?.length ?? 0);
      if (problem === undefined) for (const extent of event.content ?? []) contents.add(extent);
      return problem;
    }
    if (event.kind === "fail") {
      const problem = operations.answer(event.op, STATE.fail, event.t, line);
      if (problem === undefined) operations.errors.set(event.op - 1, event.error);
      return problem;
    }
    this.#events.push(event);
    this.#lines.push(line);
    return undefined;
  }

  /** The first operations that nothing invoked although later ones were, told where those come. */
  missing(): Damage | undefined {
    const { action, count, invokeLine } = this.operations;
    const from = action.subarray(0, count).indexOf(ACTION.none);
    if (from < 0) return undefined;
    let next = from;
    while (next < count && action[next] === ACTION.none) next++;
    const which = next === from + 1 ? `operation ${next} is` : `operations ${from + 1} to ${next} are`;
    return { line: invokeLine[next] ?? 0, problem: `${which} missing before this line: the file is not whole` };
  }

  history(header: Header, damage: readonly Damage[] = [], truncated = false): History {
    return { header, events: this.#events, lines: this.#lines, operations: this.operations, damage, truncated };
  }
}

/** A history from its events in order, the first of which stands on line 2. What contradicts the others is damage. */
export const historyOf = (header: Header, events: readonly HistoryEvent[]): History => {
  const collector = new HistoryCollector();
  const damage = events.flatMap((event, index): Damage[] => {
    const problem = collector.take(event, index + 2);
    return problem === undefined ? [] : [{ line: index + 2, problem }];
  });
  return collector.history(header, damage);
};
