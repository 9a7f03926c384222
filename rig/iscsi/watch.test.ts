import { describe, expect, test } from "vitest";
import { NODE_NAMES, type NodeName } from "../core/names.ts";
import { eventSchema, type Unstamped } from "../history/event.ts";
import type { Node } from "../lab/node.ts";
import { Watch } from "./watch.ts";

/** What a node's agent was asked, and how its guest says a line. */
interface Watched {
  readonly asked: string[];
  say: (line: string) => void;
}

const setUp = (fails: { watch?: Error; unwatch?: Error } = {}, maps?: string[]) => {
  const events: Unstamped[] = [];
  const watched: Record<NodeName, Watched> = {
    target: { asked: [], say: () => undefined },
    initiator: { asked: [], say: () => undefined },
  };
  const nodes = NODE_NAMES.map(name => {
    const agent = {
      watch: (intervalMs: number, dmNames: readonly string[], onLine: (line: string) => void, signal?: AbortSignal) => {
        watched[name].asked.push(`watch ${dmNames.join(" ")} ${intervalMs > 0} ${signal === undefined}`);
        watched[name].say = onLine;
        return fails.watch === undefined ? Promise.resolve() : Promise.reject(fails.watch);
      },
      unwatch: () => {
        watched[name].asked.push("unwatch");
        return fails.unwatch === undefined ? Promise.resolve() : Promise.reject(fails.unwatch);
      },
    };
    return { name, agent } as unknown as Node;
  });
  const devices = new Map([
    ["8:0", "a"],
    ["8:16", "b"],
    ["8:32", "a"],
    ["8:48", "b"],
  ] as const);
  const sink = { record: (event: Unstamped) => void events.push(event) };
  return { watch: new Watch(sink, devices, maps), events, nodes, watched };
};

describe("recovery", () => {
  const line = (sid: number, state: string) => `session ${sid} 10.${sid}.0.2 ${state} running`;

  test("is every session logged in", () => {
    const { watch } = setUp();
    for (const sid of [1, 2]) watch.take("initiator", line(sid, "LOGGED_IN"));
    expect(watch.recovered).toBe(true);
    watch.take("initiator", line(1, "FAILED"));
    expect(watch.recovered).toBe(false);
    watch.take("initiator", line(1, "LOGGED_IN"));
    expect(watch.recovered).toBe(true);
  });

  test("is none while a path has no session", () => {
    const { watch } = setUp();
    expect(watch.recovered).toBe(false);
    for (const sid of [1, 2]) watch.take("initiator", line(sid, "LOGGED_IN"));
    watch.take("initiator", "session 1 10.1.0.2 GONE");
    expect([watch.recovered, watch.recoveredBut(new Set(["a"]))]).toEqual([false, true]);
    watch.take("initiator", "session 3 10.1.0.2 LOGGED_IN running");
    expect(watch.recovered).toBe(true);
  });

  test("after a new start of iscsid is every session logged in anew: one that still is may yet be dropped", () => {
    const { watch } = setUp();
    for (const sid of [1, 2]) watch.take("initiator", line(sid, "LOGGED_IN"));
    watch.iscsidStarts();
    expect(watch.recovered).toBe(false);
    for (const state of ["FREE", "LOGGED_IN"]) watch.take("initiator", line(1, state));
    expect(watch.recovered).toBe(false);
    for (const state of ["FREE", "LOGGED_IN"]) watch.take("initiator", line(2, state));
    expect(watch.recovered).toBe(true);
  });
});

