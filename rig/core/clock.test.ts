import { describe, expect, test } from "vitest";
import { deadline, monotonicMs, monotonicNs, orAbort, poll, sleep, wallClock } from "./clock.ts";

const never = new Promise<never>(() => undefined);

test("clocks go forward", async () => {
  const [ns, ms] = [monotonicNs(), monotonicMs()];
  await sleep(5);
  expect(monotonicNs()).toBeGreaterThan(ns);
  expect(monotonicMs()).toBeGreaterThan(ms);
  expect(wallClock().getFullYear()).toBeGreaterThan(2000);
});

describe("sleep", () => {
  test("ends early with the signal's reason", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const sleeping = sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    await expect(sleep(0, controller.signal)).rejects.toBe(reason);
  });

  test("of less than nothing is none", async () => {
    await sleep(-5);
  });
});

describe("a deadline", () => {
  test("aborts in time and says what was expected", async () => {
    using limit = deadline(20, "the moon to rise");
    expect(limit.aborted).toBe(false);
    await expect(sleep(60_000, limit)).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      message: "Expected the moon to rise within 20 ms; it did not happen.",
    });
  });

  test("passes on an outer signal's reason, also one that came before", () => {
    const outer = new AbortController();
    using limit = deadline(60_000, "nothing", outer.signal);
    const reason = new Error("the user said stop");
    outer.abort(reason);
    expect(limit.reason).toBe(reason);
    using late = deadline(60_000, "nothing", outer.signal);
    expect(late.reason).toBe(reason);
  });

  test("that is disposed of never comes", async () => {
    const outer = new AbortController();
    const limit = deadline(10, "nothing", outer.signal);
    limit[Symbol.dispose]();
    await sleep(30);
    outer.abort();
    expect(limit.aborted).toBe(false);
  });
});

describe("orAbort", () => {
  test("gives the promise's value or error", async () => {
    const { signal } = new AbortController();
    expect(await orAbort(Promise.resolve(1), signal)).toBe(1);
    await expect(orAbort(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
  });

  test("gives up when the signal aborts, whenever it did", async () => {
    const controller = new AbortController();
    const waiting = orAbort(never, controller.signal);
    controller.abort("a word");
    await expect(waiting).rejects.toThrow("a word");
    await expect(orAbort(never, controller.signal)).rejects.toThrow("a word");
  });

  test("swallows what the promise says afterwards", async () => {
    const late = Promise.withResolvers<never>();
    await expect(orAbort(late.promise, AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
    late.reject(new Error("nobody hears this"));
    await sleep(1);
  });

  test("leaves no listener behind, however often a signal is used", async () => {
    const { signal } = new AbortController();
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    await Promise.all(Array.from({ length: 100 }, () => orAbort(Promise.resolve(), signal)));
    for (let i = 0; i < 100; i++) deadline(60_000, "nothing", signal)[Symbol.dispose]();
    await sleep(1);
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });
});

describe("poll", () => {
  const options = { everyMs: 1, withinMs: 60_000, expected: "an answer" };

  test("asks until there is an answer", async () => {
    let asked = 0;
    expect(await poll(() => Promise.resolve(++asked === 3 ? asked : undefined), options)).toBe(3);
    expect(asked).toBe(3);
  });

  test("takes false, null and 0 for answers", async () => {
    for (const answer of [false, null, 0]) expect(await poll(() => Promise.resolve(answer), options)).toBe(answer);
  });

  test("gives up at its deadline, also while a question hangs", async () => {
    const short = { ...options, withinMs: 20 };
    await expect(poll(() => Promise.resolve(undefined), short)).rejects.toMatchObject({ code: "RIG_DEADLINE" });
    await expect(poll(() => never, short)).rejects.toMatchObject({ code: "RIG_DEADLINE" });
  });

  test("passes on what the question throws, and the caller's signal", async () => {
    await expect(poll(() => Promise.reject(new Error("wrong key")), options)).rejects.toThrow("wrong key");
    const signal = AbortSignal.abort(new Error("stop"));
    await expect(poll(() => expect.unreachable(), { ...options, signal })).rejects.toThrow("stop");
  });
});
