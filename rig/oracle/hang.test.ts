import { describe, expect, test } from "vitest";
import { ACTION, STATE } from "../history/operations.ts";
import { findingSchema } from "./finding.ts";
import { hangOracle } from "./hang.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";

const judge = (builder: HistoryBuilder) => {
  const judgement = hangOracle.judge(builder.build());
  for (const finding of judgement.findings) findingSchema.parse(finding);
  return judgement;
};
/** Ten seconds are allowed from the start. */
const start = () => new HistoryBuilder().limits(0, 10_000);

describe("answered in time", () => {
  test.each([
    ["at once", { at: 1, ok: 1.1 }],
    ["with an error", { at: 1, fail: 2 }],
    ["at the last moment", { at: 1, ok: 11 }],
  ])("%s", (_name, tale) => {
    expect(judge(start().write(1, tale).note(99))).toEqual({ findings: [] });
  });
});

describe("a hang", () => {
  test("is an answer that came too late, whatever the answer", () => {
    for (const tale of [
      { at: 1, ok: 11.1 },
      { at: 1, fail: 11.1 },
    ]) {
      const { findings, blind } = judge(start().fault("path-drop:a#1", 0.2, 0.5).write(1, tale).note(99));
      expect(blind).toBeUndefined();
      expect(findings).toHaveLength(1);
      expect(findings[0]).toMatchObject({ oracle: "hang", class: "hang", title: "operations answered too late" });
      expect(findings[0]?.explanation).toContain("it waited 10.100 s, begun 0.400 s after path-drop:a#1 was healed.");
      expect(findings[0]?.explanation).toContain("allows 10000 ms (replacement timeout 2 s, two paths)");
    }
  });

  test("is no answer at all, once the time is over", () => {
    const { findings } = judge(start().write(1, { at: 1, label: "generation 3" }).write(2, { at: 2, ok: 13 }).note(20));
    expect(findings[0]).toMatchObject({ title: "operations never answered", lines: [3, 2, 4, 5] });
    expect(findings[0]?.explanation).toContain(
      "Write 1 (generation 3) through the initiator was invoked at 1.000 s and never answered",
    );
    expect(findings[0]?.explanation).toContain("2 operations waited too long; 1 of them got no answer at all.");
  });

  test("is explained by the operation that waited longest", () => {
    const { findings } = judge(
      start().write(1, { at: 1, ok: 12 }).write(2, { at: 1, ok: 30 }).write(3, { at: 1, ok: 13 }),
    );
    expect(findings[0]?.explanation).toMatch(/^Write 2 /);
  });

  test("counts before a disconnection, not after it", () => {
    const cut = (t: number) =>
      start()
        .write(1, { at: 1 })
        .add({ t: t * 1e9, kind: "disconnect", why: "node gone" })
        .note(99);
    expect(judge(cut(12)).findings).toHaveLength(1);
    expect(judge(cut(10))).toEqual({ findings: [] });
  });

  test("a disconnection before the operation does not excuse it", () => {
    const builder = start().add({ t: 5e8, kind: "disconnect", why: "once" }).write(1, { at: 1 }).note(99);
    expect(judge(builder).findings).toHaveLength(1);
  });

  test("a disconnection of another device does not excuse it", () => {
    const gone = (device?: number) =>
      start()
        .add({ t: 5e9, kind: "disconnect", why: "gone", ...(device === undefined ? {} : { device }) })
        .write(1, { at: 4, device: 0 })
        .note(99);
    expect(judge(gone(1)).findings).toHaveLength(1);
    expect(judge(gone(0)).findings).toEqual([]);
    expect(judge(gone()).findings).toEqual([]);
  });

  test("is judged by the latest limit before the invocation", () => {
    const builder = (before: number, after: number) =>
      new HistoryBuilder().limits(0, before).limits(1, after).write(1, { at: 2, ok: 8 }).limits(3, 1).note(99);
    expect(judge(builder(1000, 10_000)).findings).toHaveLength(0);
    expect(judge(builder(10_000, 1000)).findings).toHaveLength(1);
  });
});

