import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import type { Watch, WatchState } from "../iscsi/watch.ts";
import type { Node } from "../lab/node.ts";
import { IscsidKill } from "./iscsid-kill.ts";

/** An initiator with two iscsid processes, and a watch that sees them at once. */
const setUp = (kill = (running: number) => ({ killed: running, left: 0 }), starts = 2) => {
  const abort = new AbortController();
  let running = 2;
  const calls: string[] = [];
  const state = (): WatchState => ({
    sessions: new Map(),
    sockets: new Map(),
    queuePairs: new Map(),
    multipath: new Map(),
    iscsid: running,
  });
  const watch = {
    get state() {
      return state();
    },
    iscsidStarts: () => calls.push("take over"),
    until: (holds: (seen: WatchState) => boolean, expected: string) =>
      holds(state()) ? Promise.resolve() : Promise.reject(new RigError("RIG_DEADLINE", `Expected ${expected}`)),
  } as unknown as Watch;
  const agent = {
    kill: (signal: number, name: string) => {
      calls.push(`kill ${signal} ${name}`);
      const { killed, left } = kill(running);
      running = left;
      return Promise.resolve(killed);
    },
    spawn: (argv: readonly string[]) => {
      calls.push(`spawn ${argv.join(" ")}`);
      running = starts;
      return Promise.resolve(17);
    },
  };
  const fault = new IscsidKill({ agent } as unknown as Node, watch, 1, abort.signal);
  return { fault, calls, abort, running: () => running };
};

describe("killing iscsid", () => {
  test("kills its processes, starts it again, and proves both", async () => {
    const { fault, running } = setUp();
    expect([fault.name, fault.on]).toEqual(["iscsid-kill#1", "iscsid"]);
    expect(await fault.inject()).toBe("2 processes killed");
    expect(running()).toBe(0);
    expect(await fault.evidence()).toMatchObject({ bit: true, gone: false });
    await fault.delay(1);
    expect(await fault.heal()).toBe("iscsid was started");
    expect(await fault.evidence()).toEqual({
      bit: true,
      gone: true,
      text: "2 iscsid processes were killed; 2 run now",
      counters: { killed: 2, running: 2 },
    });
  });

  test("heals twice without harm, and needs no healing before it was injected", async () => {
    const { fault, calls } = setUp();
    expect(await fault.heal()).toBe("iscsid is running");
    await fault.inject();
    await fault.heal();
    expect(await fault.heal()).toBe("iscsid is running");
    expect(calls).toEqual(["kill 9 iscsid", "take over", "spawn /usr/sbin/iscsid"]);
  });

  test("that found nothing to kill has not bitten", async () => {
    const { fault } = setUp(() => ({ killed: 0, left: 0 }));
    await fault.inject();
    expect(await fault.evidence()).toMatchObject({ bit: false, gone: false });
  });

  test("that leaves a process is an error, and heals without starting another", async () => {
    const { fault, calls } = setUp(() => ({ killed: 1, left: 1 }));
    await expect(fault.inject()).rejects.toThrow("Expected iscsid to be gone");
    await fault.heal();
    expect(calls).toEqual(["kill 9 iscsid"]);
  });

  test("is not healed by what has not started", async () => {
    const { fault, calls } = setUp(() => ({ killed: 2, left: 0 }), 0);
    await fault.inject();
    await expect(fault.heal()).rejects.toThrow("Expected iscsid to run again");
    expect(await fault.evidence()).toMatchObject({ bit: true, gone: false });
    await expect(fault.heal()).rejects.toThrow("Expected iscsid to run again");
    expect(calls.filter(call => call.startsWith("spawn"))).toHaveLength(2);
  });

  test("is delayed no longer than its cell goes on", async () => {
    const { fault, abort } = setUp();
    const waiting = fault.delay(60_000);
    abort.abort(new Error("the node died"));
    await expect(waiting).rejects.toThrow("the node died");
  });
});
