import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { poll, sleep } from "../core/clock.ts";
import { run } from "../core/exec.ts";
import { silentLog } from "../core/log.ts";
import { compileProgram } from "../image/program.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { type AgentLoad, type AgentProcess, NodeAgent } from "./node-agent.ts";

const sh = (script: string, ...args: readonly string[]): readonly string[] => ["sh", "-c", script, "sh", ...args];

/** Waits for what no event tells of. */
const until = async (expected: string, probe: () => boolean | Promise<boolean>): Promise<void> => {
  await poll(async () => ((await probe()) ? true : undefined), { everyMs: 5, withinMs: 20_000, expected });
};

/** Field of /proc/PID/stat, counted from the one after the name; undefined where there is no such process. */
const statOf = (pid: number, field: number): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1").replace(/.*\) /s, "").split(" ")[field];
  } catch {
    return undefined;
  }
};
const exists = (pid: number): boolean => statOf(pid, 0) !== undefined;
const parentOf = (pid: number): number => Number(statOf(pid, 1));
/** Killed, though perhaps not reaped yet by whoever has inherited it. */
const isDead = (pid: number): boolean => ["Z", "X", undefined].includes(statOf(pid, 0));
const gone = (...pids: readonly number[]): Promise<void> =>
  until(`processes ${pids.join(", ")} to be gone`, () => !pids.some(exists));

const frame = (type: number, payload: string | Buffer): Buffer => {
  const header = Buffer.alloc(5);
  header.writeUInt8(type);
  header.writeUInt32LE(Buffer.byteLength(payload), 1);
  return Buffer.concat([header, Buffer.from(payload)]);
};

const request = (payload: string, length = Buffer.byteLength(payload)): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(length);
  return Buffer.concat([header, Buffer.from(payload)]);
};

