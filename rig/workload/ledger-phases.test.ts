/** The planned phases of the ledger, on disks that keep their promises, that fail, that vanish and that lie. */
import { truncate, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { poll, sleep } from "../core/clock.ts";
import type { HistoryEvent } from "../history/event.ts";
import type { Generation, LedgerShape } from "./ledger.ts";
import type { OperationMix } from "./operation-plan.ts";
import { classesOf, type LedgerBench, startLedger } from "./testdata/ledger-bench.ts";
import { ALL_FLAGS, type Behaviour, honest, type NbdRequest } from "./testdata/nbd-server.ts";

const MIX: OperationMix = {
  blockBytes: [512, 1024, 4096, 16_384],
  alignBytes: 512,
  near: 50,
  reads: 25,
  flushes: 5,
  discards: 5,
  zeroes: 5,
  fua: 10,
};
const MIXED: LedgerShape = { slots: 16, slotBytes: 4096, depth: 16, mix: MIX };
const WRITES: LedgerShape = { ...MIXED, mix: { ...MIX, reads: 0, flushes: 0, discards: 0, zeroes: 0 } };

const until = (holds: () => boolean, expected: string): Promise<true> =>
  poll(() => Promise.resolve(holds() ? (true as const) : undefined), { everyMs: 1, withinMs: 5000, expected });

const isChange = ({ command }: NbdRequest): boolean => ["write", "trim", "zeroes"].includes(command);

/** Something else than honest from the nth change on. */
const fromNth = (nth: number, then: Behaviour): Behaviour => {
  let seen = 0;
  return (request, server, socket) => {
    if (isChange(request) && ++seen >= nth) then(request, server, socket);
    else honest(request, server, socket);
  };
};

const invoked = (events: readonly HistoryEvent[]): readonly unknown[] =>
  events.flatMap(event => {
    if (event.kind !== "invoke" || event.via === "backing") return [];
    const { action, sector, sectors, fua = false, device = 0 } = event;
    return [[action, sector, sectors, fua, device]];
  });

const PHASES: Readonly<Record<string, (bench: LedgerBench) => Generation>> = {
  rewrite: ({ ledger }) => ledger.rewrite(),
  fill: ({ ledger }) => ledger.fill(),
  steady: ({ ledger }) => ledger.steady(),
  burst: ({ ledger }) => ledger.burst(40),
};
const EACH = Object.entries(PHASES);

describe("on an honest disk", () => {
  test("all phases after one another, over several connections and devices, are not blamed", async () => {
    const bench = await startLedger(honest, MIXED, { connections: 2, devices: 2 });
    const { ledger } = bench;
    await ledger.fill().acknowledged(5000);
    const stream = ledger.steady();
    await until(() => stream.issued > 200, "a steady load");
    expect(ledger.inFlight).toBe(32);
    const burst = ledger.burst(100);
    expect(burst.inFlight).toBe(200);
    await ledger.supersede().acknowledged(5000);
    await burst.acknowledged(5000);
    await ledger.quiesce(5000);
    expect([ledger.inFlight, stream.inFlight]).toEqual([0, 0]);
    await ledger.rewrite().acknowledged(5000);
    expect(await bench.verdict()).toEqual({ findings: [] });
    const seen = new Set(bench.events.flatMap(event => (event.kind === "invoke" ? [event.action] : [])));
    expect(seen).toEqual(new Set(["write", "read", "flush", "discard", "zeroes"]));
  });

  test("the same seed gives the same operations, and another seed others", async () => {
    const run = async (seed: number) => {
      const bench = await startLedger(honest, MIXED, { seed });
      await bench.ledger.fill().acknowledged(5000);
      await bench.ledger.burst(100).acknowledged(5000);
      return invoked(bench.events);
    };
    const [first, again, other] = [await run(1), await run(1), await run(2)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  test("a fill writes every sector", async () => {
    const bench = await startLedger(honest, { ...WRITES, depth: 3 });
    await bench.ledger.fill().acknowledged(5000);
    const written = new Set<number>();
    for (const event of bench.events)
      if (event.kind === "invoke") for (let i = 0; i < event.sectors; i++) written.add(event.sector + i);
    expect(written.size).toBe((16 * 4096) / 512);
  });

  test("a steady load ends when everything is read back, and what was read is no longer so after a write", async () => {
    const bench = await startLedger(honest, MIXED);
    const stream = bench.ledger.steady();
    await until(() => stream.issued > 20, "a steady load");
    stream.stop();
    await bench.ledger.quiesce(5000);
    await writeFile(bench.backing, bench.server.disk);
    await bench.ledger.readBack(5000);
    expect([bench.ledger.isReadBack, bench.ledger.inFlight]).toEqual([true, 0]);
    await bench.ledger.burst(5).acknowledged(5000);
    expect(bench.ledger.isReadBack).toBe(false);
  });

  test("a rewrite shares a disk's slots between the devices that lead to it", async () => {
    const bench = await startLedger(honest, WRITES, { devices: 2 });
    await bench.ledger.rewrite().acknowledged(5000);
    const devices = bench.events.flatMap(event => (event.kind === "invoke" ? [event.device ?? 0] : []));
    expect([devices.length, devices.filter(id => id === 1).length]).toEqual([16, 8]);
  });
});

describe("supersede", () => {
  test("writes over what is under way, failed or unanswered, and over nothing else", async () => {
    const held: [NbdRequest, Socket][] = [];
    let mode: "honest" | "hold" | "fail" = "honest";
    const bench = await startLedger((request, server, socket) => {
      if (mode === "hold" && isChange(request)) held.push([request, socket]);
      else if (mode === "fail" && isChange(request)) server.reply(socket, request, 5);
      else honest(request, server, socket);
    }, WRITES);
    await bench.ledger.fill().acknowledged(5000);
    mode = "fail";
    await bench.ledger.burst(3).answered(5000);
    mode = "hold";
    const burst = bench.ledger.burst(4);
    await until(() => held.length === 4, "four held writes");
    mode = "honest";
    const from = bench.events.length;
    const doubtful = new Set(
      bench.events
        .filter(event => event.kind === "invoke" && event.label?.startsWith("burst") === true)
        .flatMap(event =>
          event.kind === "invoke" ? Array.from({ length: event.sectors }, (_, i) => event.sector + i) : [],
        ),
    );
    await bench.ledger.supersede().acknowledged(5000);
    const covered = bench.events
      .slice(from)
      .flatMap(event =>
        event.kind === "invoke" ? Array.from({ length: event.sectors }, (_, i) => event.sector + i) : [],
      );
    expect(new Set(covered)).toEqual(doubtful);
    expect(covered.length).toBe(doubtful.size);
    // The held writes may still land: nobody was told that they were done.
    for (const [request, socket] of held) bench.server.reply(socket, request, 5);
    expect((await burst.answered(5000)).failed).toBe(4);
    expect(await bench.verdict()).toEqual({ findings: [] });
    // What failed since is superseded by the next one; then there is nothing left.
    await bench.ledger.supersede().acknowledged(5000);
    const none = bench.ledger.supersede();
    await none.acknowledged(5000);
    expect(none.inFlight).toBe(0);
  });

  test("makes an older write that lands afterwards stale", async () => {
    const held: NbdRequest[] = [];
    let hold = false;
    const bench = await startLedger((request, server, socket) => {
      if (hold && isChange(request)) {
        held.push(request);
        server.reply(socket, request, 5);
      } else honest(request, server, socket);
    }, WRITES);
    await bench.ledger.fill().acknowledged(5000);
    hold = true;
    await bench.ledger.burst(4).answered(5000);
    hold = false;
    await bench.ledger.supersede().acknowledged(5000);
    for (const request of held) bench.server.perform(request);
    expect(classesOf(await bench.verdict())).toEqual(["stale"]);
  });
});

describe.each(EACH)("in the phase %s", (_phase, begin) => {
  test("errors are told apart from answers, and nobody is blamed", async () => {
    let changes = 0;
    const bench = await startLedger((request, server, socket) => {
      if (!isChange(request) || ++changes % 3 !== 0) honest(request, server, socket);
      else {
        // Half of what is refused is done all the same.
        if (changes % 2 === 0) server.perform(request);
        server.reply(socket, request, 28);
      }
    }, MIXED);
    const generation = begin(bench);
    await until(() => bench.ledger.counts.failed >= 3, "errors");
    await bench.ledger.quiesce(5000);
    const outcome = await generation.answered(5000);
    expect([outcome.failed > 0, outcome.ok > 0, outcome.unanswered]).toEqual([true, true, 0]);
    await expect(generation.acknowledged(5000)).rejects.toThrow("ENOSPC");
    expect(await bench.verdict()).toEqual({ findings: [] });
  });

  test("a disconnection leaves what was under way unanswered, and ends it", async () => {
    const bench = await startLedger(
      fromNth(6, (_request, server) => server.die()),
      MIXED,
      { connections: 2 },
    );
    const generation = begin(bench);
    const { ok, failed, unanswered } = await generation.answered(5000);
    expect([ok > 0, failed, unanswered > 0]).toEqual([true, 0, true]);
    await bench.ledger.quiesce(5000);
    expect(bench.ledger.inFlight).toBe(0);
    const ends = bench.events.filter(({ kind }) => kind === "ok" || kind === "fail").length;
    expect(bench.events.filter(({ kind }) => kind === "invoke").length - ends).toBe(unanswered);
    expect(bench.events.filter(({ kind }) => kind === "disconnect")).toHaveLength(1);
  });

  test("silence is given up in time, and told as waiting", async () => {
    const bench = await startLedger(
      fromNth(3, () => undefined),
      WRITES,
    );
    const generation = begin(bench);
    await until(() => bench.ledger.counts.ok >= 2, "two answers");
    await sleep(20);
    await expect(generation.answered(30)).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      context: { unanswered: true },
      message: expect.stringContaining("still wait") as string,
    });
  });
});

describe("a lying disk is found out by the mix when it", () => {
  /** A fill, operations of the mix, and a rewrite in which the disk lies about every write. */
  const lyingAtLast = async (lie: Behaviour): Promise<readonly string[]> => {
    let lying = false;
    const bench = await startLedger((request, server, socket) => {
      if (lying && request.command === "write") lie(request, server, socket);
      else honest(request, server, socket);
    }, MIXED);
    await bench.ledger.fill().acknowledged(5000);
    await bench.ledger.burst(60).acknowledged(5000);
    lying = true;
    await bench.ledger.rewrite().acknowledged(5000);
    return classesOf(await bench.verdict());
  };

  const nthOf = (command: NbdRequest["command"], nth: number, lie: Behaviour): Behaviour => {
    let seen = 0;
    return (request, server, socket) => {
      if (request.command === command && ++seen === nth) lie(request, server, socket);
      else honest(request, server, socket);
    };
  };

  test("flips a bit of what it reads", async () => {
    let reads = 0;
    const bench = await startLedger((request, server, socket) => {
      const flip = () => {
        server.disk[request.offset + 100] = (server.disk[request.offset + 100] ?? 0) ^ 4;
      };
      const lies = request.command === "read" && ++reads === 5;
      if (lies) flip();
      honest(request, server, socket);
      if (lies) flip();
    }, MIXED);
    await bench.ledger.fill().acknowledged(5000);
    await bench.ledger.burst(60).acknowledged(5000);
    expect(classesOf(await bench.verdict())).toHaveLength(1);
  });

  test("does not write the zeroes that it acknowledges", async () => {
    const bench = await startLedger(
      nthOf("zeroes", 1, (request, server, socket) => server.reply(socket, request)),
      { ...WRITES, mix: { ...WRITES.mix, zeroes: 90 } as OperationMix },
    );
    await bench.ledger.fill().acknowledged(5000);
    await bench.ledger.burst(1).acknowledged(5000);
    expect(bench.server.requests.at(-1)?.command).toBe("zeroes");
    expect(classesOf(await bench.verdict())).toEqual(["lost"]);
  });

  test("puts what it is given in another place", async () => {
    const elsewhere: Behaviour = (request, server, socket) => {
      request.data.copy(server.disk, (request.offset + 8192) % server.disk.length);
      server.reply(socket, request);
    };
    expect(await lyingAtLast(elsewhere)).toContain("misdirected");
  });

  test("drops what it is given", async () => {
    expect(await lyingAtLast((request, server, socket) => server.reply(socket, request))).not.toEqual([]);
  });

  test("does two writes to one place in the other order than it was answered", async () => {
    let first: NbdRequest | undefined;
    const bench = await startLedger((request, server, socket) => {
      if (request.command !== "write" || request.offset !== 0) {
        honest(request, server, socket);
        return;
      }
      server.reply(socket, request);
      if (first === undefined) first = request;
      else {
        server.perform(request);
        server.perform(first);
      }
    });
    await bench.ledger.rewrite().acknowledged(5000);
    await bench.ledger.rewrite().acknowledged(5000);
    expect(classesOf(await bench.verdict())).toHaveLength(1);
  });
});

describe("what cannot be is told before or at once:", () => {
  test("an image that is shorter than its LUN carries no verdict", async () => {
    const bench = await startLedger(honest, WRITES, { sizeBytes: 2 ** 20 });
    await bench.ledger.rewrite().acknowledged(5000);
    await writeFile(bench.backing, bench.server.disk);
    await truncate(bench.backing, 2 ** 20 - 512);
    await expect(bench.ledger.readBack(5000)).rejects.toMatchObject({
      code: "RIG_NBD",
      message: expect.stringContaining("it has 1048064 bytes, but its LUN has 1048576") as string,
    });
    expect(bench.events.at(-1)).toMatchObject({ kind: "fail" });
    expect(bench.ledger.isReadBack).toBe(false);
  });

  test.each<[string, number, Partial<OperationMix>]>([
    ["is to discard", ALL_FLAGS & ~(1 << 5), { discards: 1 }],
    ["is to write zeroes", ALL_FLAGS & ~(1 << 6), { zeroes: 1 }],
    ["is to write with FUA", ALL_FLAGS & ~(1 << 3), { fua: 1 }],
    ["is to flush", ALL_FLAGS & ~(1 << 2) & ~(1 << 8), { flushes: 1 }],
    ["is read-only", ALL_FLAGS | 2, {}],
  ])("the device %s (flags %i)", async (words, flags, wish) => {
    const mix: OperationMix = { ...MIX, flushes: 0, discards: 0, zeroes: 0, fua: 0, ...wish };
    await expect(startLedger(honest, { ...MIXED, mix }, { flags })).rejects.toMatchObject({
      code: "RIG_BAD_SCENARIO",
      message: expect.stringContaining(words) as string,
    });
  });
});
