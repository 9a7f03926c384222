/** Histories for tests: a header, ways to compare, and a generator of events in any order, contradictions among them. */
import fc from "fast-check";
import { type Header, HISTORY_VERSION, type History, type HistoryEvent } from "../event.ts";
import type { Extent } from "../extent.ts";

export const HEADER: Header = {
  kind: "header",
  version: HISTORY_VERSION,
  run: "run-1",
  scenario: "writes/six",
  kernel: "6.1",
  seed: 1,
  startedAt: "2024-01-01T00:00:00.000Z",
  monotonicStartNs: "12",
};

/** All that a history says, but for the lines on which it stands. */
export const saidBy = (history: History) => ({
  header: history.header,
  events: history.events,
  rows: history.operations.count,
  operations: [...history.operations].map(operation => ({ ...operation, invokeLine: 0, doneLine: 0 })),
});

const count = fc.oneof(fc.nat(9), fc.nat(0xffff_ffff));
const word = fc.string({ maxLength: 12 });
const perhaps = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const seldom = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
/** Without the fields that are not there: the file does not know undefined. */
const given = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;

const extentAt = (at: number): fc.Arbitrary<Extent> => {
  const n = fc.integer({ min: 0, max: 16 });
  const base = { at: fc.oneof({ weight: 5, arbitrary: fc.constant(at) }, { weight: 1, arbitrary: fc.nat(1000) }), n };
  return fc.oneof(
    { weight: 4, arbitrary: fc.record({ is: fc.constant("write" as const), ...base, op: fc.nat(40), i: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ is: fc.constant("zero" as const), ...base }) },
    fc.record({ is: fc.constant("elsewhere" as const), ...base, op: count, i: count, address: count }),
    fc.record({ is: fc.constant("foreign" as const), ...base, head: word }),
  );
};
const contentFrom = (at: number, left: number): fc.Arbitrary<Extent[]> =>
  left === 0
    ? fc.constant([])
    : extentAt(at).chain(first => contentFrom(first.at + first.n, left - 1).map(rest => [first, ...rest]));

const action = fc.constantFrom("write", "write", "read", "read", "read", "read", "flush", "discard", "zeroes");
const invoke = fc.record({
  kind: fc.constant("invoke" as const),
  /** Undefined for the next one. */
  op: seldom(fc.nat(30)),
  action,
  via: fc.constantFrom("initiator", "backing"),
  device: perhaps(fc.nat(255)),
  sector: fc.oneof(fc.constant(8), fc.nat(0xffff_ffff - 4096)),
  sectors: fc.oneof(fc.constant(8), fc.nat(2048)),
  fua: perhaps(fc.boolean()),
  label: perhaps(fc.constantFrom("generation 1", "generation 2", "")),
});
const answer = fc.record({
  kind: fc.constant("answer" as const),
  /** Which of those that wait. */
  which: fc.nat(5),
  /** So many operations before the last instead, whether it waits or not. */
  back: seldom(fc.integer({ min: -3, max: 20 })),
  error: seldom(word),
  extents: fc.nat(4),
});
const command = fc.record({
  kind: fc.constant("command" as const),
  action: fc.constantFrom("write", "read", "flush", "discard", "zeroes", "other"),
  lun: fc.nat(3),
  sector: count,
  sectors: count,
  fua: perhaps(fc.constant(true)),
  path: perhaps(fc.constantFrom("a", "b")),
  session: perhaps(fc.constantFrom("a#1", "b#1")),
  tag: count,
  cmdSN: perhaps(count),
  receivedNs: perhaps(fc.nat(1e6)),
  doneNs: perhaps(fc.nat(1e6)),
  status: perhaps(fc.nat(255)),
});
const note = fc.record({ kind: fc.constant("note" as const), text: word });
const inventory = fc.record({
  kind: fc.constant("inventory" as const),
  node: fc.constantFrom("target", "initiator"),
  when: fc.constantFrom("begin", "end"),
  thing: fc.constantFrom("session", "host"),
  names: fc.array(word, { maxLength: 3 }),
});
const step = fc.record({
  dt: fc.oneof({ weight: 9, arbitrary: fc.nat(1e6) }, { weight: 1, arbitrary: fc.integer({ min: -1e6, max: 1e12 }) }),
  what: fc.oneof(
    { weight: 8, arbitrary: invoke },
    { weight: 6, arbitrary: answer },
    { weight: 2, arbitrary: command },
    note,
    inventory,
  ),
});

/** Events as the rig's parts may record them, and some that contradict each other. */
export const anyEvents: fc.Arbitrary<HistoryEvent[]> = fc.array(step, { maxLength: 60, size: "max" }).chain(steps => {
  let t = 0;
  let last = 0;
  const sectors = new Map<number, number>();
  const waiting: number[] = [];
  const events = steps.map(({ dt, what }): fc.Arbitrary<HistoryEvent> => {
    t = Math.max(0, t + dt);
    if (what.kind === "invoke") {
      const event = { t, ...what, op: what.op ?? last + 1 };
      last = Math.max(last, event.op);
      sectors.set(event.op, event.sector);
      waiting.push(event.op);
      return fc.constant(given(event));
    }
    if (what.kind !== "answer") return fc.constant(given({ t, ...what }));
    const [first] = waiting.splice(what.which % Math.max(1, waiting.length), 1);
    const op = what.back === undefined && first !== undefined ? first : Math.max(0, last - (what.back ?? 0));
    const at = t;
    if (what.error !== undefined) return fc.constant({ t, kind: "fail", op, error: what.error });
    if (what.extents === 0) return fc.constant({ t, kind: "ok", op });
    return contentFrom(sectors.get(op) ?? 0, what.extents).map(content => ({ t: at, kind: "ok", op, content }));
  });
  return fc.tuple(...events);
});