describe("time in which nothing could answer", () => {
  const dropped = (builder: HistoryBuilder, path: "a" | "b") => {
    const edge = { kind: "fault", fault: `path-drop:${path}#1`, edge: "end", on: `path ${path}` } as const;
    return builder
      .add({ t: 1e9, ...edge, action: "inject", edge: "begin" }, { t: 1.1e9, ...edge, action: "inject" })
      .add({ t: 60e9, ...edge, action: "heal", edge: "begin" }, { t: 60.1e9, ...edge, action: "heal" });
  };
  /** Both paths are broken from 1 s to 60 s. The sessions are lost at 3 s; what they carry is given up two seconds later. */
  const bothDown = (queues = true, paths: readonly ("a" | "b")[] = ["a", "b"]) =>
    paths
      .reduce(dropped, new HistoryBuilder().loggedIn(0).limits(0.1, 10_000, { replacementMs: 2000, queues }))
      .session(3, "a", "FAILED")
      .session(3, "b", "FAILED");
  const back = (builder: HistoryBuilder, at: number) =>
    builder.session(at, "a", "LOGGED_IN").session(at, "b", "LOGGED_IN");

  test("does not count for a map that queues", () => {
    expect(judge(back(bothDown(), 62).write(1, { at: 2, ok: 63 }).note(99))).toEqual({ findings: [] });
  });

  test("counts for one that does not, and for a path's own device", () => {
    expect(judge(back(bothDown(false), 62).write(1, { at: 2, ok: 63 }).note(99)).findings).toHaveLength(1);
    const single = bothDown().add({
      t: 0,
      kind: "device",
      id: 0,
      name: "a",
      lun: 0,
      sectors: 8,
      cache: "none",
      path: "a",
    });
    expect(judge(back(single, 62).write(1, { at: 2, ok: 63 }).note(99)).findings).toHaveLength(1);
  });

  test("is all that does not count", () => {
    const { findings } = judge(back(bothDown(), 62).write(1, { at: 2, ok: 73 }).note(99));
    expect(findings[0]?.explanation).toContain(
      "it waited 13.000 s, without 58.000 s in which no path could carry anything, begun",
    );
  });

  test("is none where one path works, or both sessions are logged in", () => {
    const one = bothDown().session(10, "b", "LOGGED_IN").write(1, { at: 2, ok: 63 }).note(99);
    expect(judge(one).findings).toHaveLength(1);
    const none = start().loggedIn(0).limits(0.1, 10_000, { queues: true }).fault("path-drop:a#1", 1, 60);
    expect(judge(none.write(1, { at: 2, ok: 63 }).note(99)).findings).toHaveLength(1);
  });

  test("ends soon after everything was healed: sessions that stay away make a hang", () => {
    expect(judge(bothDown().write(1, { at: 2 }).note(98)).findings).toEqual([]);
    const { findings } = judge(bothDown().write(1, { at: 2 }).note(99));
    expect(findings).toMatchObject([{ title: "operations never answered" }]);
  });

  test("is none where a path is down for no reason", () => {
    expect(judge(bothDown(true, ["a"]).write(1, { at: 2 }).note(20)).findings).toHaveLength(1);
    const lost = new HistoryBuilder().loggedIn(0).limits(0.1, 10_000, { replacementMs: 2000, queues: true });
    lost.session(3, "a", "FAILED").session(3, "b", "FAILED");
    expect(judge(lost.write(1, { at: 2 }).note(20)).findings).toHaveLength(1);
  });

  test("leaves a write undecided that waits for a path when the history ends", () => {
    expect(judge(bothDown().write(1, { at: 2 }).note(50)).blind).toContain("The history ended before write 1");
  });

  test("is as long as instruments hold the kernel up, too", () => {
    const slow = (at: number) => start().add({ t: at * 1e9, kind: "instrument", name: "slow-stop", ms: 5000 });
    expect(judge(slow(0.5).write(1, { at: 1, ok: 16 }).note(99))).toEqual({ findings: [] });
    expect(judge(slow(16.5).write(1, { at: 1, ok: 16 }).note(99)).findings).toHaveLength(1);
    expect(judge(slow(0.5).write(1, { at: 1, ok: 16.1 }).note(99)).findings[0]?.explanation).toContain(
      "(replacement timeout 2 s, two paths), and instruments 5000 ms more.",
    );
  });
});

