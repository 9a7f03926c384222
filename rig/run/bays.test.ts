import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Log, silentLog } from "../core/log.ts";
import type { Bay, BayRequest } from "../lab/bay.ts";
import { Bays } from "./bays.ts";

const opened = vi.hoisted(() => ({
  open: (request: unknown): Promise<unknown> => Promise.reject(new Error(`unset: ${String(request)}`)),
}));
vi.mock("../lab/bay.ts", () => ({ openBay: (request: BayRequest) => opened.open(request) }));

interface FakeBay {
  readonly name: string;
  isKept: boolean;
  change: string | undefined;
  close: () => Promise<void>;
}

const setUp = () => {
  const told: string[] = [];
  const made: FakeBay[] = [];
  const log: Log = { ...silentLog, say: (text, tone = "plain") => void told.push(`${tone}: ${text}`) };
  const request = { onCleanupFailure: (what: string) => void told.push(`clean-up: ${what}`) } as BayRequest;
  opened.open = asked => {
    expect(asked).toBe(request);
    const bay = {
      name: `bay ${made.length + 1}`,
      isKept: false,
      change: undefined as string | undefined,
      changed: () => {
        told.push(`${bay.name} is looked at`);
        return Promise.resolve(bay.change);
      },
      close: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => {
        told.push(`${bay.name} is closed`);
        return bay.close();
      },
    };
    made.push(bay);
    return Promise.resolve(bay);
  };
  return { bays: new Bays(request, log), told, made };
};

/** Takes a bay; the test sees what is behind it. */
const take = async (bays: Bays): Promise<Bay & FakeBay> => (await bays.take()) as Bay & FakeBay;

beforeEach(() => {
  opened.open = () => Promise.reject(new Error("unset"));
});

describe("a bay", () => {
  test("that is as it was made is used again, and another opened only for a lab beside it", async () => {
    const { bays, made } = setUp();
    const first = await take(bays);
    const second = await take(bays);
    expect([first.name, second.name]).toEqual(["bay 1", "bay 2"]);
    await bays.give(first);
    expect((await take(bays)).name).toBe("bay 1");
    await bays.give(second);
    expect((await take(bays)).name).toBe("bay 2");
    expect(made).toHaveLength(2);
  });

  test("that is not as it was is closed, which is said, and not used again", async () => {
    const { bays, told } = setUp();
    const bay = await take(bays);
    bay.change = "a rule too many";
    await bays.give(bay);
    expect(told).toEqual([
      "bay 1 is looked at",
      "warn: A lab's containers are not used again: a rule too many",
      "bay 1 is closed",
    ]);
    expect((await take(bays)).name).toBe("bay 2");
  });

  test("with a lab that is kept is left alone", async () => {
    const { bays, told } = setUp();
    const bay = await take(bays);
    bay.isKept = true;
    await bays.give(bay);
    expect((await take(bays)).name).toBe("bay 2");
    await bays[Symbol.asyncDispose]();
    expect(told).toEqual([]);
  });

  test("that cannot be opened is an error of whoever asked, and of nobody after", async () => {
    const { bays } = setUp();
    const honest = opened.open;
    opened.open = () => Promise.reject(new Error("no such image"));
    await expect(bays.take()).rejects.toThrow("no such image");
    opened.open = honest;
    expect((await take(bays)).name).toBe("bay 1");
  });
});

describe("at the end of a run", () => {
  test("idle bays are closed, once each", async () => {
    const { bays, told } = setUp();
    const both = [await take(bays), await take(bays)];
    for (const bay of both) await bays.give(bay);
    await bays[Symbol.asyncDispose]();
    await bays[Symbol.asyncDispose]();
    expect(told.filter(line => line.includes("closed"))).toEqual(["bay 1 is closed", "bay 2 is closed"]);
  });

  test("bays that are being closed already are waited for; a cell that gives one back does not wait", async () => {
    const { bays } = setUp();
    const bay = await take(bays);
    const gone = Promise.withResolvers<undefined>();
    bay.change = "a rule too many";
    bay.close = () => gone.promise;
    await bays.give(bay);
    let over = false;
    const end = Promise.resolve(bays[Symbol.asyncDispose]()).then(() => {
      over = true;
    });
    await new Promise(setImmediate);
    expect(over).toBe(false);
    gone.resolve(undefined);
    await end;
  });

  test("a bay that cannot be closed is told, and the others are closed all the same", async () => {
    const { bays, told } = setUp();
    const [first, second] = [await take(bays), await take(bays)];
    first.close = () => Promise.reject(new Error("Docker is gone"));
    for (const bay of [first, second]) await bays.give(bay);
    await bays[Symbol.asyncDispose]();
    expect(told).toContain("bay 2 is closed");
    expect(told.at(-1)).toBe("clean-up: Docker is gone");
  });
});
