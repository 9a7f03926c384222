import { describe, expect, test } from "vitest";
import type { NodeName } from "../core/names.ts";
import { eventSchema, type Unstamped } from "../history/event.ts";
import type { Node } from "../lab/node.ts";
import { Watch } from "./watch.ts";

type Streams = Readonly<Record<NodeName, { say: (line: string) => void; end: () => void; disposed: () => boolean }>>;

/** A watch on two nodes, whose programs are this test. */
const start = async (firstLine = "ready"): Promise<{ watch: Watch; events: Unstamped[]; streams: Streams }> => {
  const events: Unstamped[] = [];
  const streams: Partial<Record<NodeName, Streams[NodeName]>> = {};
  const node = (name: NodeName): Node => {
    const stream = (_argv: readonly string[], onLine: (line: string) => void) => {
      const ended = Promise.withResolvers<undefined>();
      let disposed = false;
      streams[name] = { say: onLine, end: () => ended.resolve(undefined), disposed: () => disposed };
      if (firstLine === "") ended.resolve(undefined);
      else onLine(firstLine);
      return Promise.resolve({
        ended: ended.promise,
        [Symbol.asyncDispose]: () => {
          disposed = true;
          return Promise.resolve();
        },
      });
    };
    return { name, ssh: { stream } } as unknown as Node;
  };
  const devices = new Map([
    ["8:0", "a"],
    ["8:16", "b"],
  ] as const);
  const sink = { record: (event: Unstamped) => void events.push(event) };
  const watch = await Watch.start([node("initiator"), node("target")], devices, sink);
  return { watch, events, streams: streams as Streams };
};

describe("recovery", () => {
  const line = (sid: number, state: string) => `session ${sid} 10.${sid}.0.2 ${state} running`;

  test("is every session logged in", async () => {
    const { watch } = await start();
    for (const sid of [1, 2]) watch.take("initiator", line(sid, "LOGGED_IN"));
    expect(watch.recovered).toBe(true);
    watch.take("initiator", line(1, "FAILED"));
    expect(watch.recovered).toBe(false);
    watch.take("initiator", line(1, "LOGGED_IN"));
    expect(watch.recovered).toBe(true);
  });

  test("after a new start of iscsid is every session logged in anew: one that still is may yet be dropped", async () => {
    const { watch } = await start();
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
  test("a session follows its lines until it is gone", async () => {
    const { watch, events } = await start();
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

  test("a socket whose owner closed it with data unsent is an orphan in FIN-WAIT-1", async () => {
    const { watch, events } = await start();
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

  test("a receive queue counts, but is not worth a line of the history", async () => {
    const { watch, events } = await start();
    const key = "socket 10.1.0.2:3260 10.1.0.3:43210";
    watch.take("target", `${key} ESTABLISHED 0 0 0`);
    watch.take("target", `${key} ESTABLISHED 0 4096 0`);
    expect([...watch.state.sockets.values()][0]).toMatchObject({ node: "target", receiveQueueBytes: 4096 });
    expect(events).toHaveLength(1);
  });

  test("two ends of one connection are two sockets", async () => {
    const { watch } = await start();
    watch.take("target", "socket 10.1.0.2:3260 10.1.0.3:43210 ESTABLISHED 0 0 0");
    watch.take("initiator", "socket 10.1.0.3:43210 10.1.0.2:3260 ESTABLISHED 0 0 0");
    expect(watch.state.sockets.size).toBe(2);
  });

  test("multipath is told by path, when it changes", async () => {
    const { watch, events } = await start();
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

  test("iscsid is how many processes the initiator has", async () => {
    const { watch } = await start();
    watch.take("initiator", "daemon iscsid 2");
    expect(watch.state.iscsid).toBe(2);
    watch.take("target", "daemon iscsid 7");
    expect(watch.state.iscsid).toBe(2);
    watch.take("initiator", "daemon iscsid 0");
    expect(watch.state.iscsid).toBe(0);
  });
});

test("garbage changes nothing", async () => {
  const { watch, events } = await start();
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
    const { watch } = await start();
    const waiting = watch.until(failed, "the session to fail", 5000);
    watch.take("initiator", "session 1 10.1.0.2 LOGGED_IN running");
    watch.take("initiator", "session 1 10.1.0.2 FAILED blocked");
    await watch.until(failed, "the session to fail", 1);
    // It need not still be so when the waiter gets to run: what it waits for happened.
    watch.take("initiator", "session 1 10.1.0.2 LOGGED_IN running");
    await waiting;
  });

  test("is not fooled by lines that change nothing, and ends at its deadline or with the caller's reason", async () => {
    const { watch } = await start();
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
    const { watch, streams } = await start();
    streams.initiator.say("daemon iscsid 1");
    streams.target.say("socket 10.2.0.2:3260 10.2.0.3:4 ESTABLISHED 0 0 0");
    expect([watch.state.iscsid, watch.state.sockets.size]).toEqual([1, 1]);
    await watch[Symbol.asyncDispose]();
    expect([streams.initiator.disposed(), streams.target.disposed()]).toEqual([true, true]);
  });

  test("fails where the program ends before its first look", async () => {
    await expect(start("")).rejects.toMatchObject({
      code: "RIG_LAB_EXEC",
      message: "The watch on the initiator ended before its first look.",
    });
  });

  test("a program that ends later does not end the rig", async () => {
    const { streams } = await start();
    streams.initiator.end();
    await new Promise(setImmediate);
  });
});
