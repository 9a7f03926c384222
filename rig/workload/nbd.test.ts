import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { sleep } from "../core/clock.ts";
import { NbdDisconnected, NbdIoError } from "./block-device.ts";
import { NbdClient } from "./nbd.ts";
import {
  ALL_FLAGS,
  blockInfo,
  bytesOf,
  FakeNbd,
  type FakeNbdOptions,
  HELLO,
  honest,
  type NbdRequest,
  optionReply,
  sizeInfo,
} from "./testdata/nbd-server.ts";

const start = async (options: FakeNbdOptions = {}): Promise<{ server: FakeNbd; client: NbdClient }> => {
  const server = await FakeNbd.start(options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  const client = await NbdClient.connect("127.0.0.1", server.port, "rig", 5000);
  onTestFinished(() => client[Symbol.asyncDispose]());
  return { server, client };
};

const byteByByte = (bytes: Buffer): readonly Buffer[] => Array.from(bytes, byte => Buffer.from([byte]));
const filled = (byte: number, length = 4096): Buffer => Buffer.alloc(length, byte);

describe("the client", () => {
  test("learns the size of the export that it names", async () => {
    const { server, client } = await start({ sizeBytes: 3 << 20 });
    expect([server.exportName, client.sizeBytes]).toEqual(["rig", 3 << 20]);
  });

  test("writes and reads back", async () => {
    const { server, client } = await start();
    await client.write(8192, filled(7));
    expect(server.disk.subarray(8192, 12_288).equals(filled(7))).toBe(true);
    expect((await client.read(8192, 4096)).equals(filled(7))).toBe(true);
    expect((await client.read(0, 512)).equals(filled(0, 512))).toBe(true);
  });

  test("puts FUA and flush on the wire, and FUA only where asked", async () => {
    const { server, client } = await start();
    await client.write(0, filled(1));
    await client.write(4096, filled(2), { fua: true });
    await client.flush();
    expect(server.requests.map(({ command, flags, offset, length }) => ({ command, flags, offset, length }))).toEqual([
      { command: "write", flags: 0, offset: 0, length: 4096 },
      { command: "write", flags: 1, offset: 4096, length: 4096 },
      { command: "flush", flags: 0, offset: 0, length: 0 },
    ]);
    expect(new Set(server.requests.map(({ cookie }) => cookie)).size).toBe(3);
  });

  test("gives every request its own answer, in whatever order they come", async () => {
    const waiting: [NbdRequest, Socket][] = [];
    const { server, client } = await start({
      behaviour: (request, fake, socket) => {
        fake.perform(request);
        waiting.push([request, socket]);
      },
    });
    for (let slot = 0; slot < 16; slot++) filled(slot + 1).copy(server.disk, slot * 4096);
    const reads = Array.from({ length: 16 }, (_, slot) => client.read(slot * 4096, 4096));
    const write = client.write(65_536, filled(99));
    while (waiting.length < 17) await sleep(1);
    for (const [request, socket] of waiting.toReversed()) server.reply(socket, request);
    await write;
    for (const [slot, read] of reads.entries()) expect((await read).equals(filled(slot + 1))).toBe(true);
  });

  test("puts together what comes byte by byte, the negotiation too", async () => {
    const { server, client } = await start({ pieces: byteByByte });
    filled(5, 2000).copy(server.disk);
    const [first, second] = await Promise.all([client.read(0, 1000), client.read(1000, 1000), client.flush()]);
    expect(Buffer.concat([first, second]).equals(filled(5, 2000))).toBe(true);
  });

  test("puts together what comes in any pieces", async () => {
    let sizes: readonly number[] = [];
    const { server, client } = await start({
      pieces: bytes => {
        const pieces: Buffer[] = [];
        for (let at = 0, next = 0; at < bytes.length; next++) {
          const size = sizes[next % Math.max(1, sizes.length)] ?? bytes.length;
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        return pieces;
      },
    });
    for (let at = 0; at < 65_536; at++) server.disk[at] = at % 251;
    const request = fc.tuple(fc.nat(30_000), fc.integer({ min: 1, max: 3000 }));
    const lists = fc.tuple(
      fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 6 }),
      fc.array(request, { maxLength: 8 }),
    );
    await fc.assert(
      fc.asyncProperty(lists, async ([cuts, requests]) => {
        sizes = cuts;
        const answers = await Promise.all(requests.map(([offset, length]) => client.read(offset, length)));
        for (const [index, [offset, length]] of requests.entries()) {
          expect(answers[index]?.equals(server.disk.subarray(offset, offset + length))).toBe(true);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("says goodbye, and then its end has a reason and nothing is sent", async () => {
    const { server, client } = await start();
    await client.flush();
    await client[Symbol.asyncDispose]();
    expect(await client.ended).toBe("the connection was closed");
    await expect(client.flush()).rejects.toBeInstanceOf(NbdDisconnected);
    await sleep(20);
    expect(server.requests.map(({ command }) => command)).toEqual(["flush", "disconnect"]);
    await client[Symbol.asyncDispose]();
  });
});

describe("an error answer", () => {
  test.each([
    [5, "EIO"],
    [28, "ENOSPC"],
    [108, "ESHUTDOWN"],
    [4711, "error 4711"],
  ])("%i is %s, and the connection goes on", async (code, name) => {
    const { client } = await start({
      behaviour: (request, fake, socket) => {
        if (request.offset === 4096) fake.reply(socket, request, code);
        else honest(request, fake, socket);
      },
    });
    const both = await Promise.allSettled([client.read(4096, 4096), client.read(0, 4096)]);
    expect(both[0]).toMatchObject({ status: "rejected", reason: { name: "NbdIoError", message: name } });
    expect(both[1].status).toBe("fulfilled");
    await expect(client.write(4096, filled(1))).rejects.toBeInstanceOf(NbdIoError);
    await client.write(0, filled(1));
  });
});

describe("a connection that ends", () => {
  test("leaves what had no answer without one", async () => {
    const { server, client } = await start({
      behaviour: (request, fake, socket) => {
        if (request.offset === 0) honest(request, fake, socket);
      },
    });
    const answered = client.write(0, filled(1));
    const waiting = [client.write(4096, filled(2)), client.read(8192, 512), client.read(12_288, 512)];
    const settled = Promise.allSettled(waiting);
    await answered;
    server.die();
    for (const one of await settled) {
      expect(one.status === "rejected" && one.reason).toBeInstanceOf(NbdDisconnected);
    }
    await client.ended;
    await expect(client.write(0, filled(1))).rejects.toBeInstanceOf(NbdDisconnected);
  });

  test("in the middle of an answer leaves it without one", async () => {
    const { client } = await start({
      behaviour: ({ cookie }, fake, socket) => {
        fake.send(socket, bytesOf([32, 0x67446698], [32, 0], [64, cookie], Buffer.alloc(100)));
        socket.end();
      },
    });
    await expect(client.read(0, 4096)).rejects.toBeInstanceOf(NbdDisconnected);
  });

  test.each<[string, (request: NbdRequest) => Buffer]>([
    ["another magic number", ({ cookie }) => bytesOf([32, 0x12345678], [32, 0], [64, cookie])],
    ["an answer to nothing", ({ cookie }) => bytesOf([32, 0x67446698], [32, 0], [64, cookie + 100n])],
    ["text", () => Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ])("for %s is ended by the client, with that as its reason", async (_name, answer) => {
    const { client } = await start({ behaviour: (request, fake, socket) => fake.send(socket, answer(request)) });
    const waiting = client.flush();
    await expect(waiting).rejects.toThrow("the server sent what is no reply");
    await expect(waiting).rejects.toBeInstanceOf(NbdDisconnected);
    expect(await client.ended).toBe("the server sent what is no reply");
  });

  test("is also ended when an answer comes twice", async () => {
    const { client } = await start({
      behaviour: (request, fake, socket) => {
        fake.reply(socket, request);
        fake.reply(socket, request);
      },
    });
    await client.flush();
    expect(await client.ended).toBe("the server sent what is no reply");
  });
});

describe("a server that is none is told as such:", () => {
  const refused = async (greet: (socket: Socket) => void, withinMs = 2000): Promise<unknown> => {
    const server = await FakeNbd.start({ greet });
    onTestFinished(() => server[Symbol.asyncDispose]());
    return NbdClient.connect("127.0.0.1", server.port, "rig", withinMs).catch((error: unknown) => error);
  };
  const saying =
    (...parts: readonly Buffer[]) =>
    (socket: Socket) =>
      void socket.write(Buffer.concat(parts));

  test.each<[string, (socket: Socket) => void, string]>([
    ["something else", saying(Buffer.from("SSH-2.0-OpenSSH_9.2 Debian\r\n")), "no NBD server"],
    [
      "the old style of negotiation",
      saying(bytesOf(Buffer.from("NBDMAGIC"), [64, 0x420281861253n], [16, 0])),
      "no NBD server",
    ],
    ["one that closes", socket => socket.end(), "closed the connection"],
    ["one that closes half way", socket => socket.end(HELLO.subarray(0, 10)), "closed the connection"],
    ["another magic number", saying(HELLO, Buffer.alloc(20, 1)), "broke the negotiation"],
    [
      "an absurd length",
      saying(HELLO, optionReply(3).subarray(0, 16), Buffer.from("ffffffff", "hex")),
      "absurd length",
    ],
    [
      "no such export",
      saying(HELLO, optionReply(0x80000006, Buffer.from("no export"))),
      "refused the export rig (6): no export",
    ],
    ["no size", saying(HELLO, optionReply(1)), "did not tell the size"],
    [
      "a size that is too short",
      saying(HELLO, optionReply(3, Buffer.alloc(6)), optionReply(1)),
      "did not tell the size",
    ],
    ["an absurd size", saying(HELLO, sizeInfo(2n ** 60n), optionReply(1)), "an absurd size"],
    ["a block that is no power of two", saying(HELLO, blockInfo(3, 4096, 4096)), "block sizes that cannot be"],
    ["a smallest block above the largest", saying(HELLO, blockInfo(4096, 4096, 512)), "block sizes that cannot be"],
    [
      "information without end",
      saying(HELLO, ...Array.from({ length: 40 }, () => sizeInfo(512))),
      "broke the negotiation",
    ],
    ["control characters in a refusal", saying(HELLO, optionReply(0x80000001, Buffer.from("a\u001b[2Jb"))), "a?[2Jb"],
    ["the old style without options", saying(bytesOf(Buffer.from("NBDMAGICIHAVEOPT"), [16, 0])), "too old"],
    ["silence", () => undefined, "to answer within 50 ms"],
    ["silence after the greeting", saying(HELLO), "to answer within 50 ms"],
  ])("%s", async (_name, greet, words) => {
    expect(await refused(greet, words.includes("50 ms") ? 50 : 2000)).toMatchObject({
      code: "RIG_NBD",
      message: expect.stringContaining(words) as string,
    });
  });

  test("nobody there", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    server.close();
    await expect(NbdClient.connect("127.0.0.1", port, "rig", 1000)).rejects.toMatchObject({ code: "RIG_NBD" });
  });

  test("and the caller's own reason comes first", async () => {
    const controller = new AbortController();
    const server = await FakeNbd.start({ greet: () => controller.abort(new Error("stopped")) });
    onTestFinished(() => server[Symbol.asyncDispose]());
    await expect(NbdClient.connect("127.0.0.1", server.port, "rig", 5000, controller.signal)).rejects.toThrow(
      "stopped",
    );
  });
});

test("information that is not asked for is passed over, and an answer may come with the negotiation's end", async () => {
  const server = await FakeNbd.start({
    greet: socket => {
      socket.write(
        Buffer.concat([HELLO, optionReply(3, bytesOf([16, 1], Buffer.alloc(12))), sizeInfo(4096), optionReply(1)]),
      );
      let seen = 0;
      socket.on("data", chunk => {
        seen += chunk.length;
        // The client's flags and option, then a whole request, which may well come together.
        if (seen === 4 + 16 + 4 + "rig".length + 4 + 28) socket.write(bytesOf([32, 0x67446698], [32, 0], [64, 1]));
      });
    },
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const client = await NbdClient.connect("127.0.0.1", server.port, "rig", 5000);
  onTestFinished(() => client[Symbol.asyncDispose]());
  expect(client.sizeBytes).toBe(4096);
  await client.flush();
});

describe("an export says what it can do, and", () => {
  const FLAG = { readOnly: 1 << 1, flush: 1 << 2, fua: 1 << 3, trim: 1 << 5, zeroes: 1 << 6 };

  test("everything is asked of one that offers everything", async () => {
    const { server, client } = await start();
    await client.trim(0, 4096);
    await client.writeZeroes(4096, 8192, { noHole: true, fua: true });
    await client.trim(8192, 512, { fua: true });
    expect(server.requests.map(({ command, flags, offset, length }) => [command, flags, offset, length])).toEqual([
      ["trim", 0, 0, 4096],
      ["zeroes", 3, 4096, 8192],
      ["trim", 1, 8192, 512],
    ]);
  });

  test.each<[string, number, (client: NbdClient) => Promise<unknown>]>([
    ["read-only", ALL_FLAGS | FLAG.readOnly, client => client.write(0, filled(1))],
    ["read-only", ALL_FLAGS | FLAG.readOnly, client => client.trim(0, 4096)],
    ["does not offer to flush", ALL_FLAGS & ~FLAG.flush, client => client.flush()],
    ["does not offer to write with FUA", ALL_FLAGS & ~FLAG.fua, client => client.write(0, filled(1), { fua: true })],
    ["does not offer to discard", ALL_FLAGS & ~FLAG.trim, client => client.trim(0, 4096)],
    ["does not offer to write zeroes", ALL_FLAGS & ~FLAG.zeroes, client => client.writeZeroes(0, 4096)],
    ["does not offer to flush", ALL_FLAGS & ~1, client => client.flush()],
  ])("what it does not offer is not asked: %s (flags %i)", async (words, flags, ask) => {
    const { server, client } = await start({ flags });
    await expect(ask(client)).rejects.toMatchObject({
      code: "RIG_NBD",
      message: expect.stringContaining(words) as string,
    });
    expect(server.requests).toEqual([]);
    expect((await client.read(0, 512)).length).toBe(512);
  });

  test.each([
    [-512, 512],
    [1 << 20, 512],
    [(1 << 20) - 512, 1024],
    [0, 0],
  ])("nothing is asked beyond its end: %i, %i bytes", async (offset, length) => {
    const { server, client } = await start();
    await expect(client.read(offset, length)).rejects.toMatchObject({ code: "RIG_NBD" });
    expect(server.requests).toEqual([]);
  });
});
