import { once } from "node:events";
import { createServer } from "node:net";
import ssh2, { type Connection, type ServerChannel } from "ssh2";
import { describe, expect, onTestFinished, test } from "vitest";
import { sleep } from "../core/clock.ts";
import { makeClientKey } from "./keys.ts";
import { Ssh, type SshTarget } from "./ssh.ts";

type Command = (command: string, channel: ServerChannel, connection: Connection) => void;

const CLIENT = makeClientKey();
const HOST = ssh2.utils.generateKeyPairSync("ed25519");

const publicOf = (key: string): Buffer => {
  const parsed = ssh2.utils.parseKey(key);
  if (parsed instanceof Error) throw parsed;
  return parsed.getPublicSSH();
};

/** A server that lets the one client key in and runs commands as told. */
const serve = async (onCommand: Command, takesExec = true): Promise<SshTarget> => {
  const connections = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [HOST.private] }, connection => {
    connections.add(connection);
    connection.on("error", () => undefined);
    connection.on("authentication", context => {
      if (context.method === "publickey" && context.key.data.equals(publicOf(CLIENT.authorized))) context.accept();
      else context.reject(["publickey"]);
    });
    connection.on("session", accept => {
      accept().on("exec", (acceptExec, rejectExec, info) => {
        if (takesExec) onCommand(info.command, acceptExec(), connection);
        else rejectExec();
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const connection of connections) connection.end();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    name: "target",
    host: "127.0.0.1",
    port: address.port,
    clientKey: CLIENT.clientKey,
    hostPublic: publicOf(HOST.public),
  };
};

const connect = async (target: SshTarget): Promise<Ssh> => {
  const ssh = await Ssh.connect(target, 5000);
  onTestFinished(() => ssh[Symbol.asyncDispose]());
  return ssh;
};

const answer = (channel: ServerChannel, status: number, stdout = "", stderr = ""): void => {
  channel.stderr.write(stderr);
  channel.write(stdout);
  channel.exit(status);
  channel.end();
};

describe("a command", () => {
  test("gives its status and both outputs, and its arguments arrive quoted", async () => {
    const ssh = await connect(await serve((command, channel) => answer(channel, 3, command, "on the other hand")));
    expect(await ssh.exec(["echo", "a b", "it's"])).toMatchObject({
      argv: ["echo", "a b", "it's"],
      exitCode: 3,
      stdout: "echo 'a b' 'it'\\''s'",
      stderr: "on the other hand",
    });
  });

  test("reads its input to the end", async () => {
    const target = await serve((_command, channel) => {
      let input = "";
      channel.on("data", (chunk: Buffer) => {
        input += chunk.toString();
      });
      channel.on("end", () => answer(channel, 0, String(input.length)));
    });
    const ssh = await connect(target);
    expect((await ssh.exec(["cat"], { input: "x".repeat(300_000) })).stdout).toBe("300000");
    expect((await ssh.exec(["cat"])).stdout).toBe("0");
  });

  test("that fails is an error for execOk, with the end of what it said", async () => {
    const ssh = await connect(
      await serve((command, channel) => answer(channel, command === "true" ? 0 : 2, "out\n", "err\n")),
    );
    await expect(ssh.execOk(["false", "x y"])).rejects.toMatchObject({
      code: "RIG_LAB_EXEC",
      message: "In target, false 'x y': expected success, got exit status 2.\n  err\n  out",
    });
    expect((await ssh.execOk(["true"])).exitCode).toBe(0);
  });

  test("that was killed by a signal is no success", async () => {
    const ssh = await connect(
      await serve((_command, channel) => {
        channel.exit("KILL");
        channel.end();
      }),
    );
    expect(await ssh.exec(["x"])).toMatchObject({ exitCode: -1, signal: "SIGKILL" });
  });

  test("that does not end is given up at its deadline, or when the caller says so", async () => {
    const ssh = await connect(await serve(() => undefined));
    await expect(ssh.exec(["sleep", "9"], { timeoutMs: 30 })).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      message: 'Expected "sleep 9" in target to end within 30 ms; it did not happen.',
    });
    const signal = AbortSignal.abort(new Error("the node died"));
    await expect(ssh.exec(["sleep", "9"], { signal })).rejects.toThrow("the node died");
    expect(ssh.alive).toBe(true);
  });

  test("that prints without end does not fill the memory", async () => {
    const piece = "x".repeat(262_144);
    const target = await serve((_command, channel) => {
      let left = 24;
      const more = () => {
        if (left-- === 0) answer(channel, 0, "the end");
        else channel.write(piece, more);
      };
      more();
    });
    const ssh = await connect(target);
    const result = await ssh.exec(["yes"]);
    expect(result.exitCode).toBe(0);
    expect(result.stdout.length).toBeLessThanOrEqual(4 * 2 ** 20);
    expect(result.stdout.length).toBeGreaterThan(3 * 2 ** 20);
  });

  test("many at once have each their own answer", async () => {
    const ssh = await connect(
      await serve((command, channel) => {
        void sleep(Number(command.split(" ")[1]) % 7).then(() => answer(channel, 0, command));
      }),
    );
    const all = await Promise.all(Array.from({ length: 8 }, (_, i) => ssh.exec(["n", String(i)])));
    expect(all.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 8 }, (_, i) => `n ${i}`));
  });

  test("that the server does not take is an error of the node, by name", async () => {
    const ssh = await connect(await serve(() => undefined, false));
    await expect(ssh.exec(["true"])).rejects.toMatchObject({
      code: "RIG_LAB_EXEC",
      message: expect.stringContaining("target") as string,
    });
  });
});