describe.skipIf(!existsSync("/usr/bin/gcc"))("with an agent (needs gcc)", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "rig-agent-"));
    await compileProgram("node", "agent.c", path.join(dir, "agent"), silentLog, undefined);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  interface Running {
    readonly agent: NodeAgent;
    readonly file: string;
    readonly pid: number;
    readonly process: ChildProcess;
    /** Sends bytes and reads nothing yet. */
    readonly say: (bytes: Buffer) => Socket;
  }

  const startAgent = async (file?: string): Promise<Running> => {
    const at = file ?? path.join(await temporaryDirectory(), "agent.sock");
    const child = spawn(path.join(dir, "agent"), [at], { stdio: ["ignore", "ignore", "pipe"] });
    onTestFinished(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    });
    const agent = new NodeAgent(at, "the container x");
    await agent.ready(10_000);
    const say = (bytes: Buffer) => {
      const socket = connect(at);
      socket.on("error", () => undefined);
      onTestFinished(() => void socket.destroy());
      socket.write(bytes);
      return socket;
    };
    return { agent, file: at, pid: child.pid ?? 0, process: child, say };
  };

  /** A command that goes on, with the numbers that it printed first, once there are as many. */
  const spawnAndRead = async (
    agent: NodeAgent,
    argv: readonly string[],
    count: number,
    options: { detach?: boolean } = {},
  ): Promise<{ command: AgentProcess; numbers: readonly number[] }> => {
    const command = await agent.spawn(argv, options);
    const read = () => command.tail(count).split("\n").map(Number);
    await until("the command to print", () => read().filter(number => number > 0).length === count);
    return { command, numbers: read() };
  };

  test("it says that it is ready, and its socket is for its owner only", async () => {
    const { file, process } = await startAgent();
    const [said] = (await once(process.stderr as NodeJS.ReadableStream, "data")) as [Buffer];
    expect(said.toString()).toBe("rig-node: ready\n");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test("it takes the place of one that was killed", async () => {
    const first = await startAgent();
    first.process.kill("SIGKILL");
    await once(first.process, "exit");
    const { agent } = await startAgent(first.file);
    expect(await agent.execOk(["echo", "x"])).toMatchObject({ stdout: "x\n" });
  });

  describe("a command", () => {
    test("has its output, its streams apart, and its exit status", async () => {
      const { agent } = await startAgent();
      expect(await agent.exec(sh("echo out; echo größe >&2; exit 3"))).toMatchObject({
        exitCode: 3,
        signal: undefined,
        stdout: "out\n",
        stderr: "größe\n",
      });
      expect(await agent.exec(["true"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    });

    test("that a signal ended says which", async () => {
      const { agent } = await startAgent();
      expect(await agent.exec(sh("kill -TERM $$"))).toMatchObject({ exitCode: -1, signal: "SIGTERM" });
      await expect(agent.execOk(sh("kill -KILL $$"))).rejects.toThrow("expected success, got signal SIGKILL.");
    });

    test("that fails is an error that quotes what it said", async () => {
      const { agent } = await startAgent();
      await expect(agent.execOk(sh("echo no such rule >&2; exit 4"))).rejects.toMatchObject({
        code: "RIG_FAULT",
        blame: "environment",
        message: expect.stringMatching(
          /^In the container x, sh -c .*: expected success, got exit status 4\.\n {2}no such rule$/,
        ) as string,
      });
    });

    test("gets its arguments as they are, and nothing else of the agent's", async () => {
      const { agent } = await startAgent();
      const argv = ["printf", "%s|", "", "a b", "$HOME", "*", "x".repeat(100_000)];
      expect((await agent.execOk(argv)).stdout).toBe(`${argv.slice(2).join("|")}|`);
      const { stdout } = await agent.execOk(sh("grep -E 'Sig(Blk|Ign)' /proc/self/status; readlink /proc/self/fd/0"));
      const [, blocked = "", ignored = ""] =
        /^SigBlk:\t([0-9a-f]+)\nSigIgn:\t([0-9a-f]+)\n\/dev\/null\n$/.exec(stdout) ?? [];
      // The C library keeps signals 32 and 33 to itself: what became of them before the agent, nobody in it can change.
      const ours = ~((1n << 31n) | (1n << 32n));
      expect([blocked, ignored].map(mask => BigInt(`0x${mask}`) & ours)).toEqual([0n, 0n]);
      // What this process was born with, an agent that it starts has too.
      const files = ["ls", "/proc/self/fd"] as const;
      expect((await agent.execOk(files)).stdout).toBe((await run(files)).stdout);
    });

    test("that does not exist is refused", async () => {
      const { agent } = await startAgent();
      const message =
        'Expected "rig-no-such a" in the container x to run, but: cannot run rig-no-such: No such file or directory. Look with: rig doctor';
      const expected = { code: "RIG_LAB_CONTAINER", blame: "environment", message };
      await expect(agent.exec(["rig-no-such", "a"])).rejects.toMatchObject(expected);
      await expect(agent.spawn(["rig-no-such", "a"])).rejects.toMatchObject(expected);
      await expect(agent.exec(["/"])).rejects.toThrow("cannot run /: Permission denied");
    });

    test("with an argument that no command can have is not sent", async () => {
      await expect(new NodeAgent("/none", "x").exec(["a\0b"])).rejects.toMatchObject({ code: "RIG_BUG" });
    });

    test("prints as much as it likes; the first megabyte is kept", async () => {
      const { agent } = await startAgent();
      const result = await agent.exec(sh("head -c 10000000 /dev/zero | tr '\\0' x; echo end >&2"));
      expect(result).toMatchObject({ exitCode: 0, stderr: "end\n" });
      expect(result.stdout).toBe("x".repeat(1_000_000));
    });

    test("that leaves a process behind ends without it", async () => {
      const { agent } = await startAgent();
      const { stdout, exitCode } = await agent.exec(sh("sleep 1000 & echo $!"));
      expect({ exitCode, left: exists(Number(stdout)) }).toEqual({ exitCode: 0, left: true });
      process.kill(Number(stdout), "SIGKILL");
      // The process that is left never stops printing.
      const noisy = await agent.exec(sh("echo $$; yes & echo $! >&2"));
      expect(noisy.exitCode).toBe(0);
      await gone(Number(noisy.stderr));
    });

    test("is one of many", async () => {
      const { agent } = await startAgent();
      const results = await Promise.all(
        Array.from({ length: 60 }, (_, i) =>
          agent.exec(sh('head -c 100000 /dev/zero; echo "$1" >&2; exit "$1"', `${i}`)),
        ),
      );
      expect(results.map(({ exitCode, stderr, stdout }) => [exitCode, stderr, stdout.length])).toEqual(
        results.map((_, i) => [i, `${i}\n`, 100_000]),
      );
    });

    test("is refused where there are too many, until one ends", async () => {
      const { agent } = await startAgent();
      const many = await Promise.all(Array.from({ length: 64 }, () => agent.spawn(["sleep", "1000"])));
      await expect(agent.exec(["true"])).rejects.toThrow("too many commands");
      await many[7]?.[Symbol.asyncDispose]();
      expect(await agent.exec(["true"])).toMatchObject({ exitCode: 0 });
    });
  });

  describe("a client", () => {
    test("that reads nothing stops its command and nobody else's", async () => {
      const { agent, pid, say } = await startAgent();
      const flag = path.join(await temporaryDirectory(), "done");
      const script = 'head -c 10000000 /dev/zero; touch "$1"';
      const slow = say(request(`\0${sh(script, flag).join("\0")}\0`));
      const endless = say(request("\0yes\0"));
      for (let i = 0; i < 20; i++) await agent.execOk(["true"]);
      expect(existsSync(flag)).toBe(false);
      const resident = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
      expect(resident).toBeLessThan(8 * 1024);

      endless.destroy();
      const chunks: Buffer[] = [];
      slow.on("data", chunk => chunks.push(chunk));
      await once(slow, "end");
      const bytes = Buffer.concat(chunks);
      let [at, printed, last] = [0, 0, 0];
      for (; at < bytes.length; at += 5 + bytes.readUInt32LE(at + 1)) {
        last = bytes.readUInt8(at);
        if (last === 1) printed += bytes.readUInt32LE(at + 1);
      }
      expect({ at, printed, last, done: existsSync(flag) }).toEqual({
        at: bytes.length,
        printed: 10_000_000,
        last: 3,
        done: true,
      });
    });

    test("that goes takes its command's whole process group with it", async () => {
      const { agent, say } = await startAgent();
      const file = path.join(await temporaryDirectory(), "pids");
      const script = 'sleep 1000 & echo $$ $! > "$1.new"; mv "$1.new" "$1"; wait';
      const socket = say(request(`\0${sh(script, file).join("\0")}\0`));
      await until("the command to begin", () => existsSync(file));
      const pids = readFileSync(file, "utf8").trim().split(" ").map(Number);
      expect(pids.map(exists)).toEqual([true, true]);
      socket.destroy();
      await gone(...pids);
      expect(await agent.exec(["true"])).toMatchObject({ exitCode: 0 });
    });

    test("that disposes of a command returns when it is dead", async () => {
      const { agent } = await startAgent();
      const { command, numbers } = await spawnAndRead(agent, sh("sleep 1000 & echo $$; echo $!; wait"), 2);
      expect(numbers[0]).toBe(command.pid);
      await command[Symbol.asyncDispose]();
      expect(exists(command.pid)).toBe(false);
      await gone(...numbers);
      expect(await command.ended).toMatchObject({ exitCode: -1, signal: 9 });
      await command[Symbol.asyncDispose]();
    });

    test("may let go of a detached command, which goes on and can print", async () => {
      const { agent } = await startAgent();
      const base = path.join(await temporaryDirectory(), "flag");
      const script =
        'echo $$; until [ -e "$1.go" ]; do sleep 0.01; done; head -c 1000000 /dev/zero && touch "$1.done"; sleep 1000';
      const { command } = await spawnAndRead(agent, sh(script, base), 1, { detach: true });
      await command[Symbol.asyncDispose]();
      await expect(command.ended).rejects.toMatchObject({ code: "RIG_LAB_CONTAINER" });
      await writeFile(`${base}.go`, "");
      await until("the command to go on", () => existsSync(`${base}.done`));
      expect(exists(command.pid)).toBe(true);
    });

    test("that gives up at a deadline has killed the command", async () => {
      const { agent, pid } = await startAgent();
      const children = () => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
      await expect(agent.exec(["sleep", "1000"], { timeoutMs: 100 })).rejects.toMatchObject({
        code: "RIG_DEADLINE",
        message: 'Expected "sleep 1000" in the container x to end within 100 ms; it did not happen.',
      });
      await until("no command to be left", () => children() === "");

      const controller = new AbortController();
      const aborted = agent.exec(["sleep", "1000"], { signal: controller.signal });
      aborted.catch(() => undefined);
      await until("the command to begin", () => children() !== "");
      controller.abort(new Error("enough"));
      await expect(aborted).rejects.toThrow("enough");
      await until("no command to be left", () => children() === "");
      await expect(agent.spawn(["true"], { signal: controller.signal })).rejects.toThrow("enough");
    });

    test.each([
      ["no length at all", request(""), "bad request: its length"],
      ["a length beyond the limit", request("\0true\0", 262_145), "bad request: its length"],
      ["a line of text", Buffer.from("GET / HTTP/1.1\r\n\r\n"), "bad request: its length"],
      ["no NUL at the end", request("\0true"), "bad request: no NUL at its end"],
      ["flags only", request("detach\0"), "bad request: no command"],
      ["an empty command", request("\0\0\0"), "bad request: no command"],
      ["NULs only", request("\0".repeat(262_144)), "bad request: no command"],
      ["an unknown flag", request("detach,root\0true\0"), "bad request: unknown flag root"],
      ["too long an argument", request(`\0true\0${"x".repeat(200_000)}\0`), "cannot run true: Argument list too long"],
    ])("that asks with %s is refused", async (_name, bytes, expected) => {
      const { agent, say } = await startAgent();
      const socket = say(bytes);
      const chunks: Buffer[] = [];
      socket.on("data", chunk => chunks.push(chunk));
      await once(socket, "end");
      expect(Buffer.concat(chunks)).toEqual(frame(6, expected));
      expect(await agent.exec(["true"])).toMatchObject({ exitCode: 0 });
    });

    test("that goes in the middle of its request, or says too much, harms nobody", async () => {
      const { agent, say } = await startAgent();
      for (let length = 0; length < 9; length++) {
        const socket = say(request("\0sleep\0").subarray(0, length));
        await once(socket, "connect");
        socket.destroy();
      }
      const wordy = say(Buffer.concat([request("\0sleep\x001000\0"), Buffer.alloc(500_000, "x")]));
      await until("everything to be taken", () => wordy.writableLength === 0);
      expect(await agent.exec(["true"])).toMatchObject({ exitCode: 0 });
    });

    test("that sends its request byte by byte is served", async () => {
      const { say } = await startAgent();
      const socket = say(Buffer.alloc(0));
      for (const byte of request("\0echo\0x\0")) {
        socket.write(Buffer.of(byte));
        await sleep(1);
      }
      const chunks: Buffer[] = [];
      socket.on("data", chunk => chunks.push(chunk));
      await once(socket, "end");
      expect(Buffer.concat(chunks).includes(frame(1, "x\n"))).toBe(true);
    });
  });

  test("the end of a command that goes on is told, with what it used", async () => {
    const { agent } = await startAgent();
    const script =
      "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; printf '\\033[31mred\\033[0m\\r\\n\\nlast'; exit 7";
    const command = await agent.spawn(sh(script));
    const end = await command.ended;
    expect(end.exitCode).toBe(7);
    expect(end).not.toHaveProperty("signal");
    expect(end.cpuMs).toBeGreaterThan(0);
    expect(end.maxRssMiB).toBeGreaterThan(0);
    expect(command.tail(5)).toBe("red\nlast");
    expect(command.tail(1)).toBe("last");
    await command[Symbol.asyncDispose]();
  });

  test.skipIf(!existsSync("/proc/self/schedstat"))("waits for a CPU are told (needs schedstat)", async () => {
    const { agent } = await startAgent();
    const loads: AgentLoad[] = [];
    // Several on one CPU, each in a session of its own, as the kernel may share time out among sessions.
    const [cpu = "0"] = /(?<=Cpus_allowed_list:\s+)\d+/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    const spin = ["taskset", "-c", cpu, ...sh("while :; do :; done")];
    for (let i = 0; i < 5; i++) await agent.spawn(spin);
    const command = await agent.spawn(spin, { onLoad: load => void loads.push(load) });
    await until("a wait to be told", () => loads.length > 0);
    await agent.execOk(["kill", `${command.pid}`]);
    const end = await command.ended;
    expect(end).toMatchObject({ exitCode: -1, signal: 15 });
    expect(end.cpuMs).toBeGreaterThan(0);
    for (const { windowMs, cpuMs, waitMs } of loads) {
      expect(windowMs).toBeGreaterThan(0);
      expect(cpuMs).toBeGreaterThanOrEqual(0);
      expect(waitMs).toBeGreaterThanOrEqual(20);
    }
  });

  test("orphans become the agent's, and are reaped", async () => {
    const { agent, pid } = await startAgent();
    const { stdout } = await agent.execOk(sh("setsid sleep 1000 > /dev/null 2>&1 & echo $!"));
    const orphan = Number(stdout);
    expect(parentOf(orphan)).toBe(pid);
    process.kill(orphan, "SIGKILL");
    await gone(orphan);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it and its commands, detached ones too", async signal => {
    const { agent, file, process } = await startAgent();
    const kept = await spawnAndRead(agent, sh("sleep 1000 & echo $$; echo $!; wait"), 2);
    const detached = await spawnAndRead(agent, sh("echo $$; exec sleep 1000"), 1, { detach: true });
    await detached.command[Symbol.asyncDispose]();
    process.kill(signal);
    expect(await once(process, "exit")).toEqual([0, null]);
    await expect(kept.command.ended).rejects.toMatchObject({ code: "RIG_LAB_CONTAINER", blame: "environment" });
    await kept.command[Symbol.asyncDispose]();
    await until("all to be dead", () => [...kept.numbers, ...detached.numbers].every(isDead));
    expect(existsSync(file)).toBe(false);
    await expect(agent.exec(["true"])).rejects.toMatchObject({
      code: "RIG_LAB_CONTAINER",
      message: expect.stringContaining("ENOENT") as string,
    });
  });
});

describe("without an agent", () => {
  test("waiting for one ends at the deadline, or when told", async () => {
    const agent = new NodeAgent(path.join(await temporaryDirectory(), "none"), "the container x");
    await expect(agent.ready(50)).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      message: "Expected the agent of the container x to listen within 50 ms; it did not happen.",
    });
    await expect(agent.ready(10_000, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  });

  test("waiting for one goes on until it listens", async () => {
    const file = path.join(await temporaryDirectory(), "agent.sock");
    const waiting = new NodeAgent(file, "the container x").ready(10_000);
    await sleep(20);
    const server = createServer(socket => void socket.destroy());
    server.listen(file);
    onTestFinished(() => void server.close());
    await waiting;
  });
});

describe("what comes from the socket", () => {
  /** A stand-in for an agent, which answers every request with these pieces and closes. */
  const answering = async (...pieces: readonly Buffer[]): Promise<NodeAgent> => {
    const file = path.join(await temporaryDirectory(), "agent.sock");
    const server = createServer(socket => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        for (const piece of pieces) socket.write(piece);
        socket.end();
      });
    });
    server.listen(file);
    onTestFinished(() => void server.close());
    await once(server, "listening");
    return new NodeAgent(file, "the container x");
  };

  const STARTED = frame(4, "12");
  const END = frame(3, "exit 0 cpu_us=1500 maxrss_kib=2048");

  test("is put together again, wherever it was cut", async () => {
    const whole = Buffer.concat([STARTED, frame(1, "größ"), frame(2, "x"), frame(1, "e"), frame(1, ""), END]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: whole.length })), async cuts => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
        const agent = await answering(...at.slice(1).map((to, i) => whole.subarray(at[i], to)));
        expect(await agent.exec(["x"])).toMatchObject({ exitCode: 0, stdout: "größe", stderr: "x" });
      }),
      { numRuns: 20 },
    );
  });

  test("counts up to the end", async () => {
    const agent = await answering(STARTED, frame(5, "window_us=100250 cpu_us=90000 wait_us=20500"), END, frame(9, ""));
    const loads: AgentLoad[] = [];
    const command = await agent.spawn(["x"], { onLoad: load => void loads.push(load) });
    expect(await command.ended).toEqual({ exitCode: 0, cpuMs: 1.5, maxRssMiB: 2 });
    expect({ pid: command.pid, loads }).toEqual({
      pid: 12,
      loads: [{ windowMs: 100.25, cpuMs: 90, waitMs: 20.5 }],
    });
  });

  test.each([
    ["an unknown type", [STARTED, frame(7, "x")], 'got a frame of type 7 with 1 bytes, "x"'],
    ["type 0", [frame(0, "x")], "got a frame of type 0"],
    ["a length beyond all bounds", [STARTED, Buffer.from("01ffffffff", "hex")], "type 1 with 4294967295 bytes"],
    ["output before the start", [frame(1, "x"), END], "got a frame of type 1"],
    ["an end before the start", [END], "got a frame of type 3"],
    ["two starts", [STARTED, STARTED, END], "got a frame of type 4"],
    ["a refusal after the start", [STARTED, frame(6, "no")], "got a frame of type 6"],
    ["no process number", [frame(4, "12 ")], "got a frame of type 4"],
    ["process 0", [frame(4, "0")], "got a frame of type 4"],
    ["an end in other words", [STARTED, frame(3, "exit -1 cpu_us=1 maxrss_kib=1")], "got a frame of type 3"],
    ["an end with more behind it", [STARTED, frame(3, "exit 0 cpu_us=1 maxrss_kib=1\nx")], "got a frame of type 3"],
    ["a load in other words", [STARTED, frame(5, "window_us=1")], "got a frame of type 5"],
    ["colours", [frame(9, "\u001b[31mred\n")], '"red"'],
    ["no end", [STARTED, frame(1, "x")], "the connection to the agent ended first: it was closed"],
    ["half a frame", [STARTED, END.subarray(0, -1)], "the connection to the agent ended first"],
    ["nothing", [], "the connection to the agent ended first"],
    ["a refusal", [frame(6, "\u001b[1mno\u0007")], 'Expected "x" in the container x to run, but: no. Look'],
  ])("with %s is an error", async (_name, pieces, expected) => {
    const agent = await answering(...pieces);
    await expect(agent.exec(["x"])).rejects.toMatchObject({
      code: "RIG_LAB_CONTAINER",
      blame: "environment",
      message: expect.stringContaining(expected) as string,
    });
    const spawned = agent.spawn(["x"]).then(command => command.ended);
    await expect(spawned).rejects.toMatchObject({ code: "RIG_LAB_CONTAINER" });
  });
});
