import { describe, expect, test } from "vitest";
import { findingSchema } from "./finding.ts";
import { leakOracle } from "./leaks.ts";
import { HistoryBuilder } from "./testdata/history-builder.ts";

const judge = (builder: HistoryBuilder) => {
  const judgement = leakOracle.judge(builder.build());
  for (const finding of judgement.findings) findingSchema.parse(finding);
  return judgement;
};
const begun = () => new HistoryBuilder().loggedIn(0).counted(0, "begin");
type More = Parameters<HistoryBuilder["counted"]>[2];
const ended = (more: More, builder = begun()) => judge(builder.counted(50, "end", more));

const A = "10.1.0.3:40000-10.1.0.2:3260";
const NEW_A = "10.1.0.3:40007-10.1.0.2:3260";
const B = "10.2.0.3:40001-10.2.0.2:3260";

describe("nothing is left over", () => {
  test.each<[string, More, HistoryBuilder?]>([
    ["where all is as it was", {}],
    [
      "of a session that came back over another socket, the old one being TCP's own",
      {
        "initiator socket": [`a ${NEW_A} ESTABLISHED`, `a ${A} FIN-WAIT-1`, `b ${B} ESTABLISHED`],
        "target socket": [`a ${NEW_A} ESTABLISHED`, `a ${A} TIME-WAIT`, `b ${B} ESTABLISHED`],
      },
      begun().fault("path-drop:a#1", 1, 5),
    ],
    [
      "of a session that waits for iscsid, which was killed: its target was never told",
      { "initiator socket": [`b ${B} ESTABLISHED`] },
      begun().fault("path-drop:a#1", 1, 5).session(3, "a", "FAILED"),
    ],
    [
      "of a login that is under way",
      { "initiator socket": [`a ${NEW_A} SYN-SENT`, `b ${B} ESTABLISHED`] },
      begun().fault("path-drop:a#1", 1, 5),
    ],
    [
      "of a session that was logged out over a dead path: its target cannot know",
      {
        "initiator session": ["session2"],
        "initiator connection": ["connection2:0"],
        "initiator host": ["host3 session2"],
        "initiator socket": [`b ${B} ESTABLISHED`],
      },
      begun().fault("path-drop:a#1", 1, 5).logout(2, 3, 0).session(3, "a", "gone"),
    ],
    [
      "of a session that iscsid made anew",
      {
        "initiator session": ["session2", "session3"],
        "initiator connection": ["connection2:0", "connection3:0"],
        "initiator host": ["host3 session2", "host4 session3"],
      },
      begun().session(3, "a", "gone").add({ t: 4e9, kind: "session", path: "a", sid: "3", state: "LOGGED_IN" }),
    ],
    [
      "of queue pairs, one a path and node",
      {
        "initiator endpoint": ["ep-7", "ep-8"],
        ...{ "initiator socket": [], "target socket": [] },
        ...{ "initiator queue-pair": ["a 17 RTS", "b 18 RTS"], "target queue-pair": ["a 19 ERR", "b 20 RTS"] },
      },
    ],
  ])("%s", (_name, more, builder) => {
    expect(ended(more, builder)).toEqual({ findings: [] });
  });
});

describe("left over", () => {
  test.each<[string, More, string, string, HistoryBuilder?]>([
    [
      "a connection without its session",
      { "initiator connection": ["connection1:0", "connection2:0", "connection3:0"] },
      "connections",
      "the initiator had the connection connection3:0, whose session is gone",
    ],
    [
      "two connections of one session",
      { "initiator connection": ["connection1:0", "connection1:1", "connection2:0"] },
      "connections",
      "the initiator had 2 connections connection1:0, connection1:1, all of session 1",
    ],
    [
      "a host without a session",
      { "initiator host": ["host2", "host3 session2", "host4 session1"] },
      "hosts",
      "the initiator had the host host2, without a session",
    ],
    [
      "a second session of a path",
      {
        "initiator session": ["session1", "session2", "session3"],
        "initiator host": ["host2 session1", "host3 session2", "host4 session3"],
      },
      "sessions",
      "the initiator had the session session3, where path a had 1 at the beginning",
      begun().add({ t: 4e9, kind: "session", path: "a", sid: "3", state: "FREE" }),
    ],
    [
      "a session that no path has",
      { "initiator session": ["session1", "session2", "session3"] },
      "sessions",
      "the initiator had the session session3, which no path has",
    ],
    ["an endpoint", { "initiator endpoint": ["ep-7", "ep-8", "ep-9"] }, "endpoints", "for 2 connections"],
    [
      "a socket that nobody closed",
      { "initiator socket": [`a ${A} ESTABLISHED`, `a ${NEW_A} ESTABLISHED`, `b ${B} ESTABLISHED`] },
      "sockets",
      `the initiator had 2 sockets a ${A} ESTABLISHED, a ${NEW_A} ESTABLISHED, where path a may have 1`,
    ],
    [
      "a socket that only the other end closed",
      { "target socket": [`a ${A} CLOSE-WAIT`, `a ${NEW_A} ESTABLISHED`, `b ${B} ESTABLISHED`] },
      "sockets",
      "the target had 2 sockets",
      begun().fault("path-drop:a#1", 1, 5),
    ],
    [
      "what a target keeps of a session that logged out over a healthy path",
      {
        ...{ "initiator session": ["session2"], "initiator connection": ["connection2:0"] },
        ...{ "initiator host": ["host3 session2"], "initiator socket": [`b ${B} ESTABLISHED`] },
      },
      "sockets, target-sessions",
      "the target had 2 target-sessions 1 of 2, 2 of 2, where there may be 1",
      begun().logout(2, 3, 0).session(3, "a", "gone"),
    ],
    [
      "a queue pair",
      { "target queue-pair": ["a 17 RTS", "a 19 ERR", "b 20 RTS"] },
      "queue-pairs",
      "the target had 2 queue-pairs a 17 RTS, a 19 ERR, where path a may have 1",
    ],
    [
      "a third session of the target's",
      { "target target-session": ["1 of 3", "2 of 3", "3 of 3"] },
      "target-sessions",
      "the target had 3 target-sessions 1 of 3, 2 of 3, 3 of 3, where there may be 2",
      begun().fault("path-drop:a#1", 1, 5),
    ],
  ])("%s", (_name, more, kinds, words, builder) => {
    const { findings, blind } = ended(more, builder);
    expect(blind).toBeUndefined();
    expect(findings).toMatchObject([{ oracle: "session", class: "leaked", title: `left over: ${kinds}` }]);
    expect(findings[0]?.explanation).toContain(words);
  });

  test("all of it is one finding", () => {
    const { findings } = ended({ "initiator host": ["host2"], "initiator endpoint": ["ep-7", "ep-8", "ep-9"] });
    expect(findings.map(({ title }) => title)).toEqual(["left over: hosts, endpoints"]);
  });
});

test("what is left over of a logout that failed is told there, not here", () => {
  expect(ended({}, begun().logout(2, 9))).toEqual({ findings: [] });
});

test("blind where it was not counted, unless a node died", () => {
  expect(judge(begun()).blind).toBe(
    "Nobody can say what was left over: sessions and sockets were not counted on the target at the end, nor on the initiator at the end.",
  );
  const died = begun().phase("open", 0, 0.1).add({ t: 5e9, kind: "node", node: "target", state: "off" });
  expect(judge(died)).toEqual({ findings: [] });
  expect(judge(begun().console("target", 5, "[    1.000001] Kernel panic - not syncing: x"))).toEqual({ findings: [] });
});
