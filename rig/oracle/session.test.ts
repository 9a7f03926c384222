import { describe, expect, test } from "vitest";
import { findingSchema } from "./finding.ts";
import { sessionOracle } from "./session.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";

const judge = (builder: HistoryBuilder) => {
  const judgement = sessionOracle.judge(builder.build());
  for (const finding of judgement.findings) findingSchema.parse(finding);
  return judgement;
};
const classes = (builder: HistoryBuilder) => judge(builder).findings.map(finding => finding.class);
const first = (builder: HistoryBuilder) => judge(builder).findings[0];

const ERROR =
  "Kernel reported iSCSI connection 1:0 error (1022 - ISCSI_ERR_NOP_TIMEDOUT: A NOP has timed out) state (3)";
const BACK = "connection1:0 is operational after recovery (1 attempts)";

const start = () => new HistoryBuilder().loggedIn(0);

/** Path a is dropped for 1 s; its session is lost when that is over, and comes back at 6 s. Both know. */
const recovered = () =>
  start()
    .fault("path-drop:a#1", 1, 3)
    .session(3, "a", "FAILED")
    .says(3.9, ERROR)
    .session(6, "a", "LOGGED_IN")
    .says(6.9, BACK);

const held = (builder: HistoryBuilder, ms: number) =>
  builder.add({ t: 5e8, kind: "instrument", name: "slow-stop", ms });

describe("all is well", () => {
  test.each<[string, HistoryBuilder]>([
    ["where nothing happens", start().note(99)],
    ["where a session is lost and comes back", recovered().note(99)],
    [
      "where it is lost again by another fault",
      recovered()
        .fault("path-drop:a#2", 10, 12)
        .session(12, "a", "FAILED")
        .says(12.1, ERROR)
        .session(15, "a", "LOGGED_IN")
        .note(99),
    ],
    [
      "where the connection that a fault had touched is lost later",
      start()
        .fault("path-drop:a#1", 1, 2)
        .session(9, "a", "FAILED")
        .says(9.9, ERROR)
        .session(12, "a", "LOGGED_IN")
        .note(99),
    ],
    [
      "where a fault that is on no path had it lost",
      start()
        .add({ t: 1e9, kind: "fault", fault: "x#1", action: "inject", edge: "begin", on: "target" })
        .session(2, "a", "FAILED")
        .says(2, ERROR)
        .note(9),
    ],
    [
      "where a new iscsid drops what it finds",
      start()
        .iscsid(1, 0)
        .iscsid(5, 3)
        .session(6, "a", "FAILED")
        .session(8, "a", "LOGGED_IN")
        .session(8, "b", "FAILED")
        .session(10, "b", "LOGGED_IN")
        .note(99),
    ],
    ["where the history ends with a loss", start().session(0.5, "a", "FAILED").fault("path-drop:a#1", 0.1).note(2)],
    ["where the lab is taken down", start().phase("collect", 5, 6).session(5.5, "a", "FAILED").note(99)],
    [
      "where the initiator died",
      start().console("initiator", 5, "[ 5.0] Kernel panic - not syncing: x").session(5.1, "a", "FAILED").note(99),
    ],
  ])("%s", (_name, builder) => {
    expect(judge(builder)).toEqual({ findings: [] });
  });
});

describe("unprovoked", () => {
  const finding = { oracle: "session", class: "unprovoked", title: "a session was lost without a fault" };

  test("is a loss before anything was broken", () => {
    const builder = start()
      .session(4, "b", "FAILED")
      .says(4.1, ERROR.replace("1:0", "2:0"))
      .session(6, "b", "LOGGED_IN");
    expect(judge(builder.note(99)).findings).toMatchObject([{ ...finding, lines: [5] }]);
    expect(first(builder)?.explanation).toMatch(
      /^Session 2 of path b was logged in and then FAILED at 4\.000 s, before anything had been broken\. Expected: it stays/,
    );
  });

  test("is one of a path that only the other's fault had touched", () => {
    expect(
      classes(start().fault("path-drop:a#1", 1, 9).session(2, "b", "FAILED").session(4, "b", "LOGGED_IN")),
    ).toEqual(["unprovoked"]);
  });

  test("is a second one, of a connection that was made after the healing", () => {
    const builder = recovered().session(9, "a", "FAILED").says(9.5, ERROR).session(11, "a", "LOGGED_IN").note(99);
    expect(judge(builder).findings).toMatchObject([finding]);
    expect(first(builder)?.explanation).toContain("5.900 s after path-drop:a#1 was healed");
  });

  test("is none while another fault of its path is in force", () => {
    const builder = recovered().fault("path-drop:a#2", 8, 20).session(9, "a", "FAILED").says(9.5, ERROR);
    expect(classes(builder.session(11, "a", "LOGGED_IN"))).toEqual([]);
  });

  test("is one of a session that is simply gone", () => {
    expect(classes(start().session(4, "a", "gone").note(5))).toEqual(["unprovoked"]);
  });

  test("is one while iscsid is away: sessions do well without it, and none where it has been replaced", () => {
    const killed = (restart?: number) => start().fault("iscsid-kill#1", 1, restart);
    const iscsid = (builder: HistoryBuilder) => ({
      ...builder.build(),
      events: builder.build().events.map(event => (event.kind === "fault" ? { ...event, on: "iscsid" } : event)),
    });
    const away = killed().iscsid(1.05, 0).session(4, "a", "FAILED").note(5);
    expect(sessionOracle.judge(iscsid(away)).findings).toMatchObject([finding]);
    const back = killed(3).iscsid(1.05, 0).iscsid(3.05, 2).session(4, "a", "FAILED").note(5);
    expect(sessionOracle.judge(iscsid(back)).findings).toEqual([]);
  });
});

