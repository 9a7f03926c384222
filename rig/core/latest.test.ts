import { describe, expect, test } from "vitest";
import { latest } from "./latest.ts";

const settle = () => new Promise(setImmediate);

/** Work whose every time ends when the test says so. */
const setUp = (everyMs: number) => {
  const times: PromiseWithResolvers<undefined>[] = [];
  let going = 0;
  let most = 0;
  const work = async () => {
    const time = Promise.withResolvers<undefined>();
    times.push(time);
    most = Math.max(most, ++going);
    try {
      await time.promise;
    } finally {
      going--;
    }
  };
  return { keep: latest(work, everyMs), times, most: () => most };
};

/** So long that no test sees the end of it. */
const LONG_MS = 3_600_000;

describe("work that only its last time matters for", () => {
  test("is begun at once, and not twice at once: what is asked meanwhile is one more time", async () => {
    const { keep, times, most } = setUp(0);
    keep.soon();
    expect(times).toHaveLength(1);
    keep.soon();
    keep.soon();
    await settle();
    expect(times).toHaveLength(1);
    times[0]?.resolve(undefined);
    await expect.poll(() => times.length).toBe(2);
    times[1]?.resolve(undefined);
    await keep.done();
    expect([times.length, most()]).toEqual([2, 1]);
  });

  test("is begun again where it was at rest", async () => {
    const { keep, times } = setUp(0);
    for (const count of [1, 2]) {
      keep.soon();
      expect(times).toHaveLength(count);
      times.at(-1)?.resolve(undefined);
      await keep.done();
    }
  });

  test("waits a while between two times, unless somebody waits for it to be done", async () => {
    const { keep, times } = setUp(LONG_MS);
    keep.soon();
    times[0]?.resolve(undefined);
    await settle();
    keep.soon();
    await settle();
    expect(times).toHaveLength(1);
    const done = keep.done();
    await expect.poll(() => times.length).toBe(2);
    times[1]?.resolve(undefined);
    await done;
  });

  test("is done when everything asked for is", async () => {
    const { keep, times } = setUp(LONG_MS);
    await keep.done();
    keep.soon();
    keep.soon();
    let over = false;
    const done = keep.done().then(() => {
      over = true;
    });
    times[0]?.resolve(undefined);
    await expect.poll(() => times.length).toBe(2);
    expect(over).toBe(false);
    times[1]?.resolve(undefined);
    await done;
  });

  test("that fails is not tried again, and whoever waits for it is told the first error", async () => {
    const { keep, times } = setUp(0);
    keep.soon();
    times[0]?.reject(new Error("the disk is full"));
    await settle();
    keep.soon();
    await expect(keep.done()).rejects.toThrow("the disk is full");
    keep.soon();
    await expect(keep.done()).rejects.toThrow("the disk is full");
    expect(times).toHaveLength(1);
  });
});
