/** The final state, read through both ends: of large disks, of disks that answer no more, and beside writes. */
import { truncate, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { MAX_LINE_BYTES } from "../history/compact.ts";
import { Encoder } from "../history/encode.ts";
import type { HistoryEvent } from "../history/event.ts";
import { isUnanswered } from "./ledger.ts";
import { type LedgerBench, startLedger } from "./testdata/ledger-bench.ts";
import { honest } from "./testdata/nbd-server.ts";

const MIB = 2 ** 20;
/** Random bytes: no two sectors alike. */
const noise = (bytes: number): Buffer => {
  const made = Buffer.allocUnsafe(bytes);
  let x = 1;
  for (let at = 0; at < bytes; at += 4) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
    made.writeInt32LE(x, at);
  }
  return made;
};

const backingOps = (events: readonly HistoryEvent[]) =>
  events.flatMap(event => (event.kind === "invoke" && event.via === "backing" ? [event] : []));

const longestLine = (events: readonly HistoryEvent[]): number => {
  const encoder = new Encoder();
  return Math.max(
    ...events.flatMap(({ t, ...event }) =>
      encoder
        .encode(event, t)
        .split("\n")
        .map(line => line.length),
    ),
  );
};

describe("a disk image", () => {
  test("of many MiB, in which every sector is another's, still fits into the lines of a history", async () => {
    const bench = await startLedger(honest, { slots: 9, slotBytes: MIB / 2 }, { sizeBytes: 5 * MIB });
    await writeFile(bench.backing, noise(5 * MIB));
    await bench.ledger.readBacking();
    expect(backingOps(bench.events).map(({ sector, sectors }) => [sector, sectors])).toEqual([
      ...[0, 1, 2, 3].map(piece => [piece * 2048, 2048]),
      [4 * 2048, 1024],
    ]);
    expect(bench.events.filter(({ kind }) => kind === "ok")).toHaveLength(5);
    expect(longestLine(bench.events)).toBeLessThan(MAX_LINE_BYTES);
  });

  test("of many MiB is not blamed where it is right, and is where one sector is not", async () => {
    const bench = await startLedger(honest, { slots: 5, slotBytes: MIB / 2 }, { sizeBytes: 3 * MIB });
    await bench.ledger.rewrite().acknowledged(5000);
    expect(await bench.verdict()).toEqual({ findings: [] });
    bench.server.disk.fill(0, 4 * 512 + 2 * MIB, 5 * 512 + 2 * MIB);
    const { findings } = await bench.verdict();
    expect(findings[0]?.extents?.map(({ sector, sectors }) => [sector, sectors])).toContainEqual([4100, 1]);
  });

  test("may miss what was acknowledged after a volatile cache was emptied", async () => {
    let overtaken = false;
    const syncBacking = async () => {
      if (overtaken) return;
      overtaken = true;
      await writeFile(bench.backing, bench.server.disk);
      await bench.ledger.rewrite().acknowledged(5000);
    };
    const bench: LedgerBench = await startLedger(honest, { slots: 8, slotBytes: 4096 }, { syncBacking });
    await bench.ledger.rewrite().acknowledged(5000);
    await bench.ledger.readBacking();
    expect(overtaken).toBe(true);
    expect(await bench.verdict()).toEqual({ findings: [] });
  });

  test("that was cut in the meantime is not read at all", async () => {
    const syncBacking = async () => truncate(bench.backing, MIB);
    const bench: LedgerBench = await startLedger(
      honest,
      { slots: 4, slotBytes: MIB / 2 },
      { sizeBytes: 2 * MIB, syncBacking },
    );
    await writeFile(bench.backing, bench.server.disk);
    await expect(bench.ledger.readBacking()).rejects.toThrow("it has 1048576 bytes, but its LUN has 2097152");
    expect(bench.events.filter(({ kind }) => kind === "fail")).toHaveLength(2);
  });

  test("that cannot be read keeps nobody from reading the others, and the first error is told", async () => {
    const bench = await startLedger(honest, undefined, { devices: 3, luns: true });
    await writeFile(`${bench.backing}.1`, bench.server.disk);
    await expect(bench.ledger.readBacking()).rejects.toThrow(/backing\.img could not be read.*ENOENT/);
    const [first, second, third] = backingOps(bench.events);
    const endOf = (op = 0) =>
      bench.events.find(event => event.kind !== "invoke" && "op" in event && event.op === op)?.kind;
    expect([endOf(first?.op), endOf(second?.op), endOf(third?.op)]).toEqual(["fail", "ok", "fail"]);
  });
});

