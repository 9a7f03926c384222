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

  test("is judged by the latest limit before the invocation", () => {
    const builder = (before: number, after: number) =>
      new HistoryBuilder().limits(0, before).limits(1, after).write(1, { at: 2, ok: 8 }).limits(3, 1).note(99);
    expect(judge(builder(1000, 10_000)).findings).toHaveLength(0);
    expect(judge(builder(10_000, 1000)).findings).toHaveLength(1);
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