describe("a connection that is lost", () => {
  test("ends the commands that wait, at once, and takes no more", async () => {
    const ssh = await connect(
      await serve((command, _channel, connection) => {
        if (command === "die") void sleep(20).then(() => connection.end());
      }),
    );
    const commands = await Promise.allSettled([ssh.exec(["wait"]), ssh.exec(["die"])]);
    for (const command of commands) {
      expect(command).toMatchObject({
        status: "rejected",
        reason: { code: "RIG_LAB_EXEC", message: expect.stringContaining("connection to target was lost") as string },
      });
    }
    await expect(ssh.exec(["true"])).rejects.toMatchObject({ code: "RIG_LAB_EXEC" });
    expect(ssh.alive).toBe(false);
  });

  test("while a command begins is told the same way", async () => {
    const ssh = await connect(await serve((_command, _channel, connection) => connection.end()));
    const commands = await Promise.allSettled([ssh.exec(["a"]), ssh.exec(["b"]), ssh.exec(["c"])]);
    for (const command of commands) expect(command).toMatchObject({ reason: { code: "RIG_LAB_EXEC" } });
  });

  test("by our own hand is told the same way", async () => {
    const ssh = await connect(await serve(() => undefined));
    const waiting = ssh.exec(["wait"]);
    const outcome = expect(waiting).rejects.toMatchObject({ code: "RIG_LAB_EXEC" });
    await sleep(20);
    await ssh[Symbol.asyncDispose]();
    await outcome;
    await expect(ssh.exec(["true"])).rejects.toMatchObject({ code: "RIG_LAB_EXEC" });
  });
});

describe("connecting", () => {
  test("to a server with another host key is given up at once", async () => {
    const target = await serve(() => undefined);
    const other = publicOf(ssh2.utils.generateKeyPairSync("ed25519").public);
    await expect(Ssh.connect({ ...target, hostPublic: other }, 20_000)).rejects.toMatchObject({
      code: "RIG_LAB_SSH",
      message: "target showed a host key that is not this lab's; something else answers at 127.0.0.1.",
    });
  });

  test("waits for a server that is not there yet, until its time is over", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    server.close();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const target = {
      name: "target",
      host: "127.0.0.1",
      port,
      clientKey: CLIENT.clientKey,
      hostPublic: Buffer.alloc(0),
    };
    await expect(Ssh.connect(target, 200)).rejects.toMatchObject({
      code: "RIG_LAB_SSH",
      blame: "environment",
      message: expect.stringMatching(/ssh of target to answer within 200 ms.*ECONNREFUSED/) as string,
    });
  });

  test("to what is no ssh server, or lets nobody in, is told with the last reason", async () => {
    const target = await serve(() => undefined);
    await expect(Ssh.connect({ ...target, clientKey: makeClientKey().clientKey }, 2000)).rejects.toMatchObject({
      code: "RIG_LAB_SSH",
      message: expect.stringContaining(
        "The last try ended with: All configured authentication methods failed",
      ) as string,
    });
  });

  test("to what takes connections and says nothing is given up in time", async () => {
    const server = createServer(socket => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const target = {
      name: "target",
      host: "127.0.0.1",
      port,
      clientKey: CLIENT.clientKey,
      hostPublic: Buffer.alloc(0),
    };
    await expect(Ssh.connect(target, 200)).rejects.toMatchObject({
      code: "RIG_LAB_SSH",
      message: expect.stringContaining("without an answer") as string,
    });
  });

  test("is given up when the caller says so", async () => {
    const signal = AbortSignal.abort(new Error("the other node died"));
    await expect(Ssh.connect(await serve(() => undefined), 5000, signal)).rejects.toThrow("the other node died");
  });
});
