import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NodeName, PathName } from "../core/names.ts";
import { eventSchema, type HistoryEvent } from "../history/event.ts";
import { judgeStarvation } from "./starvation.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";

const ms = (t: number): number => t * 1e6;
/** A window of 100 ms, or another length, that ended at `t`. Times are milliseconds. */
const load = (t: number, waitMs: number, node: NodeName = "initiator", windowMs = 100): HistoryEvent =>
  eventSchema.parse({ t: ms(t), kind: "load", node, windowMs, waitMs });
/** Ten windows that end from `t` on, one right after another. */
const loads = (t: number, waits: readonly number[], node?: NodeName): HistoryEvent[] =>
  waits.map((waitMs, i) => load(t + i * 100, waitMs, node));
const late = (t: number, lateMs: number, node: NodeName = "initiator"): HistoryEvent =>
  eventSchema.parse({ t: ms(t), kind: "late", node, ms: lateMs });
const session = (t: number, state: string, path: PathName = "a"): HistoryEvent => ({
  t: ms(t),
  kind: "session",
  path,
  sid: path === "a" ? "1" : "2",
  state,
});
const limits = (noopMs?: number): HistoryEvent =>
  eventSchema.parse({ t: 0, kind: "limits", answerWithinMs: 10_000, why: "-", ...(noopMs && { noopMs }) });

/** A timeline from 10 s to 40 s, healed at 41 s and read back until 45 s; both sessions are logged in. */
const cell = (...events: HistoryEvent[]) =>
  new HistoryBuilder()
    .phase("set-up", 1, 10)
    .phase("timeline", 10, 40)
    .phase("heal", 40, 41)
    .phase("read-back", 44, 45)
    .add(session(5000, "LOGGED_IN"), session(5000, "LOGGED_IN", "b"))
    .add(...events);
const judge = (builder: HistoryBuilder) => judgeStarvation(builder.build());
const starved = (...events: HistoryEvent[]) => judge(cell(...events)).starved;
const times = (n: number, wait: number): number[] => Array.from({ length: n }, () => wait);
/** So many milliseconds spread over a second, in ten windows. */
const spread = (wait: number): number[] => [...times(9, Math.floor(wait / 10)), wait - 9 * Math.floor(wait / 10)];

test("a lab that never waited is not starved", () => {
  expect(judge(cell())).toEqual({ starved: undefined, worstWaitMs: 0 });
});

describe("a node that waited", () => {
  test("for four fifths of a second is starved", () => {
    expect(judge(cell(...loads(20_000, spread(812))))).toEqual({
      starved:
        "starved: the initiator waited 812 ms of 1000 for a CPU of this machine; run again when the machine has less to do.",
      worstWaitMs: 812,
    });
    expect(starved(...loads(20_000, spread(800)))).toContain("the initiator waited 800 ms of 1000");
    expect(judge(cell(...loads(20_000, spread(799))))).toEqual({ starved: undefined, worstWaitMs: 799 });
  });

  test("and not the two together", () => {
    const both = [...loads(20_000, spread(700)), ...loads(20_000, spread(710), "target")];
    expect(judge(cell(...both))).toEqual({ starved: undefined, worstWaitMs: 710 });
    expect(starved(...loads(20_000, spread(810), "target"))).toContain("the target waited 810 ms");
  });

  test("within one second, not here and there", () => {
    expect(starved(...loads(20_000, [...times(5, 99), ...times(2, 0), ...times(5, 99)]))).toBeUndefined();
    expect(starved(...loads(20_000, [...times(5, 99), 0, ...times(5, 99)]))).toContain("891 ms of 1000");
  });

  test("is found where windows do not fit into the second", () => {
    // A sampler that was itself held up: 1400 ms of 2000 are 700 of every 1000.
    expect(judge(cell(load(22_000, 1400, "initiator", 2000))).worstWaitMs).toBe(700);
    expect(judge(cell(load(22_000, 30, "initiator", 600), load(23_000, 500, "initiator", 1000))).worstWaitMs).toBe(500);
    expect(judge(cell(load(22_000, 300, "initiator", 600), load(22_600, 300, "initiator", 600))).worstWaitMs).toBe(500);
  });

  test("longer than a window lasts began to wait before it", () => {
    expect(starved(load(20_000, 800))).toContain("800 ms of 1000");
    // What other threads waited at that time does not come on top.
    expect(starved(...loads(19_600, times(4, 60)), load(20_000, 800))).toContain("800 ms of 1000");
    expect(judge(cell(load(19_500, 100), load(20_000, 550))).worstWaitMs).toBe(600);
  });

  test("is judged by the shortest NOP timer", () => {
    const most = loads(20_000, times(20, 85));
    expect(judge(cell(limits(5000), ...most))).toEqual({ starved: undefined, worstWaitMs: 340 });
    expect(starved(limits(2000), limits(5000), ...most)).toContain("1700 ms of 2000");
    expect(starved(limits(5000), ...loads(20_000, times(45, 90)))).toContain("4050 ms of 5000");
    expect(judge(cell(limits(), ...most)).worstWaitMs).toBe(850);
  });
});