describe("the tasks that were blocked meanwhile", () => {
  const stack = ["__schedule+0x1/0x2", "schedule+0x1/0x2", "io_schedule+0x1/0x2"];
  const hung = () => start().write(1, { at: 1 }).note(20);

  test("are named by the function that they wait in, the same ones once", () => {
    const [finding] = judge(
      hung()
        .blocked(21, 301, "iscsid", ...stack, "iscsi_conn_teardown+0x1/0x2 [scsi_transport_iscsi]")
        .blocked(21, 12, "kworker/0:1H", ...stack, "blk_mq_freeze_queue_wait+0x1/0x2")
        .blocked(21, 14, "kworker/u4:3", ...stack, "blk_mq_freeze_queue_wait+0x1/0x2"),
    ).findings;
    expect(finding?.explanation).toContain(
      "At 21.000 s 3 tasks were blocked: iscsid of the initiator in iscsi_conn_teardown, kworker of the initiator in blk_mq_freeze_queue_wait (2 times).",
    );
    expect(finding?.excerpt?.slice(0, 2)).toEqual(["initiator: iscsid (pid 301)", "  __schedule+0x1/0x2"]);
    expect(finding?.lines).toEqual([3, 2, 5, 6, 7]);
  });

  test("may have no stack that could be read", () => {
    const [finding] = judge(hung().blocked(21, 301, "iscsid")).findings;
    expect(finding?.explanation).toContain("At 21.000 s 1 task was blocked: iscsid of the initiator.");
  });

  test("are bounded", () => {
    const builder = hung();
    for (let pid = 1; pid <= 100; pid++) builder.blocked(21, pid, `task${pid}`, ...stack);
    const [finding] = judge(builder).findings;
    expect(finding?.explanation).toContain("and 94 other kinds.");
    expect(finding?.excerpt).toHaveLength(60);
    expect(finding?.lines.length).toBeLessThanOrEqual(20);
  });

  test("make no hang by themselves", () => {
    expect(
      judge(
        start()
          .write(1, { at: 1, ok: 2 })
          .blocked(3, 301, "iscsid", ...stack),
      ).findings,
    ).toEqual([]);
  });
});

test("a million operations are judged in well under a second", () => {
  const history = start().note(2000).build();
  const { operations } = history;
  const hung = 700_000;
  for (let op = 1; op <= 1_000_000; op++) {
    operations.invoke(op, ACTION.write, 0, 0, op, 8, 0, op * 1e6, op);
    if (op !== hung) operations.answer(op, STATE.ok, op * 1e6 + 5e6, op);
  }
  const began = performance.now();
  const { findings } = hangOracle.judge(history);
  expect(performance.now() - began).toBeLessThan(500);
  expect(findings[0]?.explanation).toMatch(/^Write 700000 .* 1 operation waited too long/);
});

describe("blind", () => {
  test("where the history ended too early to tell", () => {
    const { findings, blind } = judge(start().write(1, { at: 1 }).write(2, { at: 2 }).note(10));
    expect(findings).toEqual([]);
    expect(blind).toBe(
      "The history ended before write 1, invoked at 1.000 s, had to be answered; 2 operations may have hung.",
    );
  });

  test.each([
    ["where there is no limit", new HistoryBuilder().write(1, { at: 1, ok: 2 }), "how long"],
    ["where there is no operation", start(), "No operation"],
    [
      "where the limit came after everything",
      new HistoryBuilder().write(1, { at: 1 }).limits(2, 5),
      "before any limit",
    ],
  ])("%s", (_name, builder, words) => {
    expect(judge(builder).blind).toContain(words);
  });
});
