import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import { expect, test } from "vitest";
import { monotonicMs, sleep } from "./clock.ts";
import { acquireLock } from "./lock.ts";

const holder = async (key: string): Promise<ChildProcess> => {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "testdata/hold-lock.ts"), key], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
};

test("the second waits until the first lets go", async () => {
  const key = randomUUID();
  const order: string[] = [];
  const first = await acquireLock(key);
  const second = (async () => {
    await using _lock = await acquireLock(key, { onWait: () => order.push("waiting") });
    order.push("second");
  })();
  await sleep(100);
  order.push("first done");
  await first[Symbol.asyncDispose]();
  await second;
  expect(order).toEqual(["waiting", "first done", "second"]);
});

test("of many, one at a time has it", async () => {
  const key = randomUUID();
  let inside = 0;
  let most = 0;
  const work = async () => {
    await using _lock = await acquireLock(key);
    most = Math.max(most, ++inside);
    await sleep(5);
    inside--;
  };
  await Promise.all(Array.from({ length: 8 }, work));
  expect(most).toBe(1);
});

test("locks of other names do not wait", async () => {
  await using _one = await acquireLock(randomUUID());
  await using _other = await acquireLock(randomUUID(), { onWait: () => expect.unreachable() });
});

test("the lock of a process that was killed is free at once", async () => {
  const key = randomUUID();
  const child = await holder(key);
  let waited = 0;
  const mine = acquireLock(key, { onWait: () => waited++ });
  await sleep(200);
  expect(waited).toBe(1);
  const killed = monotonicMs();
  child.kill("SIGKILL");
  await using _lock = await mine;
  expect(monotonicMs() - killed).toBeLessThan(5000);
});

test("whoever waits can give up, and then does not get it", async () => {
  const key = randomUUID();
  const first = await acquireLock(key);
  const controller = new AbortController();
  const second = acquireLock(key, { signal: controller.signal, onWait: () => controller.abort(new Error("enough")) });
  await expect(second).rejects.toThrow("enough");
  await expect(acquireLock(key, { signal: controller.signal })).rejects.toThrow("enough");
  await first[Symbol.asyncDispose]();
  await using _third = await acquireLock(key, { onWait: () => expect.unreachable() });
});

test("a process that gave up waiting can end", async () => {
  const key = randomUUID();
  await using _lock = await acquireLock(key);
  const program = `
    import { acquireLock } from ${JSON.stringify(path.join(import.meta.dirname, "lock.ts"))};
    await acquireLock(${JSON.stringify(key)}, { signal: AbortSignal.timeout(100) }).catch(() => console.log("gave up"));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: 10_000,
  });
  const [status] = (await once(child, "exit")) as [number | null];
  expect(status).toBe(0);
});