test("a history with very many limits is judged by the shortest timer", () => {
  const many = Array.from({ length: 200_000 }, () => limits(5000));
  expect(
    judge(new HistoryBuilder().phase("timeline", 10, 40).add(...loads(20_000, times(10, 90)))).starved,
  ).toBeDefined();
  const builder = new HistoryBuilder().phase("timeline", 10, 40);
  for (const event of many) builder.add(event);
  expect(judge(builder.add(...loads(20_000, times(10, 90)))).starved).toBeUndefined();
});

describe("only what is judged counts:", () => {
  const heavy = (t: number) => loads(t, times(10, 90));

  test.each<[string, number, boolean]>([
    ["set-up does not", 8_000, false],
    ["the timeline does", 10_100, true],
    ["settling does", 42_000, true],
    ["read-back does", 44_100, true],
    ["collecting does not", 45_100, false],
  ])("%s", (_name, t, counts) => {
    expect(starved(...heavy(t)) !== undefined).toBe(counts);
  });

  test("the opening does, where it is a phase of its own", () => {
    const opened = (...events: HistoryEvent[]) =>
      judge(
        new HistoryBuilder()
          .phase("set-up", 1, 8)
          .phase("open", 8, 10)
          .add(session(5000, "LOGGED_IN"), ...events),
      );
    const some = loads(8600, times(5, 60));
    for (const events of [heavy(8900), [...some, late(9000, 500)], [...some, session(9000, "FAILED")]]) {
      expect(starved(...events)).toBeUndefined();
      expect(opened(...events).starved).toBeDefined();
    }
    const whole = (t: number) => judge(cell(...heavy(t)).phase("open", 8, 10)).starved;
    expect([7000, 8900, 20_000, 45_100].map(t => whole(t) !== undefined)).toEqual([false, true, true, false]);
    expect(opened(load(8050, 80))).toEqual({ starved: undefined, worstWaitMs: 40 });
  });

  test("the count of what is left over does, whichever phase it falls into", () => {
    const counted = (at: number) => judge(cell(...heavy(46_000)).counted(at, "end")).starved;
    expect(counted(47)).toBeDefined();
    expect(counted(45.5)).toBeUndefined();
  });

  test("of a window on the border, its part", () => {
    expect(judge(cell(load(10_050, 80))).worstWaitMs).toBe(40);
    expect(judge(cell(load(45_050, 80))).worstWaitMs).toBe(40);
    expect(judge(cell(load(10_300, 600))).worstWaitMs).toBe(300);
  });

  test("nothing where there was no timeline, and all that follows where it was cut off", () => {
    expect(judge(new HistoryBuilder().phase("boot", 1, 20).add(...heavy(10_000)))).toEqual({
      starved: undefined,
      worstWaitMs: 0,
    });
    const begin = (t: number, name: string): HistoryEvent => ({ t: ms(t), kind: "phase", name, edge: "begin" });
    const cut = new HistoryBuilder().add(begin(10_000, "timeline"), ...heavy(50_000));
    expect(judge(cut).starved).toBeDefined();
    expect(judge(cut.add(begin(40_000, "heal"))).starved).toBeDefined();
  });

  test("a read-back within the timeline is not the end of it", () => {
    const builder = new HistoryBuilder()
      .phase("timeline", 10, 40)
      .phase("read-back", 20, 21)
      .phase("heal", 40, 41)
      .add(...heavy(30_000));
    expect(judge(builder).starved).toBeDefined();
  });

  test("late guests and lost sessions outside of it are no sign", () => {
    const waits = (t: number) => loads(t, times(5, 90));
    expect(starved(...waits(44_800), late(45_000, 500))).toBeDefined();
    expect(starved(...waits(44_800), late(45_200, 500))).toBeUndefined();
    expect(starved(...waits(44_500), session(45_200, "FAILED"))).toBeUndefined();
  });
});

