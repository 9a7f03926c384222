import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import type { PathName } from "../core/names.ts";
import type { Unstamped } from "../history/event.ts";
import { Watch } from "../iscsi/watch.ts";
import { type SessionBench, sessionControl } from "./session-control.ts";

const A = "session 1 10.1.0.2";

interface Answer {
  readonly exitCode: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** A bench with one session, over path a, whose iscsiadm does what `onCommand` says. */
const setUp = (onCommand: (watch: Watch) => Answer = () => ({ exitCode: 0 })) => {
  const events: Unstamped[] = [];
  const sink = { record: (event: Unstamped) => void events.push(event) };
  const watch = new Watch(sink, new Map());
  watch.take("initiator", `${A} LOGGED_IN running`);
  events.length = 0;
  const commands: (readonly string[])[] = [];
  const abort = new AbortController();
  const consoleLines: RegExp[] = [];
  const bench = {
    watch,
    sink,
    lab: {
      nodes: {
        initiator: {
          ssh: {
            exec: (argv: readonly string[]) => {
              commands.push(argv);
              return Promise.resolve({ stdout: "", stderr: "", ...onCommand(watch) });
            },
          },
          console: { waitFor: (pattern: RegExp) => Promise.resolve(void consoleLines.push(pattern)) },
        },
      },
    },
    loggedOut: new Set<PathName>(),
    instruments: { heldUpMs: 9000 },
    logoutWithinMs: 17_000,
    scale: 0.01,
    signal: abort.signal,
  };
  const steps: string[] = [];
  const step = <T>(text: string, work: () => Promise<T>) => {
    steps.push(text);
    return work();
  };
  const control = (path: PathName) => sessionControl(bench as unknown as SessionBench, step, path, 1000);
  const logouts = () => events.filter(event => event.kind === "logout");
  return { control, bench, watch, commands, steps, abort, logouts, consoleLines };
};

describe("a logout", () => {
  const begin = { kind: "logout", path: "a", sid: "1", edge: "begin", withinMs: 26_000 };
  const end = { kind: "logout", path: "a", sid: "1", edge: "end" };

  test("asks iscsiadm, with a deadline in the guest, and sees the session go", async () => {
    const { control, commands, logouts, bench } = setUp(watch => {
      watch.take("initiator", `${A} GONE`);
      return { exitCode: 0, stdout: "Logging out\nLogout of [sid: 1] successful.\n" };
    });
    await control("a").logout();
    expect(commands).toEqual([["timeout", "-s", "KILL", "26", "iscsiadm", "-m", "session", "-r", "1", "-u"]]);
    expect(logouts()).toEqual([begin, { ...end, exitCode: 0, text: "Logging out; Logout of [sid: 1] successful." }]);
    expect([...bench.loggedOut]).toEqual(["a"]);
  });

  test.each([
    [
      "that was refused",
      { exitCode: 32, stderr: "iscsiadm: not connected\n" },
      { exitCode: 32, text: "iscsiadm: not connected" },
    ],
    ["that was killed", { exitCode: 137 }, { text: "" }],
    ["that was killed, as ssh tells it", { exitCode: -1 }, { text: "" }],
    ["after which the session is still there", { exitCode: 0 }, { exitCode: 0, text: "" }],
  ])("%s is for the oracle to judge, no error of the timeline", async (_name, answer, result) => {
    const { control, logouts } = setUp(() => answer);
    await control("a").logout();
    expect(logouts()).toEqual([begin, { ...end, ...result }]);
  });

  test("ends with the cell", async () => {
    const { control, abort, logouts } = setUp(() => {
      abort.abort(new Error("the node died"));
      return { exitCode: 0 };
    });
    await expect(control("a").logout()).rejects.toThrow("the node died");
    expect(logouts()).toEqual([begin]);
  });

  test("of a path without a session is the scenario's mistake", async () => {
    await expect(setUp().control("b").logout()).rejects.toMatchObject({ code: "RIG_BAD_SCENARIO", blame: "scenario" });
  });
});

describe("looking on", () => {
  test("ends when nothing happened in time: that is no error", async () => {
    const { control, steps } = setUp();
    await control("a").observe(5, "nothing should happen");
    expect(steps).toEqual(["watch the session of path a for 5 ms: nothing should happen"]);
  });

  test("ends when the device is offline", async () => {
    const { control, watch } = setUp();
    const looking = control("a").observe(60_000, "something should happen");
    watch.take("initiator", `${A} FREE transport-offline`);
    await looking;
  });

  test("ends with the cell, with the cell's reason", async () => {
    const { control, abort } = setUp();
    const looking = control("a").observe(60_000, "x");
    const reason = new RigError("RIG_DEADLINE", "Expected the cell to be over");
    abort.abort(reason);
    await expect(looking).rejects.toBe(reason);
  });
});

test("a connection's error is what the kernel says of this session's connection", async () => {
  const { control, consoleLines } = setUp();
  await control("a").connectionError();
  const [pattern] = consoleLines;
  expect(pattern?.test("[    7.344103]  connection1:0: detected conn error (1022)")).toBe(true);
  expect(pattern?.test("[    7.344103]  connection11:0: detected conn error (1022)")).toBe(false);
  expect(pattern?.test("[    7.344103]  connection2:0: detected conn error (1022)")).toBe(false);
});
