import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test } from "vitest";
import { sleep } from "../core/clock.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { Qmp, type QmpEvent } from "./qmp.ts";

interface Command {
  readonly execute: string;
  readonly arguments: unknown;
  readonly id: number;
}
type Answer = (command: Command, say: (message: unknown) => void, socket: Socket) => void;

const GREETING = { QMP: { version: { qemu: { major: 7 } }, capabilities: [] } };

/** A stand-in for QEMU that greets, takes the capabilities command, and answers others as told. */
const qemu = async (answer: Answer, greet = true): Promise<string> => {
  const file = path.join(await temporaryDirectory(), "qmp.sock");
  const server = createServer(socket => {
    const say = (message: unknown) => socket.write(`${JSON.stringify(message)}\r\n`);
    if (greet) say(GREETING);
    createInterface({ input: socket }).on("line", line => {
      const command = JSON.parse(line) as Command;
      if (command.execute === "qmp_capabilities" && greet) say({ return: {}, id: command.id });
      else answer(command, say, socket);
    });
    socket.on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
  });
  server.listen(file);
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return file;
};

const connect = async (file: string, onEvent: (event: QmpEvent) => void = () => undefined): Promise<Qmp> => {
  const qmp = await Qmp.connect(file, onEvent, 5000);
  onTestFinished(() => qmp[Symbol.asyncDispose]());
  return qmp;
};

describe("QMP", () => {
  test("gives each command its own answer, in whatever order they come", async () => {
    const waiting: [Command, (message: unknown) => void][] = [];
    const file = await qemu((command, say) => {
      waiting.push([command, say]);
      if (waiting.length === 3)
        for (const [{ id, execute }, tell] of waiting.toReversed()) tell({ return: execute, id });
    });
    const qmp = await connect(file);
    expect(await Promise.all(["stop", "cont", "query-status"].map(name => qmp.execute(name)))).toEqual([
      "stop",
      "cont",
      "query-status",
    ]);
  });

  test("passes arguments on", async () => {
    const file = await qemu(({ execute, arguments: args, id }, say) => say({ return: { execute, args }, id }));
    const qmp = await connect(file);
    expect(await qmp.execute("set_link", { name: "a", up: false })).toEqual({
      execute: "set_link",
      args: { name: "a", up: false },
    });
  });

  test("tells of a refusal in QEMU's words", async () => {
    const file = await qemu(({ id }, say) =>
      say({ error: { class: "GenericError", desc: "Device 'x' not found" }, id }),
    );
    const qmp = await connect(file);
    await expect(qmp.execute("set_link")).rejects.toMatchObject({
      code: "RIG_QMP",
      message: "QEMU refused set_link: Device 'x' not found",
    });
  });

  test("hands over events, between answers and in pieces, and ignores what it does not understand", async () => {
    const events: QmpEvent[] = [];
    const file = await qemu(({ id }, say, socket) => {
      socket.write('not JSON\r\n[]\r\n7\r\nnull\r\n"x"\r\n{"return":{},"id":999}\r\n{"error":{}}\r\n{"even');
      void sleep(10).then(() => {
        socket.write('t":"SHUTDOWN","data":{"guest":true}}\r\n');
        say({ return: 1, id });
      });
    });
    const qmp = await connect(file, event => events.push(event));
    expect(await qmp.execute("query-status")).toBe(1);
    expect(events).toEqual([{ event: "SHUTDOWN", data: { guest: true } }]);
  });

  test("gives up a command that is not answered", async () => {
    const qmp = await connect(await qemu(() => undefined));
    await expect(qmp.execute("stop", {}, 20)).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      message: "Expected QEMU to answer stop within 20 ms; it did not happen.",
    });
  });

  test("ends every command that waits when QEMU ends, and takes no more", async () => {
    const file = await qemu((_command, _say, socket) => socket.destroy());
    const qmp = await connect(file);
    const both = await Promise.allSettled([qmp.execute("stop"), qmp.execute("cont")]);
    for (const one of both) expect(one).toMatchObject({ status: "rejected", reason: { code: "RIG_QMP" } });
    await expect(qmp.execute("quit")).rejects.toThrow("QEMU is gone");
  });

  test("survives a QEMU that dies with a command unread", async () => {
    const file = await qemu((_command, _say, socket) => socket.pause());
    const qmp = await connect(file);
    const first = qmp.execute("stop");
    first.catch(() => undefined);
    await sleep(20);
    const more = Array.from({ length: 50 }, () => qmp.execute("cont", { filler: "x".repeat(10_000) }));
    const settled = Promise.allSettled([first, ...more]);
    await sleep(20);
    await qmp[Symbol.asyncDispose]();
    for (const one of await settled) expect(one.status).toBe("rejected");
  });

  test("a reset of the connection ends commands and not the process", async () => {
    const sockets: Socket[] = [];
    const file = path.join(await temporaryDirectory(), "qmp.sock");
    const server = createServer(socket => {
      sockets.push(socket);
      socket.write(`${JSON.stringify(GREETING)}\r\n`);
      socket.once("data", () => {
        socket.write('{"return":{},"id":1}\r\n');
        socket.pause();
      });
    });
    server.listen(file);
    onTestFinished(() => void server.close());
    const qmp = await connect(file);
    // A peer that closes with data unread resets the connection.
    const commands = Array.from({ length: 20 }, () => qmp.execute("cont", { filler: "x".repeat(50_000) }));
    const settled = Promise.allSettled(commands);
    await sleep(30);
    for (const socket of sockets) socket.destroy();
    for (const one of await settled) expect(one).toMatchObject({ status: "rejected", reason: { code: "RIG_QMP" } });
  });
});

describe("connecting", () => {
  test("waits until QEMU listens", async () => {
    const file = path.join(await temporaryDirectory(), "qmp.sock");
    const connecting = Qmp.connect(file, () => undefined, 5000);
    await sleep(60);
    const server = createServer(socket => socket.end(`${JSON.stringify(GREETING)}\r\n{"return":{},"id":1}\r\n`));
    server.listen(file);
    onTestFinished(() => void server.close());
    await (await connecting)[Symbol.asyncDispose]();
  });

  test("gives up in time", async () => {
    const file = path.join(await temporaryDirectory(), "qmp.sock");
    await expect(Qmp.connect(file, () => undefined, 50)).rejects.toMatchObject({ code: "RIG_DEADLINE" });
  });

  test("to what refuses the first command closes the connection again", async () => {
    let closed = 0;
    const file = await qemu(({ id }, say, socket) => {
      socket.on("close", () => closed++);
      say({ error: { desc: "no" }, id });
    }, false);
    await expect(Qmp.connect(file, () => undefined, 5000)).rejects.toThrow("QEMU refused qmp_capabilities: no");
    await sleep(20);
    expect(closed).toBe(1);
  });
});