describe("a guest that woke up late", () => {
  test("is starved if the host let it wait for half of that", () => {
    expect(starved(...loads(20_000, times(5, 50)), late(20_400, 500))).toBe(
      "starved: the initiator woke up 500 ms late, and the initiator waited 250 ms of 500 for a CPU of this machine; run again when the machine has less to do.",
    );
  });

  test("is not if it was less late", () => {
    expect(starved(...loads(20_000, times(5, 60)), late(20_400, 499))).toBeUndefined();
    expect(starved(limits(2000), ...loads(20_000, times(10, 99)), late(20_900, 999))).toBeUndefined();
  });

  test("is not if the host does not explain it: then its own kernel held it up", () => {
    expect(starved(late(20_200, 5000))).toBeUndefined();
    expect(starved(...loads(20_000, [...times(4, 50), 49]), late(20_400, 500))).toBeUndefined();
    expect(starved(...loads(20_000, times(5, 90), "target"), late(20_400, 500))).toBeUndefined();
    expect(starved(...loads(18_000, times(5, 90)), late(20_400, 500))).toBeUndefined();
  });
});

describe("a session that was lost", () => {
  const some = (t: number, wait = 150) => load(t, wait, "target");
  const lost = session(20_000, "FAILED");

  test("on a path without a fault while a node waited is starved", () => {
    expect(starved(some(18_200), lost)).toBe(
      "starved: the session of path a was FAILED without a fault on its path, and the target waited 150 ms of 2000 for a CPU of this machine; run again when the machine has less to do.",
    );
  });

  test("is not where a node died: it took its sessions with it", () => {
    const panic: HistoryEvent = {
      t: ms(19_000),
      kind: "console",
      node: "target",
      line: "Kernel panic - not syncing: x",
    };
    expect(starved(some(18_200), panic, lost)).toBeUndefined();
    expect(starved(some(18_200), { ...panic, t: ms(21_000) }, lost)).toBeDefined();
  });

  test("is not while the nodes had their CPU", () => {
    expect(starved(lost)).toBeUndefined();
    expect(starved(some(18_200, 149), lost)).toBeUndefined();
    expect(starved(some(18_000), lost)).toBeUndefined();
    expect(starved(some(20_200), lost)).toBeUndefined();
  });

  test("counts when it leaves LOGGED_IN, not when it was lost before or comes back", () => {
    const before = session(12_000, "FAILED");
    expect(starved(before, some(18_200), session(20_000, "FREE"))).toBeUndefined();
    expect(starved(before, some(18_200), session(20_000, "LOGGED_IN"))).toBeUndefined();
    expect(starved(before, session(14_000, "LOGGED_IN"), some(18_200), session(20_000, "FREE"))).toBeDefined();
    expect(starved(some(18_200), session(20_000, "FAILED", "b"))).toContain("path b");
  });

  const broken = (on: string, inject: number, heal: number | undefined): HistoryEvent[] => {
    const edge = (t: number, action: "inject" | "heal", end: "begin" | "end"): HistoryEvent => ({
      t: ms(t),
      kind: "fault",
      fault: "fault#1",
      action,
      edge: end,
      on,
    });
    const injected = [edge(inject, "inject", "begin"), edge(inject + 10, "inject", "end")];
    return heal === undefined ? injected : [...injected, edge(heal - 10, "heal", "begin"), edge(heal, "heal", "end")];
  };

  test("that an instrument held up was lost when the kernel told of the error", () => {
    const instrument: HistoryEvent = { t: ms(10_000), kind: "instrument", name: "slow-stop", ms: 5000 };
    const error = (t: number, line = "[ 1.0]  connection1:0: detected conn error (1022)"): HistoryEvent => ({
      t: ms(t),
      kind: "console",
      node: "initiator",
      line,
    });
    const fault = broken("path a", 12_000, 15_000);
    expect(starved(...fault, error(15_000), some(18_200), lost)).toBeDefined();
    expect(starved(instrument, ...fault, error(15_000), some(18_200), lost)).toBeUndefined();
    expect(starved(instrument, ...fault, error(15_000), some(14_000), lost)).toBeUndefined();
    expect(starved(instrument, error(15_000), some(14_000), lost)).toBeDefined();
    // The error of another connection, and one so long ago that it is another one.
    expect(
      starved(instrument, ...fault, error(15_000, "connection2:0: detected conn error"), some(18_200), lost),
    ).toBeDefined();
    expect(starved(instrument, ...broken("path a", 11_000, 13_000), error(12_999), some(18_200), lost)).toBeDefined();
  });

  test("is not one that was logged out", () => {
    const logout = (path: PathName): HistoryEvent => ({ t: ms(19_000), kind: "logout", path, sid: "1", edge: "begin" });
    expect(starved(logout("a"), some(18_200), lost)).toBeUndefined();
    expect(starved(logout("b"), some(18_200), lost)).toBeDefined();
  });

  test.each<[string, string, number, number | undefined, boolean]>([
    ["is in place", "path a", 12_000, undefined, true],
    ["was in place lately", "path a", 12_000, 18_000, true],
    ["was just made", "path a", 20_000, 25_000, true],
    ["was in place once", "path a", 12_000, 17_999, false],
    ["comes later", "path a", 20_001, 25_000, false],
    ["is on the other path", "path b", 12_000, undefined, false],
    ["is on something else", "target", 12_000, undefined, true],
    ["was on something else once", "target", 12_000, 17_999, false],
    ["leaves sessions alone", "iscsid", 12_000, undefined, false],
    ["is yet to be healed, which drops sessions", "iscsid", 12_000, 25_000, false],
    ["was healed, which drops sessions", "iscsid", 12_000, 19_000, true],
    ["was healed long ago, for that may take long", "iscsid", 12_000, 14_000, true],
  ])("to a fault that %s: %s", (_name, on, inject, heal, excused) => {
    expect(starved(some(18_200), lost, ...broken(on, inject, heal)) === undefined).toBe(excused);
  });
});

