import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { sleep } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { isUnanswered } from "./ledger.ts";
import { classesOf, type LedgerBench, startLedger } from "./testdata/ledger-bench.ts";
import { type Behaviour, honest, type NbdRequest } from "./testdata/nbd-server.ts";

/** Two generations, both acknowledged. */
const writeTwice = async ({ ledger }: LedgerBench): Promise<void> => {
  await ledger.rewrite().acknowledged(5000);
  await ledger.rewrite().acknowledged(5000);
};

/** Lies about the writes to one slot from its nth write on; everything else is honest. */
const lyingAt = (slot: number, nth: number, lie: Behaviour): Behaviour => {
  let seen = 0;
  return (request, server, socket) => {
    if (request.command === "write" && request.offset === slot * 4096 && ++seen === nth) lie(request, server, socket);
    else honest(request, server, socket);
  };
};

describe("an honest disk", () => {
  test("is not blamed for anything", async () => {
    const bench = await startLedger();
    await writeTwice(bench);
    expect(await bench.verdict()).toEqual({ findings: [] });
    expect(bench.ledger.counts).toEqual({ invoked: 16 + 2, ok: 16 + 2, failed: 0 });
  });

  test("may answer in any order, while generations overlap", async () => {
    const late: [NbdRequest, Socket][] = [];
    const bench = await startLedger((request, server, socket) => {
      if (request.command === "write") {
        server.perform(request);
        late.unshift([request, socket]);
        if (late.length === 4) for (const [one, to] of late.splice(0)) server.reply(to, one);
      } else honest(request, server, socket);
    });
    const [first, second] = [bench.ledger.rewrite(), bench.ledger.rewrite()];
    expect([first.inFlight, first.label, second.label]).toEqual([8, "generation 0", "generation 1"]);
    await Promise.all([first.acknowledged(5000), second.acknowledged(5000)]);
    expect([first.inFlight, second.inFlight]).toEqual([0, 0]);
    expect((await bench.verdict()).findings).toEqual([]);
  });

  test("may refuse a write and leave the old data, or do it and say no", async () => {
    let writes = 0;
    const bench = await startLedger((request, server, socket) => {
      if (request.command !== "write" || ++writes <= 8) {
        honest(request, server, socket);
        return;
      }
      if (writes % 2 === 0) server.perform(request);
      server.reply(socket, request, 5);
    });
    await bench.ledger.rewrite().acknowledged(5000);
    const refused = bench.ledger.rewrite();
    expect(await refused.answered(5000)).toEqual({ ok: 0, failed: 8, unanswered: 0 });
    await expect(refused.acknowledged(5000)).rejects.toMatchObject({
      code: "RIG_NBD",
      message: "Expected every write of generation 1 to be acknowledged: 0 were, 8 failed, 0 got no answer (EIO).",
    });
    expect((await bench.verdict()).findings).toEqual([]);
    expect(bench.ledger.counts.failed).toBe(8);
  });

  test("with a larger device than one read is read back whole", async () => {
    const bench = await startLedger(honest, { slots: 65_536 / 512, slotBytes: 512 });
    await bench.ledger.rewrite().acknowledged(5000);
    expect(await bench.verdict()).toEqual({ findings: [] });
  });
});