describe("the state of", () => {
  test("a session follows its lines until it is gone", () => {
    const { watch, events } = setUp();
    watch.take("initiator", "session 1 10.1.0.2 LOGGED_IN running");
    watch.take("initiator", "session 2 10.2.0.2 LOGGED_IN running");
    watch.take("initiator", "session 1 10.1.0.2 FAILED blocked");
    expect([...watch.state.sessions.values()]).toEqual([
      { path: "a", sid: "1", state: "FAILED", device: "blocked", logins: 1 },
      { path: "b", sid: "2", state: "LOGGED_IN", device: "running", logins: 1 },
    ]);
    watch.take("initiator", "session 1 10.1.0.2 GONE");
    expect([...watch.state.sessions.keys()]).toEqual(["2"]);
    expect(events.map(event => (event.kind === "session" ? event.state : ""))).toEqual([
      "LOGGED_IN",
      "LOGGED_IN",
      "FAILED",
      "gone",
    ]);
  });

  test("a socket whose owner closed it with data unsent is an orphan in FIN-WAIT-1", () => {
    const { watch, events } = setUp();
    const key = "socket 10.1.0.3:43210 10.1.0.2:3260";
    watch.take("initiator", `${key} ESTABLISHED 0 0 0`);
    watch.take("initiator", `${key} FIN-WAIT-1 135168 0 1`);
    expect([...watch.state.sockets.values()]).toEqual([
      {
        node: "initiator",
        path: "a",
        local: "10.1.0.3:43210",
        state: "FIN-WAIT-1",
        sendQueueBytes: 135_168,
        receiveQueueBytes: 0,
        orphan: true,
      },
    ]);
    watch.take("initiator", `${key} GONE`);
    expect(watch.state.sockets.size).toBe(0);
    expect(events).toMatchObject([
      { kind: "socket", state: "ESTABLISHED", orphan: false },
      { kind: "socket", state: "FIN-WAIT-1", orphan: true, sendQueueBytes: 135_168 },
      { kind: "socket", state: "gone" },
    ]);
  });

  test("a receive queue counts, but is not worth a line of the history", () => {
    const { watch, events } = setUp();
    const key = "socket 10.1.0.2:3260 10.1.0.3:43210";
    watch.take("target", `${key} ESTABLISHED 0 0 0`);
    watch.take("target", `${key} ESTABLISHED 0 4096 0`);
    expect([...watch.state.sockets.values()][0]).toMatchObject({ node: "target", receiveQueueBytes: 4096 });
    expect(events).toHaveLength(1);
  });

  test("two ends of one connection are two sockets", () => {
    const { watch } = setUp();
    watch.take("target", "socket 10.1.0.2:3260 10.1.0.3:43210 ESTABLISHED 0 0 0");
    watch.take("initiator", "socket 10.1.0.3:43210 10.1.0.2:3260 ESTABLISHED 0 0 0");
    expect(watch.state.sockets.size).toBe(2);
  });

  test("a queue pair follows its lines, and the history hears of what lasts", () => {
    const { watch, events } = setUp();
    watch.take("initiator", "qp rxe_a 17 0 INIT 0 0");
    watch.take("initiator", "qp rxe_a 17 18 RTS 100 200");
    watch.take("initiator", "qp rxe_a 17 18 RTS 104 201");
    const pair = { node: "initiator", path: "a", number: 17, peer: 18 };
    expect([...watch.state.queuePairs.values()]).toEqual([{ ...pair, state: "RTS", sent: 104, received: 201 }]);
    // It sends again from where the last acknowledgement was; all that it sent is still owed.
    watch.take("initiator", "qp rxe_a 17 18 RTS 101 201");
    expect([...watch.state.queuePairs.values()]).toEqual([{ ...pair, state: "RTS", sent: 104, received: 201 }]);
    watch.take("target", "qp rxe_a 17 18 RTS 1 1");
    expect(watch.state.queuePairs.size).toBe(2);
    watch.take("initiator", "qp rxe_a 17 GONE");
    expect([...watch.state.queuePairs.values()].map(({ node }) => node)).toEqual(["target"]);
    expect(events).toEqual([
      { kind: "queue-pair", ...pair, peer: 0, state: "INIT" },
      { kind: "queue-pair", ...pair, state: "RTS" },
      { kind: "queue-pair", ...pair, node: "target", state: "RTS" },
      { kind: "queue-pair", ...pair, state: "gone" },
    ]);
    for (const event of events) expect(eventSchema.safeParse({ t: 0, ...event }).success).toBe(true);
  });

  test("multipath is told by path, when it changes", () => {
    const { watch, events } = setUp();
    watch.take("initiator", "dm mp 2 0 1 0 2 1 A 0 1 2 8:0 A 0 0 1 E 0 1 2 8:16 A 0 0 1 ");
    watch.take("initiator", "dm mp 2 0 1 0 2 2 D 0 1 2 8:0 F 1 0 1 A 0 1 2 8:16 A 0 0 1 ");
    watch.take("initiator", "dm mp 2 0 1 0 2 2 D 0 1 2 9:9 F 1 0 1");
    expect(Object.fromEntries(watch.state.multipath)).toEqual({ a: "failed", b: "active" });
    expect(events).toEqual([
      { kind: "multipath", path: "a", state: "active" },
      { kind: "multipath", path: "b", state: "active" },
      { kind: "multipath", path: "a", state: "failed" },
    ]);
  });

  test("multipath of several LUNs is told by path and map, and a path is failed if it is for one of them", () => {
    const { watch, events } = setUp({}, ["mp", "mp1"]);
    const line = (name: string, [a, b]: readonly string[], devices: readonly string[]) =>
      `dm ${name} 2 0 1 0 2 1 A 0 1 2 ${devices[0]} ${a} 0 0 1 E 0 1 2 ${devices[1]} ${b} 0 0 1`;
    const say = (name: string, states: readonly string[]) =>
      watch.take("initiator", line(name, states, name === "mp" ? ["8:0", "8:16"] : ["8:32", "8:48"]));
    for (const name of ["mp", "mp1"]) say(name, ["A", "A"]);
    expect(Object.fromEntries(watch.state.multipath)).toEqual({ a: "active", b: "active" });
    say("mp1", ["F", "A"]);
    say("mp", ["A", "F"]);
    expect(Object.fromEntries(watch.state.multipath)).toEqual({ a: "failed", b: "failed" });
    say("mp1", ["A", "A"]);
    say("mp2", ["F", "F"]);
    expect(Object.fromEntries(watch.state.multipath)).toEqual({ a: "active", b: "failed" });
    expect(events.slice(4)).toEqual([
      { kind: "multipath", path: "a", state: "failed", device: "mp1" },
      { kind: "multipath", path: "b", state: "failed", device: "mp" },
      { kind: "multipath", path: "a", state: "active", device: "mp1" },
    ]);
    for (const event of events) expect(eventSchema.safeParse({ t: 0, ...event }).success).toBe(true);
  });

  test("iscsid is how many processes the initiator has", () => {
    const { watch } = setUp();
    watch.take("initiator", "daemon iscsid 2");
    expect(watch.state.iscsid).toBe(2);
    watch.take("target", "daemon iscsid 7");
    expect(watch.state.iscsid).toBe(2);
    watch.take("initiator", "daemon iscsid 0");
    expect(watch.state.iscsid).toBe(0);
  });
});