describe("split-view", () => {
  /** Stopped by the kernel again at 9 s, and iscsid is not told. */
  const split = (until: number) => recovered().session(9, "a", "FAILED").note(until);

  test("is a session that the kernel has down while iscsid takes it for operational", () => {
    const { findings } = judge(split(20));
    expect(findings).toMatchObject([
      { class: "split-view", title: "the kernel has a session down that iscsid takes for operational" },
    ]);
    expect(findings[0]?.explanation).toBe(
      "The kernel had session 1 of path a FAILED from 9.000 s on, 5.900 s after path-drop:a#1 was healed; iscsid took it for operational, by its word at 6.900 s, and both lasted for 11.000 s. Expected: iscsid hears of a lost connection within 5.000 s. One that is not told does not log in again.",
    );
  });

  test("counts while a fault is in force, too: iscsid has to be told of whatever it was", () => {
    const other = ERROR.replace("1:0", "2:0");
    expect(classes(start().fault("path-drop:a#1", 1).session(3, "a", "FAILED").says(4, other).note(9))).toEqual([
      "split-view",
    ]);
    expect(classes(start().fault("path-drop:a#1", 1).session(3, "a", "FAILED").says(4, ERROR).note(9))).toEqual([]);
  });

  test("has to last: log lines come late", () => {
    expect(classes(split(14))).toEqual(["unprovoked"]);
    expect(classes(split(14.1))).toEqual(["split-view"]);
  });

  test("may last as much longer as instruments hold the kernel up", () => {
    expect(classes(held(split(20), 6000))).toEqual(["unprovoked"]);
    expect(classes(held(split(20.1), 6000))).toEqual(["split-view"]);
  });

  test("is none where iscsid knows of trouble, whatever it says", () => {
    const builder = recovered().session(9, "a", "FAILED").says(9.5, "connection1:0 Could not send logout pdu").note(20);
    expect(classes(builder)).toEqual(["unprovoked"]);
  });

  test("is none where iscsid is away, or has not spoken since it came back", () => {
    expect(classes(start().fault("path-drop:a#1", 0.1).iscsid(1, 0).session(3, "a", "FAILED").note(60))).toEqual([]);
    const back = start().fault("path-drop:a#1", 0.1).iscsid(1, 0).iscsid(2, 3).session(3, "a", "FAILED").note(60);
    expect(classes(back)).toEqual([]);
  });

  test("is none in a history that does not tell of iscsid", () => {
    const old = new HistoryBuilder().session(0, "a", "LOGGED_IN").fault("path-drop:a#1", 1).session(3, "a", "FAILED");
    expect(judge(old.note(60))).toEqual({ findings: [] });
  });

  test("is none where iscsid is never heard: its log was not read", () => {
    const silent = () => start().fault("path-drop:a#1", 1).session(3, "a", "FAILED").note(9);
    expect(classes(silent())).toEqual([]);
    const dropbear = { kind: "syslog", node: "initiator", program: "dropbear", line: "x" } as const;
    expect(classes(silent().add({ t: 2e9, ...dropbear }))).toEqual([]);
    // One word of it is enough, before or after.
    expect(classes(silent().says(0.1, "iSCSI logger with pid=7 started!"))).toEqual(["split-view"]);
    expect(classes(silent().says(9, ERROR))).toEqual(["split-view"]);
  });

  test("is none by what is read of an iscsid that is gone", () => {
    const gone = (spokeAt: number) =>
      start()
        .fault("path-drop:a#1", 0.1)
        .iscsid(1, 0)
        .iscsid(2, 3)
        .says(spokeAt, BACK)
        .session(3, "a", "FAILED")
        .note(60);
    expect(classes(gone(1.5))).toEqual([]);
    expect(classes(gone(2.5))).toEqual(["split-view"]);
  });

  test("of one session says nothing of the other", () => {
    const builder = start().fault("path-drop:a#1", 1).session(3, "a", "FAILED").says(3.5, ERROR.replace("1:0", "2:0"));
    expect(classes(builder.note(9))).toEqual(["split-view"]);
  });
});