test("the greatest wait is the one that a sum over every single span finds", () => {
  /** Windows one after another, with gaps, in hundredths of a second: `[gap, window, part of it that was waited]`. */
  const windows = fc.array(
    fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 40 }), fc.double({ min: 0, max: 1, noNaN: true })),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(windows, fc.constantFrom(undefined, 300, 1000, 2500), (all, noopMs) => {
      const spanMs = noopMs ?? 1000;
      const slots = spanMs / 10;
      /** Milliseconds waited in each hundredth of a second of the judged part. */
      const waited = new Float64Array(3500);
      let end = -10;
      const events = all.map(([gap, window, part]) => {
        end += gap + window;
        const waitMs = Math.floor(part * window * 10);
        for (let at = Math.max(0, end - window); at < Math.min(end, waited.length); at++) waited[at] = waitMs / window;
        return load(10_000 + end * 10, waitMs, "target", window * 10);
      });
      let worst = 0;
      for (let from = -slots; from < waited.length; from++) {
        const sum = waited.subarray(Math.max(0, from), from + slots < 0 ? 0 : from + slots).reduce((a, b) => a + b, 0);
        worst = Math.max(worst, sum);
      }
      const { starved: reason, worstWaitMs } = judge(cell(limits(noopMs), ...events));
      expect(Math.abs(worstWaitMs - (worst * 1000) / spanMs)).toBeLessThan(0.51);
      if (worst < 0.8 * spanMs - 1e-6) expect(reason).toBeUndefined();
      if (worst > 0.8 * spanMs + 1e-6) expect(reason).toContain(`of ${spanMs} for a CPU`);
    }),
    { numRuns: 200 },
  );
});