describe("the history is told", () => {
  test("of iscsid's processes, and of what daemons log", () => {
    const { watch, events } = setUp();
    watch.take("initiator", "daemon iscsid 2");
    watch.take("initiator", "syslog iscsid connection1:0 is operational after recovery (1 attempts)");
    watch.take("initiator", "syslog iscsid");
    const log = { kind: "syslog", node: "initiator", program: "iscsid" };
    expect(events).toEqual([
      { kind: "daemon", node: "initiator", name: "iscsid", count: 2 },
      { ...log, line: "connection1:0 is operational after recovery (1 attempts)" },
      { ...log, line: "" },
    ]);
    for (const event of events) expect(eventSchema.safeParse({ t: 0, ...event }).success).toBe(true);
  });
});

test("sessions that were logged out are not waited for", () => {
  const { watch } = setUp();
  watch.take("initiator", "session 1 10.1.0.2 FAILED blocked");
  watch.take("initiator", "session 2 10.2.0.2 LOGGED_IN running");
  expect(watch.recovered).toBe(false);
  expect(watch.recoveredBut(new Set(["b"]))).toBe(false);
  expect(watch.recoveredBut(new Set(["a"]))).toBe(true);
});

test("how late a watch woke up is told of either node", () => {
  const { watch, events } = setUp();
  watch.take("initiator", "late 812");
  watch.take("target", "late 60");
  watch.take("target", "late for ever");
  watch.take("target", "late");
  expect(events).toEqual([
    { kind: "late", node: "initiator", ms: 812 },
    { kind: "late", node: "target", ms: 60 },
    { kind: "late", node: "target", ms: 0 },
    { kind: "late", node: "target", ms: 0 },
  ]);
  for (const event of events) expect(eventSchema.safeParse({ t: 0, ...event }).success).toBe(true);
});

