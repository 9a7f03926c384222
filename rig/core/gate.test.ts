import { describe, expect, test } from "vitest";
import { Gate, type Lease } from "./gate.ts";

/** Lets every promise that can go on do so. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

/** Asks for a lease and notes when it came. */
const ask = (entered: string[], name: string, lease: Promise<Lease>) =>
  lease.then(given => {
    entered.push(name);
    return given;
  });

describe("a gate", () => {
  test("lets many in at once, but nobody beside one who is alone", async () => {
    const gate = new Gate();
    const entered: string[] = [];
    const [a, b] = await Promise.all([ask(entered, "a", gate.shared()), ask(entered, "b", gate.shared())]);
    const alone = ask(entered, "alone", gate.exclusive());
    const late = ask(entered, "late", gate.shared());
    await settle();
    expect(entered).toEqual(["a", "b"]);
    a.release();
    a.release();
    await settle();
    expect(entered).toEqual(["a", "b"]);
    b.release();
    const only = await alone;
    await settle();
    expect(entered).toEqual(["a", "b", "alone"]);
    only.release();
    (await late).release();
    expect(entered).toEqual(["a", "b", "alone", "late"]);
  });

  test("one who was alone may stay among others", async () => {
    const gate = new Gate();
    const entered: string[] = [];
    const first = await gate.exclusive();
    const waiting = ask(entered, "shared", gate.shared());
    first.share();
    first.share();
    (await waiting).release();
    const next = ask(entered, "alone", gate.exclusive());
    await settle();
    expect(entered).toEqual(["shared"]);
    first.release();
    (await next).release();
  });

  test("one who gave up waiting keeps nobody out", async () => {
    const gate = new Gate();
    const held = await gate.shared();
    const stop = new AbortController();
    const given = gate.exclusive(stop.signal);
    const behind = gate.shared();
    stop.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    (await behind).release();
    held.release();
    (await gate.exclusive()).release();
    await expect(gate.shared(stop.signal)).rejects.toThrow("enough");
  });
});
