import { createConnection, type Socket } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test } from "vitest";
import { sleep } from "../core/clock.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { Qmp } from "./qmp.ts";

interface Command {
  readonly execute: string;
  readonly arguments: unknown;
  readonly id: number;
}
type Answer = (command: Command, say: (message: unknown) => void, socket: Socket) => void;

const GREETING = { QMP: { version: { qemu: { major: 7 } }, capabilities: [] } };

/** A stand-in for QEMU: given where the rig listens it connects, greets, takes the capabilities command, and answers others as told. */
const qemu =
  (answer: Answer, greet = true) =>
  (file: string): Socket => {
    const socket = createConnection(file);
    const say = (message: unknown) => socket.write(`${JSON.stringify(message)}\r\n`);
    if (greet) say(GREETING);
    createInterface({ input: socket })
      .on("line", line => {
        const command = JSON.parse(line) as Command;
        if (command.execute === "qmp_capabilities" && greet) say({ return: {}, id: command.id });
        else answer(command, say, socket);
      })
      .on("error", () => undefined);
    socket.on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
    return socket;
  };

const connect = async (start: (file: string) => Socket): Promise<Qmp> => {
  const file = path.join(await temporaryDirectory(), "qmp.sock");
  const listener = await Qmp.listen(file);
  start(file);
  const qmp = await listener.connected(5000);
  onTestFinished(() => qmp[Symbol.asyncDispose]());
  return qmp;
};

describe("QMP", () => {
  test("gives each command its own answer, in whatever order they come", async () => {
    const waiting: [Command, (message: unknown) => void][] = [];
    const start = qemu((command, say) => {
      waiting.push([command, say]);
      if (waiting.length === 3)
        for (const [{ id, execute }, tell] of waiting.toReversed()) tell({ return: execute, id });
    });
    const qmp = await connect(start);
    expect(await Promise.all(["stop", "cont", "query-status"].map(name => qmp.execute(name)))).toEqual([
      "stop",
      "cont",
      "query-status",
    ]);
  });

  test("passes arguments on", async () => {
    const start = qemu(({ execute, arguments: args, id }, say) => say({ return: { execute, args }, id }));
    const qmp = await connect(start);
    expect(await qmp.execute("set_link", { name: "a", up: false })).toEqual({
      execute: "set_link",
      args: { name: "a", up: false },
    });
  });

  test("tells of a refusal in QEMU's words", async () => {
    const start = qemu(({ id }, say) => say({ error: { class: "GenericError", desc: "Device 'x' not found" }, id }));
    const qmp = await connect(start);
    await expect(qmp.execute("set_link")).rejects.toMatchObject({
      code: "RIG_QMP",
      message: "QEMU refused set_link: Device 'x' not found",
    });
  });

  test("hands over events, between answers and in pieces, and ignores what it does not understand", async () => {
    const start = qemu(({ id }, say, socket) => {
      socket.write(
        'not JSON\r\n[]\r\n7\r\nnull\r\n"x"\r\n{"return":{},"id":999}\r\n{"error":{}}\r\n{"event":"STOP"}\r\n{"even',
      );
      void sleep(10).then(() => {
        socket.write('t":"SHUTDOWN","data":{"guest":true}}\r\n');
        say({ return: 1, id });
      });
    });
    const qmp = await connect(start);
    const seen = qmp.event(({ event }) => event === "SHUTDOWN", 5000, "the guest to end");
    expect(await qmp.execute("query-status")).toBe(1);
    expect(await seen).toEqual({ event: "SHUTDOWN", data: { guest: true } });
  });

  test("tells whoever waits for an event that QEMU has ended, or that the time is over", async () => {
    const qmp = await connect(qemu((_command, _say, socket) => socket.destroy()));
    await expect(qmp.event(() => true, 20, "anything")).rejects.toMatchObject({ code: "RIG_DEADLINE" });
    const waiting = expect(qmp.event(() => true, 5000, "anything")).rejects.toMatchObject({ code: "RIG_QMP" });
    await expect(qmp.execute("quit")).rejects.toMatchObject({ code: "RIG_QMP" });
    await waiting;
    await expect(qmp.event(() => true, 5000, "anything")).rejects.toThrow("QEMU is gone");
  });

  test("gives up a command that is not answered", async () => {
    const qmp = await connect(qemu(() => undefined));
    await expect(qmp.execute("stop", {}, 20)).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      message: "Expected QEMU to answer stop within 20 ms; it did not happen.",
    });
  });

  test("ends every command that waits when QEMU ends, and takes no more", async () => {
    const start = qemu((_command, _say, socket) => socket.destroy());
    const qmp = await connect(start);
    const both = await Promise.allSettled([qmp.execute("stop"), qmp.execute("cont")]);
    for (const one of both) expect(one).toMatchObject({ status: "rejected", reason: { code: "RIG_QMP" } });
    await expect(qmp.execute("quit")).rejects.toThrow("QEMU is gone");
  });

  test("survives a QEMU that dies with a command unread", async () => {
    const start = qemu((_command, _say, socket) => socket.pause());
    const qmp = await connect(start);
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
    let end: (() => void) | undefined;
    const qmp = await connect(
      qemu((_command, _say, socket) => {
        socket.pause();
        end = () => socket.destroy();
      }),
    );
    // A peer that closes with data unread resets the connection.
    const commands = Array.from({ length: 20 }, () => qmp.execute("cont", { filler: "x".repeat(50_000) }));
    const settled = Promise.allSettled(commands);
    await sleep(30);
    end?.();
    for (const one of await settled) expect(one).toMatchObject({ status: "rejected", reason: { code: "RIG_QMP" } });
  });
});

describe("listening", () => {
  test("gives up in time", async () => {
    await using listener = await Qmp.listen(path.join(await temporaryDirectory(), "qmp.sock"));
    await expect(listener.connected(50)).rejects.toMatchObject({ code: "RIG_DEADLINE" });
  });

  test("to what refuses the first command closes the connection again", async () => {
    let closed = 0;
    const start = qemu(({ id }, say, socket) => {
      socket.on("close", () => closed++);
      say({ error: { desc: "no" }, id });
    }, false);
    await expect(connect(start)).rejects.toThrow("QEMU refused qmp_capabilities: no");
    await sleep(20);
    expect(closed).toBe(1);
  });

  test("takes one QEMU and no second", async () => {
    const file = path.join(await temporaryDirectory(), "qmp.sock");
    await using listener = await Qmp.listen(file);
    const start = qemu(() => undefined);
    start(file);
    await (await listener.connected(5000))[Symbol.asyncDispose]();
    const refused = Promise.withResolvers<undefined>();
    start(file).on("error", () => refused.resolve(undefined));
    await refused.promise;
  });
});