describe("a final read", () => {
  test("that got no answer is told, not that the image could not be read either", async () => {
    const bench = await startLedger((request, server, socket) => {
      if (request.command !== "read") honest(request, server, socket);
    });
    await bench.ledger.rewrite().acknowledged(5000);
    const error: unknown = await bench.ledger.readBack(50).catch((reason: unknown) => reason);
    expect(isUnanswered(error)).toBe(true);
    expect(backingOps(bench.events)).toHaveLength(1);
    expect(bench.ledger.isReadBack).toBe(false);
  });

  test("during which the server went away is the rig's fault, and is no read-back", async () => {
    const bench = await startLedger((request, server, socket) => {
      if (request.command === "read") server.die();
      else honest(request, server, socket);
    });
    await bench.ledger.rewrite().acknowledged(5000);
    await writeFile(bench.backing, bench.server.disk);
    await expect(bench.ledger.readBack(5000)).rejects.toMatchObject({
      code: "RIG_NBD",
      blame: "harness",
      message: expect.stringMatching(/^The connection to the rig's NBD server ended before .*disk0: /) as string,
    });
    expect(bench.ledger.isReadBack).toBe(false);
    // The image was read all the same.
    expect(bench.events.at(-1)).toMatchObject({ kind: "ok" });
  });

  test("that failed was answered: the state was read", async () => {
    const bench = await startLedger((request, server, socket) => {
      if (request.command === "read") server.reply(socket, request, 5);
      else honest(request, server, socket);
    });
    await bench.ledger.rewrite().acknowledged(5000);
    await writeFile(bench.backing, bench.server.disk);
    await bench.ledger.readBack(5000);
    expect(bench.ledger.isReadBack).toBe(true);
  });
});

test("a burst of more data than a guest can hold is refused before anything is sent", async () => {
  const mix = {
    blockBytes: [512, MIB],
    alignBytes: 512,
    near: 0,
    reads: 0,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    fua: 0,
  };
  const shape = { slots: 2, slotBytes: MIB, mix };
  const bench = await startLedger(honest, shape, { devices: 2, sizeBytes: 2 * MIB });
  expect(() => bench.ledger.burst(33)).toThrow(
    expect.objectContaining({
      code: "RIG_BAD_SCENARIO",
      message:
        "A burst of 33 operations may hold 66 MiB of data, all devices together; at most 64 MiB may be under way.",
    }) as Error,
  );
  expect(bench.ledger.counts.invoked).toBe(0);
  await bench.ledger.burst(32).acknowledged(10_000);
});

test("content that no line of a history can hold is refused, and leaves no trace", () => {
  const sectors = 8000;
  const extent = { is: "foreign", n: 1, head: "ab".repeat(64) } as const;
  const content = Array.from({ length: sectors }, (_, at) => ({ ...extent, at }));
  const encoder = new Encoder();
  encoder.encode({ kind: "invoke", op: 1, action: "read", via: "backing", sector: 0, sectors }, 1);
  const before = encoder.lines;
  encoder.endSection();
  expect(() => encoder.encode({ kind: "ok", op: 1, content }, 2)).toThrow(
    expect.objectContaining({ code: "RIG_BUG" }) as Error,
  );
  expect(encoder.lines).toBe(before);
  // A clock line comes first, as after every section.
  expect(encoder.encode({ kind: "fail", op: 1, error: "no" }, 3).split("\n")).toHaveLength(4);
});
