import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import type { PathName } from "../core/names.ts";
import { FaultDesk } from "../fault/fault.ts";
import type { Unstamped } from "../history/event.ts";
import type { QueuePairState } from "../iscsi/queue-pair.ts";
import { type SocketState, Watch, type WatchState } from "../iscsi/watch.ts";
import { type Bench, isQuiet, isUnrecovered, recover, timelineContext } from "./controls.ts";

const socket = (more: Partial<SocketState>): SocketState => ({
  node: "initiator",
  path: "a",
  local: "10.1.0.3:4",
  state: "ESTABLISHED",
  sendQueueBytes: 0,
  receiveQueueBytes: 0,
  orphan: false,
  ...more,
});

const seen = (...sockets: readonly SocketState[]): WatchState => ({
  sessions: new Map(),
  sockets: new Map(sockets.map((one, index) => [String(index), one])),
  queuePairs: new Map(),
  multipath: new Map(),
  iscsid: 1,
});

describe("a path is quiet", () => {
  test.each<[string, readonly SocketState[], boolean]>([
    ["with no socket at all", [], true],
    ["with a connection that works", [socket({})], true],
    ["with unsent data on a connection that works", [socket({ sendQueueBytes: 4096 })], true],
    [
      "with a socket nobody owns that still sends",
      [socket({ state: "FIN-WAIT-1", orphan: true, sendQueueBytes: 9 })],
      false,
    ],
    ["with one that only waits for the peer's last word", [socket({ state: "FIN-WAIT-2", orphan: true })], false],
    ["with an established orphan", [socket({ orphan: true })], false],
    ["with a connection that is being made", [socket({ state: "SYN-SENT" })], false],
    ["with an idle target", [socket({ node: "target" })], true],
    ["with a target that listens", [socket({ node: "target", state: "LISTEN" })], true],
    ["with a target that has not read all", [socket({ node: "target", receiveQueueBytes: 1 })], false],
    [
      "with a target that has not closed what its peer closed",
      [socket({ node: "target", state: "CLOSE-WAIT" })],
      false,
    ],
    ["with a target that still sends", [socket({ node: "target", state: "FIN-WAIT-1", sendQueueBytes: 48 })], true],
    ["whatever the other path does", [socket({ path: "b", state: "FIN-WAIT-1", orphan: true })], true],
    ["not when one of many is not", [socket({}), socket({ node: "target", receiveQueueBytes: 1 }), socket({})], false],
  ])("%s", (_name, sockets, quiet) => {
    expect(isQuiet(seen(...sockets), "a")).toBe(quiet);
  });

  test("only when queue pairs are too", () => {
    const near = { node: "initiator", path: "a", number: 17, peer: 18, state: "RTS", sent: 7, received: 4 } as const;
    const far = { ...near, node: "target", number: 18, peer: 17, sent: 4 } as const;
    const over = (received: number): WatchState => ({
      ...seen(),
      queuePairs: new Map<string, QueuePairState>([
        ["near", near],
        ["far", { ...far, received }],
      ]),
    });
    expect([isQuiet(over(7), "a"), isQuiet(over(6), "a"), isQuiet(over(6), "b")]).toEqual([true, false, true]);
  });
});

/** A bench whose watch, ledger and container are stand-ins. */
const bench = (state: WatchState = seen(), seed = 1) => {
  const events: Unstamped[] = [];
  const sink = { record: (event: Unstamped) => void events.push(event) };
  const abort = new AbortController();
  let rules = 0;
  const exec = (argv: readonly string[]) => {
    if (argv[0] === "sh") rules = 2;
    if (argv.includes("-D")) rules = Math.max(0, rules - 1);
    const name = "path-drop:a#1";
    const row = `7 700 DROP /* rig ${name} */\n7 700 DROP /* rig path-drop:a#2 */\n`;
    return Promise.resolve({ exitCode: 0, stdout: rules === 0 ? "" : row.repeat(rules) });
  };
  const generation = {
    label: "generation 0",
    inFlight: 3,
    acknowledged: (withinMs: number) =>
      Promise.resolve(void events.push({ kind: "note", text: `patience ${withinMs}` })),
  };
  const parts = {
    lab: { nodes: { target: { container: { exec, execOk: exec } }, initiator: {} } },
    watch: {
      state,
      until: (holds: (now: WatchState) => boolean, expected: string) =>
        holds(state) ? Promise.resolve() : Promise.reject(new RigError("RIG_DEADLINE", `Expected ${expected}`)),
    },
    ledger: { rewrite: () => generation, readBacking: () => Promise.resolve() },
    desk: new FaultDesk(sink),
    sink,
    seed,
    answerWithinMs: 40_000,
    scale: 0.01,
    signal: abort.signal,
  };
  const context = timelineContext(parts as unknown as Bench);
  const steps = () => events.flatMap(event => (event.kind === "step" ? [`${event.text}: ${event.edge}`] : []));
  return { context, events, steps, abort };
};

const session = (state: string): WatchState => ({
  ...seen(),
  sessions: new Map([["1", { path: "a", sid: "1", state, device: "running", logins: 1 }]]),
});