describe("offline", () => {
  const offline = (at: number) =>
    recovered().session(9, "a", "FAILED").says(9.1, ERROR).session(at, "a", "FREE", "transport-offline");

  test("is a device that went offline after its session had been lost without a fault", () => {
    const { findings } = judge(offline(12).note(13));
    expect(findings).toMatchObject([{ class: "offline", title: "a device went offline without a fault" }]);
    expect(findings[0]?.explanation).toBe(
      "The device of session 1 of path a was transport-offline at 12.000 s: its session was FAILED at 9.000 s, 5.900 s after path-drop:a#1 was healed. Nothing was broken on its path then, and its connection had been made after the last fault was healed, so it had to stay.",
    );
  });

  const late = (at: number) =>
    start()
      .fault("path-drop:a#1", 1, 3)
      .session(3, "a", "FAILED")
      .says(3, ERROR)
      .session(at, "a", "FREE", "transport-offline")
      .note(at + 1);

  test("is one that did so although its path had been in order for long enough to log in again", () => {
    expect(classes(late(18))).toEqual([]);
    expect(classes(late(18.1))).toEqual(["offline"]);
    expect(first(late(18.1))?.explanation).toContain(
      "in order for 15.000 s by then, and 15.000 s is enough to log in again",
    );
  });

  test("may come as much later as instruments hold the kernel up", () => {
    expect(classes(held(late(20), 2000))).toEqual([]);
    expect(classes(held(late(20.1), 2000))).toEqual(["offline"]);
  });

  test("is none while a fault is in force or iscsid is away", () => {
    const builder = (more: HistoryBuilder) =>
      classes(more.session(3, "a", "FAILED").says(3, ERROR).session(50, "a", "FREE", "offline").note(51));
    expect(builder(start().fault("path-drop:a#1", 1))).toEqual([]);
    expect(builder(start().fault("path-drop:a#1", 1, 4).iscsid(2, 0))).toEqual([]);
  });

  test("and a split view of the same loss are two findings, the worse one first", () => {
    const builder = recovered().session(9, "a", "FAILED").session(19, "a", "FREE", "transport-offline").note(30);
    expect(classes(builder)).toEqual(["offline", "split-view"]);
  });
});

describe("offline while logged in", () => {
  const stays = (builder: HistoryBuilder, at: number) => builder.session(at, "a", "LOGGED_IN", "offline").note(at + 1);

  test("is a device that goes offline on a path in order, and stays so", () => {
    const { findings } = judge(stays(start(), 20));
    expect(findings).toMatchObject([
      { class: "offline", title: "a device stays offline while its session is logged in", lines: [5] },
    ]);
    expect(findings[0]?.explanation).toBe(
      "The device of session 1 of path a was offline at 20.000 s, before anything had been broken, and stayed so, although its session was logged in and nothing had been broken on its path, and iscsid had been running, for 20.000 s by 20.000 s. Expected: it is running.",
    );
  });

  test("is none that comes back on its own, and none after a logout", () => {
    expect(classes(stays(start(), 20).session(20.5, "a", "LOGGED_IN"))).toEqual([]);
    expect(classes(stays(start().logout(19, 30, 0), 20).session(29, "a", "gone"))).toEqual([]);
  });

  test("is judged as a loss where the session is lost next", () => {
    expect(classes(stays(start(), 20).session(20.05, "a", "FREE", "offline").says(20.1, ERROR))).toEqual(["offline"]);
    expect(first(stays(start(), 20).session(20.05, "a", "FREE", "offline"))?.title).toBe(
      "a device went offline without a fault",
    );
  });

  test("needs a path that has been in order for long enough, instruments among it", () => {
    expect(classes(stays(recovered(), 18))).toEqual([]);
    expect(classes(stays(recovered(), 18.2))).toEqual(["offline"]);
    expect(classes(held(stays(recovered(), 18.2), 1000))).toEqual([]);
    expect(classes(stays(start().fault("path-drop:a#1", 1), 50))).toEqual([]);
    expect(classes(stays(start().iscsid(1, 0), 50))).toEqual([]);
  });

  test("has to last after a login: iscsid sets the device running next", () => {
    const back = (until: number) =>
      start()
        .fault("path-drop:a#1", 1, 30)
        .session(3, "a", "FAILED", "offline")
        .says(3, ERROR)
        .session(46, "a", "LOGGED_IN", "offline")
        .note(until);
    expect(classes(back(60.9))).toEqual([]);
    expect(classes(back(61))).toEqual(["offline"]);
    expect(classes(back(90).session(47, "a", "LOGGED_IN"))).toEqual([]);
  });
});