test("garbage changes nothing", () => {
  const { watch, events } = setUp();
  for (const line of [
    "",
    " ",
    "session",
    "session 1",
    "session 1 192.168.0.1 LOGGED_IN running",
    "socket x y ESTABLISHED 0 0 0",
    "socket 127.0.0.1:1 127.0.0.1:2 ESTABLISHED 0 0 0",
    "dm",
    "dm mp",
    "qp",
    "qp mlx5_0 17 18 RTS 1 1",
    "daemon",
    "daemon iscsid many",
    "[   12.3] Kernel panic",
    "\u001b[31m{}",
    "constructor __proto__",
  ]) {
    watch.take("initiator", line);
  }
  watch.take("initiator", "socket 10.1.0.3:1 10.1.0.2:3260 ESTABLISHED many -1 x");
  watch.take("initiator", "socket 10.1.0.3:1 10.1.0.2:3260 FIN-WAIT-1 -5 1e99 1");
  expect(watch.state.sessions.size).toBe(0);
  expect(watch.state.iscsid).toBe(0);
  expect(events).toMatchObject([
    { kind: "socket", sendQueueBytes: 0, orphan: false },
    { kind: "socket", sendQueueBytes: 0, orphan: true },
  ]);
  for (const event of events) expect(eventSchema.safeParse({ t: 0, ...event }).success).toBe(true);
});

describe("waiting", () => {
  const failed = ({ sessions }: Watch["state"]) => sessions.get("1")?.state === "FAILED";

  test("ends with the line that makes it true, or at once", async () => {
    const { watch } = setUp();
    const waiting = watch.until(failed, "the session to fail", 5000);
    watch.take("initiator", "session 1 10.1.0.2 LOGGED_IN running");
    watch.take("initiator", "session 1 10.1.0.2 FAILED blocked");
    await watch.until(failed, "the session to fail", 1);
    // It need not still be so when the waiter gets to run: what it waits for happened.
    watch.take("initiator", "session 1 10.1.0.2 LOGGED_IN running");
    await waiting;
  });

  test("is not fooled by lines that change nothing, and ends at its deadline or with the caller's reason", async () => {
    const { watch } = setUp();
    const waiting = watch.until(failed, "the session to fail", 30);
    watch.take("initiator", "session 1 10.1.0.2 LOGGED_IN running");
    await expect(waiting).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      message: "Expected the session to fail within 30 ms; it did not happen.",
    });
    const controller = new AbortController();
    const given = watch.until(failed, "it", 60_000, controller.signal);
    controller.abort(new Error("the node died"));
    await expect(given).rejects.toThrow("the node died");
  });
});

describe("starting", () => {
  test("passes lines on from both nodes, and stops them in the end", async () => {
    const { watch, nodes, watched } = setUp();
    await watch.start(nodes);
    watched.initiator.say("daemon iscsid 1");
    watched.target.say("socket 10.2.0.2:3260 10.2.0.3:4 ESTABLISHED 0 0 0");
    expect([watch.state.iscsid, watch.state.sockets.size]).toEqual([1, 1]);
    await watch[Symbol.asyncDispose]();
    for (const { asked } of Object.values(watched)) expect(asked).toEqual(["watch mp true true", "unwatch"]);
  });

  test("hands the caller's signal to the agents", async () => {
    const { watch, nodes, watched } = setUp();
    await watch.start(nodes, new AbortController().signal);
    expect(watched.target.asked).toEqual(["watch mp true false"]);
  });

  test("fails where an agent cannot look, and every agent that was asked is told to stop", async () => {
    const { watch, nodes, watched } = setUp({ watch: new Error("nothing to look at") });
    await expect(watch.start(nodes)).rejects.toThrow("nothing to look at");
    await watch[Symbol.asyncDispose]();
    for (const { asked } of Object.values(watched)) expect(asked.at(-1)).toBe("unwatch");
  });

  test("a guest that cannot answer any more does not keep the watch from ending", async () => {
    const { watch, nodes } = setUp({ unwatch: new Error("the connection was lost") });
    await watch.start(nodes);
    await watch[Symbol.asyncDispose]();
  });
});