describe("a timeline's steps", () => {
  test("are in the history, with both ends", async () => {
    const { context, steps } = bench();
    const writes = await context.ledger.rewrite();
    expect([writes.label, writes.inFlight]).toEqual(["generation 0", 3]);
    await writes.acknowledged();
    await context.path.a.drop();
    await context.path.a.heal();
    await context.path.a.quiet();
    await context.ledger.observe();
    await context.pause(1, "to let time pass");
    const texts = [
      "write every slot anew",
      "generation 0 is acknowledged",
      "drop path a",
      "heal path a",
      "path a is quiet",
      "read the target's disk image",
      "wait 1 ms: to let time pass",
    ];
    expect(steps()).toEqual(texts.flatMap(text => [`${text}: begin`, `${text}: end`]));
  });

  test("that fail have a beginning and no end", async () => {
    const { context, steps } = bench(seen(socket({ orphan: true })));
    await expect(context.path.a.quiet()).rejects.toThrow("path a to be quiet");
    expect(steps()).toEqual(["path a is quiet: begin"]);
  });

  test("do not begin once the cell is over", async () => {
    const { context, steps, abort } = bench();
    abort.abort(new Error("the node died"));
    await expect(context.path.a.drop()).rejects.toThrow("the node died");
    expect(steps()).toEqual([]);
  });

  test("wait for writes a little longer than the configuration allows", async () => {
    const { context, events } = bench();
    await (await context.ledger.rewrite()).acknowledged();
    expect(events).toContainEqual({ kind: "note", text: "patience 42000" });
  });
});

describe("mistakes of a timeline are the scenario's:", () => {
  test("dropping a path twice", async () => {
    const { context } = bench();
    await context.path.a.drop();
    await expect(context.path.a.drop()).rejects.toMatchObject({ code: "RIG_BAD_SCENARIO", blame: "scenario" });
    await context.path.a.heal();
    await context.path.a.heal();
  });

  test("starting an iscsid that was not killed", async () => {
    await expect(bench().context.iscsid.restart()).rejects.toMatchObject({ code: "RIG_BAD_SCENARIO" });
  });
});

describe("a session", () => {
  test.each([
    ["LOGGED_IN", "loggedIn", true],
    ["LOGGED_IN", "failed", false],
    ["FAILED", "failed", true],
    ["FREE", "failed", true],
    ["FAILED", "loggedIn", false],
  ] as const)("that is %s: %s is %s", async (state, control, holds) => {
    const step = bench(session(state)).context.session("a")[control]();
    if (holds) await step;
    else await expect(step).rejects.toMatchObject({ code: "RIG_DEADLINE" });
  });

  test("of the other path does not count", async () => {
    await expect(bench(session("LOGGED_IN")).context.session("b").loggedIn()).rejects.toThrow("path b is logged in");
  });
});

describe("recovering", () => {
  const setUp = (...lines: readonly string[]) => {
    const watch = new Watch(
      { record: () => undefined },
      new Map([
        ["8:0", "a"],
        ["8:16", "b"],
      ]),
    );
    for (const line of lines) watch.take("initiator", line);
    const reinstated: string[] = [];
    const execOk = (argv: readonly string[]) => {
      reinstated.push(argv.at(-1) ?? "");
      watch.take("initiator", "dm mp 2 0 1 0 2 2 D 0 1 2 8:0 A 1 0 1 A 0 1 2 8:16 A 0 0 1");
      return Promise.resolve({ stdout: "" });
    };
    const parts = {
      watch,
      lab: { nodes: { initiator: { ssh: { execOk } } } },
      sessions: [
        { path: "a", disks: [{ lun: 0, dev: "8:0" }] },
        { path: "b", disks: [{ lun: 0, dev: "8:16" }] },
      ],
      loggedOut: new Set<PathName>(),
      scale: 0.001,
      signal: new AbortController().signal,
    };
    return { bench: parts as unknown as Bench, reinstated };
  };
  const failed = "dm mp 2 0 1 0 2 2 D 0 1 2 8:0 F 1 0 1 A 0 1 2 8:16 A 0 0 1";
  const b = "session 2 10.2.0.2 LOGGED_IN running";

  test("gives the paths that failed back", async () => {
    const { bench, reinstated } = setUp("session 1 10.1.0.2 LOGGED_IN running", b, failed);
    await recover(bench);
    expect(reinstated).toEqual(["8:0"]);
  });

  test("says so where a session does not come back: the session oracle may know why", async () => {
    const { bench } = setUp("session 1 10.1.0.2 FAILED blocked", b, failed);
    const error: unknown = await recover(bench).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "RIG_DEADLINE" });
    expect(isUnrecovered(error)).toBe(true);
    expect(isUnrecovered(new RigError("RIG_DEADLINE", "x"))).toBe(false);
  });

  test("gives a path back whose session is logged in, even where the other's does not come", async () => {
    const { bench, reinstated } = setUp("session 1 10.1.0.2 FAILED blocked", b);
    bench.watch.take("initiator", "dm mp 2 0 1 0 2 2 D 0 1 2 8:0 F 1 0 1 E 0 1 2 8:16 F 1 0 1");
    expect(isUnrecovered(await recover(bench).catch((reason: unknown) => reason))).toBe(true);
    expect(reinstated).toEqual(["8:16"]);
  });

  test("waits for a session that is gone", async () => {
    const { bench, reinstated } = setUp(b, failed);
    expect(isUnrecovered(await recover(bench).catch((reason: unknown) => reason))).toBe(true);
    expect(reinstated).toEqual([]);
  });

  test.each([
    ["gone", []],
    ["stuck", ["session 1 10.1.0.2 FAILED blocked"]],
  ])("waits for no session that was logged out and is %s", async (_name, lines) => {
    const { bench, reinstated } = setUp(...lines, b, failed);
    bench.loggedOut.add("a");
    await recover(bench);
    expect(reinstated).toEqual([]);
  });
});

test("chance repeats itself with the seed", () => {
  const draw = (seed: number) => {
    const { context } = bench(seen(), seed);
    return Array.from({ length: 5 }, () => context.random(0, 2000));
  };
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
});