describe("down", () => {
  const lost = (until: number) =>
    start().fault("path-drop:a#1", 1, 3).session(3, "a", "FAILED").says(3, ERROR).note(until);

  test("is a session that is not logged in when its path has been in order for long", () => {
    expect(classes(lost(33))).toEqual([]);
    const { findings } = judge(lost(33.2));
    expect(findings).toMatchObject([{ class: "down", title: "a session did not come back" }]);
    expect(findings[0]?.explanation).toContain("was lost at 3.000 s and still FAILED at 33.200 s");
  });

  test("is none where the session was given up and made anew, and where it was logged out", () => {
    const anew = { kind: "session", path: "a", sid: "9", state: "LOGGED_IN" } as const;
    expect(
      classes(
        lost(60)
          .session(20, "a", "gone")
          .add({ t: 30e9, ...anew }),
      ),
    ).toEqual([]);
    expect(classes(lost(60).logout(20, 21, 0).session(21, "a", "gone"))).toEqual([]);
  });

  test("is none while iscsid is away", () => {
    expect(classes(lost(60).iscsid(40, 0))).toEqual([]);
  });
});

describe("stuck", () => {
  const dropped = () => start().fault("path-drop:a#1", 0.5, 90);

  test.each<[string, HistoryBuilder, string]>([
    ["never came back", dropped().logout(1, 11), "a logout never returned and the session stays"],
    [
      "never came back, though the session is gone",
      dropped().logout(1, 11).session(5, "a", "gone"),
      "a logout never returned",
    ],
    ["was refused", dropped().logout(1, 2, 9, "internal error"), "a logout was refused and the session stays"],
    ["changed nothing", dropped().logout(1, 2, 0), "a session stays after its logout"],
  ])("is a logout that %s", (_name, builder, title) => {
    expect(judge(builder.note(95)).findings).toMatchObject([{ class: "stuck", title }]);
  });

  test("cites what iscsid said by its line, whatever lies between", () => {
    const builder = dropped();
    for (let op = 1; op <= 5; op++) builder.write(op, { at: 0.6, ok: 0.7 });
    const history = builder.logout(1, 11).says(3, "can not safely destroy connection 1:0").note(95).build();
    const index = history.events.findIndex(({ kind }) => kind === "syslog");
    expect(sessionOracle.judge(history).findings[0]?.lines).toContain(history.lines[index]);
  });

  test("says what was asked, what came of it, and what iscsid said", () => {
    const builder = dropped()
      .logout(1, 11)
      .session(2, "a", "FAILED")
      .says(3, "connection1:0 can not safely destroy connection")
      .note(95);
    expect(first(builder)?.explanation).toBe(
      'The logout of session 1 of path a was asked for at 1.000 s, 0.400 s after path-drop:a#1 was injected. Expected: it returns and the session is gone within 10000 ms. iscsiadm did not return within 10000 ms and was killed, and in sysfs it is still FAILED. iscsid: "connection1:0 can not safely destroy connection".',
    );
  });

  test("is none where the session is gone, and no loss by the logout is anything else", () => {
    const builder = start().logout(1, 6, 0).session(2, "a", "FREE", "offline").session(6, "a", "gone").note(95);
    expect(judge(builder)).toEqual({ findings: [] });
  });

  test("is none of a logout that was not waited for", () => {
    const builder = dropped().add({ t: 1e9, kind: "logout", path: "a", sid: "1", edge: "begin", withinMs: 10_000 });
    expect(judge(builder.note(95))).toEqual({ findings: [] });
  });

  test.each([18, 20, 32])("is none where iscsid did not try (%i), but that proves nothing", exitCode => {
    const { findings, blind } = judge(dropped().logout(1, 2, exitCode).note(95));
    expect(findings).toEqual([]);
    expect(blind).toContain(`proves nothing: iscsid`);
    expect(blind).toContain(`(iscsiadm returned ${exitCode})`);
  });
});

test("is not blind after a restore that failed: what ended then was another microVM", () => {
  const off = (at: number) =>
    new HistoryBuilder().add({ t: at * 1e9, kind: "node", node: "target", state: "off" }).phase("open", 2, 3);
  expect(judge(off(1).loggedIn(2.5).note(9)).blind).toBeUndefined();
  expect(judge(off(2.2).loggedIn(2.5).note(9)).blind).toBeDefined();
});

test("is blind where no session was seen", () => {
  expect(judge(new HistoryBuilder().note(3)).blind).toBe(
    "Nothing was seen of the initiator's sessions, so none could be judged.",
  );
});
