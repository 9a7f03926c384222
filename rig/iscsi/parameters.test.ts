import { describe, expect, test } from "vitest";
import {
  answerWithinMs,
  expectedSysfs,
  iscsidConf,
  logoutWithinMs,
  sessionSchema,
  timingSchema,
} from "./parameters.ts";

const timing = (more = {}) => timingSchema.parse(more);
const session = (more = {}) => sessionSchema.parse(more);

describe("how long an operation may wait", () => {
  test.each<[string, Record<string, number>, number]>([
    ["open-iscsi's defaults: 5 + 5 to notice, 120 to give up, 10 to spare", {}, 140_000],
    [
      "short timers: never less than the SCSI timer",
      { noopInterval: 1, noopTimeout: 1, replacementTimeout: 0 },
      40_000,
    ],
    ["just beyond the SCSI timer", { noopInterval: 5, noopTimeout: 5, replacementTimeout: 21 }, 41_000],
    [
      "no NOP-Outs: the SCSI timer and its abort notice",
      { noopInterval: 0, noopTimeout: 0, replacementTimeout: 2 },
      57_000,
    ],
  ])("%s", (_name, settings, ms) => {
    expect(answerWithinMs(timing(settings), 1).ms).toBe(ms);
  });

  test("is stretched on slow machines, in whole milliseconds, and says why", () => {
    const { ms, why } = answerWithinMs(timing({ replacementTimeout: 2 }), 1.00001);
    expect(ms).toBe(40_001);
    expect(why).toContain("2 s replacement timeout");
  });

  test("leaves the timers as they are on a slow accelerator, and stretches what is to spare", () => {
    const { ms, why } = answerWithinMs(timing({ replacementTimeout: 2 }), 1, 2.5);
    expect(ms).toBe(55_000);
    expect(why).toContain("10 s to spare times 2.5, by which this machine's accelerator was measured to be slower");
  });
});

test("a logout may take the time to notice a dead connection, its own timer, and ten seconds", () => {
  expect(logoutWithinMs(timing(), 1)).toBe(25_000);
  expect(logoutWithinMs(timing({ noopInterval: 1, noopTimeout: 1, logoutTimeout: 3 }), 2)).toBe(30_000);
  expect(logoutWithinMs(timing({ noopInterval: 0, noopTimeout: 0 }), 1)).toBe(60_000);
});

test("iscsid.conf says what the scenario says", () => {
  const text = iscsidConf(
    timing({ noopInterval: 1, replacementTimeout: 0 }),
    session({ initialR2T: true, queueDepth: 7 }),
  );
  const lines = text.split("\n");
  expect(lines.pop()).toBe("");
  expect(lines).toEqual(
    expect.arrayContaining([
      "node.session.timeo.replacement_timeout = 0",
      "node.conn[0].timeo.noop_out_interval = 1",
      "node.conn[0].timeo.noop_out_timeout = 5",
      "node.session.iscsi.InitialR2T = Yes",
      "node.session.iscsi.ImmediateData = Yes",
      "node.session.queue_depth = 7",
    ]),
  );
  for (const line of lines) expect(line).toMatch(/^[a-z][A-Za-z0-9_.[\]]+ = \S+$/);
});

test("sysfs is expected to say the same", () => {
  expect(
    expectedSysfs(
      timing({ noopInterval: 1, noopTimeout: 2, replacementTimeout: 3 }),
      session({ immediateData: false }),
      "tcp",
    ),
  ).toMatchObject({
    proc_name: "iscsi_tcp",
    recv_tmo: "1",
    ping_tmo: "2",
    recovery_tmo: "3",
    immediate_data: "0",
    initial_r2t: "0",
    max_recv_dlength: "262144",
  });
});

test("over iser sysfs is expected to say that it is, and nothing of segments, which are not the scenario's", () => {
  const expected = expectedSysfs(timing(), session(), "iser");
  expect(expected).toMatchObject({ proc_name: "iscsi_iser", first_burst_len: "262144" });
  expect(Object.keys(expected)).not.toContain("max_recv_dlength");
  expect(Object.keys(expected)).not.toContain("max_xmit_dlength");
});

test.each([{ noopInterval: -1 }, { noopInterval: 1.5 }, { replacementTimeout: 3601 }, { noop: 1 }])(
  "%j is no timing",
  settings => {
    expect(timingSchema.safeParse(settings).success).toBe(false);
  },
);

test.each([{ queueDepth: 0 }, { firstBurstLength: 511 }, { maxBurstLength: 16_777_216 }, { initialR2T: "No" }])(
  "%j are no session parameters",
  settings => {
    expect(sessionSchema.safeParse(settings).success).toBe(false);
  },
);

test("a NOP interval without a timeout, or the other way round, is refused: the kernel would choose the other by itself", () => {
  expect(timingSchema.safeParse({ noopInterval: 0, noopTimeout: 5 }).success).toBe(false);
  expect(timingSchema.safeParse({ noopInterval: 5, noopTimeout: 0 }).success).toBe(false);
  expect(timingSchema.safeParse({ noopInterval: 0, noopTimeout: 0 }).success).toBe(true);
});
