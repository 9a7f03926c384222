import { describe, expect, onTestFinished, test } from "vitest";
import { sleep } from "../core/clock.ts";
import { NbdDisconnected } from "./block-device.ts";
import { NbdDevice } from "./nbd-device.ts";
import { ALL_FLAGS, FakeNbd, type FakeNbdOptions, honest } from "./testdata/nbd-server.ts";

const serve = async (options: FakeNbdOptions = {}): Promise<FakeNbd> => {
  const server = await FakeNbd.start(options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
};
const open = async (server: FakeNbd, connections: number): Promise<NbdDevice> => {
  const device = await NbdDevice.connect(
    { host: "127.0.0.1", port: server.port, exportName: "rig" },
    connections,
    5000,
  );
  onTestFinished(() => device[Symbol.asyncDispose]());
  return device;
};

describe("a device over several connections", () => {
  test("spreads requests that wait over all of them", async () => {
    const sockets = new Set<unknown>();
    const server = await serve({ behaviour: (_request, _server, socket) => void sockets.add(socket) });
    const device = await open(server, 4);
    const waiting = Array.from({ length: 8 }, (_, index) => device.read(index * 512, 512));
    for (const one of waiting) one.catch(() => undefined);
    while (server.requests.length < 8) await sleep(1);
    expect([device.connections, sockets.size, device.inFlight]).toEqual([4, 4, 8]);
  });

  test("writes and reads as one", async () => {
    const server = await serve();
    const device = await open(server, 3);
    const block = (byte: number) => Buffer.alloc(4096, byte);
    await Promise.all(Array.from({ length: 16 }, (_, index) => device.write(index * 4096, block(index + 1))));
    await device.flush();
    for (let index = 0; index < 16; index++)
      expect((await device.read(index * 4096, 4096)).equals(block(index + 1))).toBe(true);
    await device.trim(0, 4096);
    await device.writeZeroes(4096, 4096, { fua: true });
    expect(server.disk.subarray(0, 8192).equals(Buffer.alloc(8192))).toBe(true);
  });

  test("is gone as a whole when one connection ends", async () => {
    let first = true;
    const server = await serve({
      behaviour: (request, fake, socket) => {
        if (request.command === "read") honest(request, fake, socket);
        else if (first) {
          first = false;
          socket.destroy();
        }
      },
    });
    const device = await open(server, 3);
    const writes = Array.from({ length: 6 }, (_, index) => device.write(index * 512, Buffer.alloc(512)));
    for (const one of await Promise.allSettled(writes))
      expect(one.status === "rejected" && one.reason).toBeInstanceOf(NbdDisconnected);
    expect(await device.ended).toBe("the connection was closed");
    await expect(device.read(0, 512)).rejects.toBeInstanceOf(NbdDisconnected);
  });

  test("is refused where a flush would not cover all of them, and not where there is but one", async () => {
    const server = await serve({ flags: ALL_FLAGS & ~(1 << 8) });
    await expect(open(server, 2)).rejects.toMatchObject({
      code: "RIG_NBD",
      message: expect.stringContaining("NBD_FLAG_CAN_MULTI_CONN") as string,
    });
    expect((await open(server, 1)).connections).toBe(1);
  });

  test("needs all of them", async () => {
    const server = await serve();
    await server[Symbol.asyncDispose]();
    await expect(open(server, 2)).rejects.toMatchObject({ code: "RIG_NBD" });
  });
});