describe("a lying disk is found out when it", () => {
  test("acknowledges a write and drops it: lost, whether older data or nothing stands there", async () => {
    const drops: Behaviour = (request, server, socket) => server.reply(socket, request);
    const never = await startLedger(lyingAt(3, 1, drops));
    await never.ledger.rewrite().acknowledged(5000);
    expect(classesOf(await never.verdict())).toEqual(["lost"]);
    const older = await startLedger(lyingAt(3, 2, drops));
    await writeTwice(older);
    const verdict = await older.verdict();
    expect(classesOf(verdict)).toEqual(["lost"]);
    expect(verdict.findings[0]?.extents?.[0]).toMatchObject({ sector: 24, sectors: 8 });
  });

  test("puts a write in another place: misdirected", async () => {
    const bench = await startLedger(
      lyingAt(5, 2, (request, server, socket) => {
        request.data.copy(server.disk, 2 * 4096);
        server.reply(socket, request);
      }),
    );
    await writeTwice(bench);
    expect(classesOf(await bench.verdict())).toContain("misdirected");
  });

  test("writes only its first sectors: the others are lost", async () => {
    const bench = await startLedger(
      lyingAt(4, 2, (request, server, socket) => {
        request.data.copy(server.disk, request.offset, 0, 2048);
        server.reply(socket, request);
      }),
    );
    await writeTwice(bench);
    const verdict = await bench.verdict();
    expect(classesOf(verdict)).toEqual(["lost"]);
    expect(verdict.findings[0]?.extents?.[0]).toMatchObject({ sector: 36, sectors: 4 });
  });

  test("writes half of a sector: torn", async () => {
    const bench = await startLedger(
      lyingAt(4, 2, (request, server, socket) => {
        request.data.copy(server.disk, request.offset, 0, 2048 + 256);
        server.reply(socket, request);
      }),
    );
    await writeTwice(bench);
    expect(classesOf(await bench.verdict())).toContain("torn");
  });

  test("does an old write again after newer data was there: stale; where nobody had seen that, lost", async () => {
    let old: NbdRequest | undefined;
    const bench = await startLedger((request, server, socket) => {
      if (request.command === "write" && request.offset === 4096) old ??= request;
      honest(request, server, socket);
    });
    await writeTwice(bench);
    await bench.ledger.readInitiator(5000);
    if (old !== undefined) bench.server.perform(old);
    const verdict = await bench.verdict();
    expect(classesOf(verdict)).toEqual(["stale"]);
    // Seen through the initiator and on the disk behind it.
    expect(verdict.findings[0]?.extents?.map(({ sector, sectors, via }) => ({ sector, sectors, via }))).toEqual([
      { sector: 8, sectors: 8, via: "initiator" },
      { sector: 8, sectors: 8, via: "backing" },
    ]);
  });

  test("flips a bit, or holds what nobody wrote", async () => {
    const bench = await startLedger();
    await writeTwice(bench);
    bench.server.disk[100] = (bench.server.disk[100] ?? 0) ^ 1;
    bench.server.disk.fill(0x55, 8192, 8704);
    const verdict = await bench.verdict();
    expect(classesOf(verdict)).toContain("foreign");
    expect(verdict.findings.flatMap(({ extents }) => extents ?? []).map(({ sector }) => sector)).toEqual(
      expect.arrayContaining([0, 16]),
    );
  });

  test("tells the initiator one thing and has another on the disk", async () => {
    const bench = await startLedger((request, server, socket) => {
      if (request.command === "read") server.reply(socket, { ...request, offset: 0 });
      else honest(request, server, socket);
    });
    const read = bench.ledger.rewrite();
    await read.acknowledged(5000);
    bench.server.disk.copy(bench.server.disk, 4096, 0, 4096);
    expect(classesOf(await bench.verdict())).toContain("misdirected");
  });

  test("cannot be read in the end: unreadable", async () => {
    const bench = await startLedger((request, server, socket) => {
      if (request.command === "read") server.reply(socket, request, 5);
      else honest(request, server, socket);
    });
    await writeTwice(bench);
    expect(classesOf(await bench.verdict())).toContain("unreadable");
  });
});

describe("a disk that does not answer", () => {
  const silentFrom =
    (nth: number): Behaviour =>
    (request, server, socket) => {
      if (server.requests.length < nth) honest(request, server, socket);
    };

  test("is given up in time, as something for the hang oracle to explain", async () => {
    const { ledger } = await startLedger(silentFrom(13));
    await ledger.rewrite().acknowledged(5000);
    const second = ledger.rewrite();
    const error: unknown = await second.acknowledged(50).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "RIG_DEADLINE",
      blame: "scenario",
      message: expect.stringMatching(
        /every write of generation 1 to be answered within 50 ms.* 4 of 8 still wait\.$/,
      ) as string,
    });
    expect(isUnanswered(error)).toBe(true);
    expect(second.inFlight).toBe(4);
    const reading: unknown = await ledger.readInitiator(30).catch((reason: unknown) => reason);
    expect(isUnanswered(reading)).toBe(true);
  });

  test("and dies leaves its operations unanswered, which the history shows", async () => {
    const bench = await startLedger(silentFrom(5));
    const generation = bench.ledger.rewrite();
    await sleep(20);
    bench.server.die();
    expect(await generation.answered(5000)).toEqual({ ok: 4, failed: 0, unanswered: 4 });
    await expect(generation.acknowledged(5000)).rejects.toThrow("4 were, 0 failed, 4 got no answer");
    expect(bench.events.filter(({ kind }) => kind === "ok")).toHaveLength(4);
    expect(bench.events.some(({ kind }) => kind === "fail")).toBe(false);
    expect(bench.events.at(-1)).toMatchObject({ kind: "disconnect" });
    expect(bench.ledger.counts).toEqual({ invoked: 8, ok: 4, failed: 0 });
  });

  test("is no reason to wait when the cell is over", async () => {
    const { ledger, abort } = await startLedger(() => undefined);
    const waiting = ledger.rewrite().acknowledged(60_000);
    const reading = ledger.readInitiator(60_000);
    abort.abort(new RigError("RIG_LAB_CONTAINER", "the node died"));
    for (const one of [waiting, reading]) await expect(one).rejects.toMatchObject({ code: "RIG_LAB_CONTAINER" });
  });
});

describe("the ledger", () => {
  test("refuses a device that is too small", async () => {
    await expect(startLedger(honest, { slots: 17, slotBytes: 4096 })).rejects.toMatchObject({
      code: "RIG_BAD_SCENARIO",
      message: "The ledger needs 69632 bytes; the device has 65536.",
    });
  });

  test("tells of a disk image that cannot be read, in the history too", async () => {
    const { ledger, events } = await startLedger();
    await expect(ledger.readBacking()).rejects.toMatchObject({ code: "RIG_NBD" });
    expect(events.at(-1)).toMatchObject({ kind: "fail", error: expect.stringContaining("ENOENT") as string });
  });

  test("takes other errors for what they are", () => {
    expect(isUnanswered(new RigError("RIG_DEADLINE", "x"))).toBe(false);
    expect(isUnanswered(new Error("x"))).toBe(false);
    expect(isUnanswered(undefined)).toBe(false);
  });
});
