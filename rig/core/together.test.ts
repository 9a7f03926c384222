import { expect, test } from "vitest";
import { sleep } from "./clock.ts";
import { together } from "./together.ts";

test("gives all results in the order of the works", async () => {
  expect(await together([sleep(5).then(() => 1), Promise.resolve(2)])).toEqual([1, 2]);
});

test("a failure stops the others, waits for them, and is passed on", async () => {
  const controller = new AbortController();
  let over = false;
  const slow = sleep(60_000, controller.signal).catch(async () => {
    await sleep(20);
    over = true;
    throw new Error("stopped");
  });
  await expect(together([slow, Promise.reject(new Error("first"))], error => controller.abort(error))).rejects.toThrow(
    "first",
  );
  expect(over).toBe(true);
});
