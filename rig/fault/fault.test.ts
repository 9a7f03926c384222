import { describe, expect, test } from "vitest";
import type { Unstamped } from "../history/event.ts";
import { type Evidence, type Fault, FaultDesk } from "./fault.ts";

const BIT: Evidence = { bit: true, gone: true, text: "12 packets dropped", counters: { packets: 12 } };

interface Tale {
  readonly inject?: () => Promise<string>;
  readonly heal?: () => Promise<string>;
  readonly evidence?: () => Promise<Evidence>;
}

const setUp = (): {
  desk: FaultDesk;
  told: () => string[];
  done: string[];
  fault: (name: string, tale?: Tale) => Fault;
} => {
  const events: Unstamped[] = [];
  const done: string[] = [];
  const told = () =>
    events.map(event => {
      if (event.kind === "fault")
        return `${event.action} ${event.fault} ${event.edge}${event.detail === undefined ? "" : `: ${event.detail}`}`;
      if (event.kind === "evidence") return `evidence ${event.fault} bit ${String(event.bit)}`;
      return event.kind === "note" ? `note: ${event.text}` : event.kind;
    });
  const fault = (name: string, tale: Tale = {}): Fault => ({
    name,
    on: "path a",
    inject: () => {
      done.push(`inject ${name}`);
      return tale.inject?.() ?? Promise.resolve("broken");
    },
    heal: () => {
      done.push(`heal ${name}`);
      return tale.heal?.() ?? Promise.resolve("mended");
    },
    evidence: tale.evidence ?? (() => Promise.resolve(BIT)),
  });
  return { desk: new FaultDesk({ record: event => void events.push(event) }), told, done, fault };
};

describe("the fault desk", () => {
  test("records both ends of injecting and healing, then the evidence", async () => {
    const { desk, told, fault } = setUp();
    const drop = fault("drop");
    await desk.inject(drop);
    expect(desk.evidence).toEqual([]);
    await desk.heal(drop);
    expect(told()).toEqual([
      "inject drop begin",
      "inject drop end: broken",
      "heal drop begin",
      "heal drop end: mended",
      "evidence drop bit true",
    ]);
    expect(desk.evidence).toEqual([{ fault: "drop", ...BIT }]);
  });

  test("heals once, and nothing that was never injected", async () => {
    const { desk, told, done, fault } = setUp();
    const drop = fault("drop");
    await desk.heal(drop);
    await desk.inject(drop);
    await desk.heal(drop);
    await desk.heal(drop);
    await desk.healAll();
    expect(done).toEqual(["inject drop", "heal drop"]);
    expect(told()).toHaveLength(5);
  });

  test("heals all that is still broken, last first", async () => {
    const { desk, done, fault } = setUp();
    const [a, b, c] = [fault("a"), fault("b"), fault("c")];
    for (const one of [a, b, c]) await desk.inject(one);
    await desk.heal(b);
    await desk.healAll();
    expect(done.slice(3)).toEqual(["heal b", "heal c", "heal a"]);
    expect(desk.evidence.map(evidence => evidence.fault)).toEqual(["a", "b", "c"]);
  });

  test("heals what was only half injected, and it shows that the injection did not end", async () => {
    const { desk, told, fault } = setUp();
    const half = fault("half", { inject: () => Promise.reject(new Error("one rule of two")) });
    await expect(desk.inject(half)).rejects.toThrow("one rule of two");
    await desk.healAll();
    expect(told()).toEqual(["inject half begin", "heal half begin", "heal half end: mended", "evidence half bit true"]);
  });

  test("tries every fault although some do not heal, then passes the first error on", async () => {
    const { desk, told, done, fault } = setUp();
    let broken = true;
    const stuck = fault("stuck", {
      heal: () => (broken ? Promise.reject(new Error("Docker is gone")) : Promise.resolve("mended")),
    });
    await desk.inject(fault("a"));
    await desk.inject(stuck);
    await desk.inject(fault("worse", { heal: () => Promise.reject(new Error("the first error")) }));
    await expect(desk.healAll()).rejects.toThrow("the first error");
    expect(done.slice(3)).toEqual(["heal worse", "heal stuck", "heal a"]);
    expect(told()).toContain("note: healing stuck failed: Error: Docker is gone");
    expect(desk.evidence.map(evidence => evidence.fault)).toEqual(["a"]);
    // What did not heal can be tried again.
    broken = false;
    await desk.heal(stuck);
    expect(desk.evidence.map(evidence => evidence.fault)).toEqual(["a", "stuck"]);
  });

  test("passes on an error of the evidence, and claims none", async () => {
    const { desk, fault } = setUp();
    const drop = fault("drop", { evidence: () => Promise.reject(new Error("no counters")) });
    await desk.inject(drop);
    await expect(desk.heal(drop)).rejects.toThrow("no counters");
    expect(desk.evidence).toEqual([]);
  });
});
