import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir, version } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { poll, sleep } from "../core/clock.ts";
import { run } from "../core/exec.ts";
import { silentLog } from "../core/log.ts";
import { definitionFile } from "../image/definition.ts";
import { compileProgram } from "../image/program.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { decodeArgument, encodeArgument, GuestAgent } from "./guest-agent.ts";

const isRoot = process.getuid?.() === 0;

/** A directory of the whole file, and the agent's program in it; its name is no other process's on this machine. */
let bench = "";
const AGENT = `rigag-${process.pid}`;

beforeAll(async () => {
  bench = await mkdtemp(path.join(tmpdir(), "rig-test-"));
  await compileProgram("guest", "agent.c", path.join(bench, AGENT), silentLog, undefined);
});
afterAll(() => rm(bench, { recursive: true, force: true }));

const startProgram = (...args: readonly string[]): ChildProcessWithoutNullStreams => {
  const child = spawn(path.join(bench, AGENT), ["--stdio", ...args]);
  child.stdin.on("error", () => undefined);
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
};

/** Sends each argument but the first to the socket that this one names, as a datagram. Node.js cannot. */
const SEND_DATAGRAMS = `
use Socket;
socket(S, PF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
my $to = sockaddr_un(shift @ARGV);
for (@ARGV) { defined(send(S, $_, 0, $to)) or die "send: $!"; }
`;

/**
 * The program with this one's RDMA for the kernel's: it knows of one queue pair, and looks once more. Its arguments are
 * how it is answered, whether it searches for devices, and another place for /sys.
 */
const FAKE_RDMA = `
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netlink.h>
static int mode, sent;
static struct nlmsghdr asked;
static int fake_socket(int family, int type, int protocol) { return 99; }
static ssize_t fake_send(int fd, const void *data, size_t size, int flags)
{
	memcpy(&asked, data, sizeof(asked));
	sent = 1;
	errno = ENOBUFS;
	return mode == 1 ? -1 : size;
}
static ssize_t fake_recv(int fd, void *data, size_t size, int flags)
{
	struct { struct nlmsghdr header; int error; } answer = {
		{sizeof(answer), mode == 3 ? NLMSG_ERROR : NLMSG_DONE, NLM_F_MULTI, asked.nlmsg_seq},
		mode == 5 ? 0 : -EAGAIN};

	errno = EAGAIN;
	if (mode == 2 || !sent)
		return -1;
	sent = 0;
	memcpy(data, &answer, sizeof(answer));
	return sizeof(answer);
}
#define socket(...) fake_socket(__VA_ARGS__)
#define send fake_send
#define recv fake_recv
#define main agent_main
#include "agent.c"
#undef main
int main(int argc, char **argv)
{
	mode = atoi(argv[1]);
	sys = argv[3];
	device_count = 1;
	strcpy(devices[0].name, "rxe_a");
	report("qp rxe_a 17", "18 RTS 1 1");
	report_gone();
	output_used = 0;
	look_at_queue_pairs(atoi(argv[2]));
	report_gone();
	flush();
	return 0;
}
`;

/** The program without the rig's end of it: what is said to it, and what it says. */
const startRaw = () => {
  const child = startProgram();
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    say: (line: string | Buffer) => void child.stdin.write(line),
    next: async () => (await lines.next()).value ?? "the end",
  };
};

/** Both ends, joined as QEMU joins them. */
const start = async (...args: readonly string[]) => {
  const dir = await temporaryDirectory();
  const socketPath = path.join(dir, "guest.sock");
  const agent = await GuestAgent.listen(socketPath, "the initiator");
  const child = startProgram(...args);
  const port = connect(socketPath);
  port.on("error", () => undefined);
  port.pipe(child.stdin);
  child.stdout.pipe(port);
  onTestFinished(async () => {
    port.destroy();
    await agent[Symbol.asyncDispose]();
  });
  await agent.hello(10_000);
  return { agent, child, dir };
};

/** A program that sleeps, under a name of its own. */
const sleeper = async (name: string): Promise<string> => {
  const file = path.join(await temporaryDirectory(), name);
  await copyFile("/bin/sleep", file);
  return file;
};

/** Lines as they come, without those that tell of a busy machine, and a wait for one among them. */
const lineBox = () => {
  const lines: string[] = [];
  const until = async (line: string | RegExp): Promise<string> =>
    poll(() => Promise.resolve(lines.find(said => (typeof line === "string" ? said === line : line.test(said)))), {
      everyMs: 2,
      withinMs: 20_000,
      expected: `the guest to say ${String(line)}`,
    });
  const take = (line: string) => {
    if (!line.startsWith("late ")) lines.push(line);
  };
  return { lines, until, take };
};

describe("an argument", () => {
  test("is plain or encoded, and comes back as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), text => {
        const word = encodeArgument(text);
        expect(word).toMatch(/^(%|([A-Za-z0-9._/:=,+-]|%[0-9A-F]{2})+)$/);
        expect(decodeArgument(word)).toBe(text);
      }),
    );
    expect(["", "%", "a b", "/run/x", "é"].map(encodeArgument)).toEqual(["%", "%25", "a%20b", "/run/x", "%C3%A9"]);
  });

  test("of a guest makes nobody stumble", () => {
    fc.assert(fc.property(fc.string(), text => void decodeArgument(text)));
    expect(decodeArgument("%zz%4")).toBe("%zz%4");
  });

  test("reaches the guest as it was said", async () => {
    const { agent, dir } = await start();
    const name = fc
      .string({ unit: "binary", minLength: 1, maxLength: 60 })
      .filter(text => !/[/\0]/.test(text) && text !== "." && text !== "..");
    await fc.assert(
      fc.asyncProperty(name, fc.uint8Array(), async (text, bytes) => {
        await agent.writeFile(`${dir}/${text}`, Buffer.from(bytes), 0o600);
        expect([...(await readFile(`${dir}/${text}`))]).toEqual([...bytes]);
        await agent.remove(`${dir}/${text}`);
      }),
      { numRuns: 60 },
    );
  });
});

describe("the agent", () => {
  test("says which kernel it runs on", async () => {
    const { agent } = await start();
    expect(await agent.hello(10_000)).toBe(version());
  });

  test("refuses a time that is none", async () => {
    const { agent } = await start();
    for (const args of [["1", "1000000000"], ["-1", "0"], ["1", "-1"], ["now", "0"], ["", "0"], ["1"], []])
      await expect(agent.call("clock", args)).rejects.toMatchObject({ code: "RIG_LAB_AGENT" });
  });

  test.skipIf(!isRoot)("takes entropy", async () => {
    const { agent } = await start();
    await agent.addEntropy(Buffer.from("0123456789abcdef0123456789abcdef"));
    await expect(agent.addEntropy(Buffer.alloc(0))).rejects.toThrow("it says: no bytes.");
    await expect(agent.call("entropy", ["0g"])).rejects.toThrow("no bytes");
  });

  test("gives random bytes", async () => {
    const { agent } = await start();
    const [first, second] = [await agent.random(32), await agent.random(32)];
    expect([first.length, first.equals(second)]).toEqual([32, false]);
    expect((await agent.random(0)).length).toBe(0);
    await expect(agent.random(257)).rejects.toThrow("256 bytes at most");
  });

  test("writes a file and the directories above it, replaces it, and removes it", async () => {
    const { agent, dir } = await start();
    const file = path.join(dir, "a/b c/file");
    await agent.writeFile(file, Buffer.from("one"), 0o640);
    await agent.writeFile(file, Buffer.from([0, 255, 10]), 0o4755);
    expect([...(await readFile(file))]).toEqual([0, 255, 10]);
    expect((await stat(file)).mode & 0o7777).toBe(0o4755);
    expect(await readdir(path.dirname(file))).toEqual(["file"]);
    await agent.remove(file);
    await agent.remove(file);
    expect(await readdir(path.dirname(file))).toEqual([]);
    await expect(agent.remove(dir)).rejects.toThrow(
      `Expected the initiator's agent to remove ${dir}; it says: unlink: `,
    );
    await expect(agent.writeFile(`${dir}/a`, Buffer.alloc(1), 0o600)).rejects.toThrow(
      "it says: write: Is a directory.",
    );
    expect(await readdir(dir)).toEqual(["a", "guest.sock"]);
    await expect(agent.writeFile("/proc/rig/x", Buffer.alloc(1), 0o600)).rejects.toThrow("No such file");
    await expect(agent.writeFile("", Buffer.alloc(1), 0o600)).rejects.toThrow("a path");
    await expect(agent.call("write", ["8", file, "00"])).rejects.toThrow("a mode");
    await expect(agent.call("write", ["600", file, "0"])).rejects.toThrow("hexadecimal");
  });

  test("takes files of 32 KiB less their name, and says what is too large", async () => {
    const { agent, dir } = await start();
    const bytes = Buffer.alloc(32_000, 7);
    await agent.writeFile(`${dir}/large`, bytes, 0o600);
    expect((await readFile(`${dir}/large`)).equals(bytes)).toBe(true);
    await expect(agent.writeFile(`${dir}/larger`, Buffer.alloc(32_768), 0o600)).rejects.toThrow(
      /to fit into 65536 bytes/,
    );
  });

  test("gives a file of any size, all of it or as much as is wanted", async () => {
    const { agent, dir } = await start();
    for (const size of [0, 1, 2, 3, 4095, 45_056, 45_057, 1_500_000]) {
      const bytes = Buffer.from(Array.from({ length: size }, (_, index) => (index * 7 + (index >> 8)) & 255));
      await writeFile(`${dir}/file`, bytes);
      expect((await agent.take(`${dir}/file`, 2e6)).equals(bytes)).toBe(true);
    }
    expect(await agent.take(`${dir}/file`, 100_000)).toHaveLength(100_000);
    expect((await agent.take("/proc/self/comm", 100)).toString()).toBe(`${AGENT}\n`);
    await expect(agent.take(`${dir}/nothing`, 10)).rejects.toThrow("it says: open: No such file");
    await expect(agent.take(dir, 10)).rejects.toThrow("it says: read: Is a directory");
    expect(await agent.call("more", [])).toBe("");
  });

  test("writes to files that are there, and empties them", async () => {
    const { agent, dir } = await start();
    await writeFile(`${dir}/file`, "one\n");
    await agent.put(`${dir}/file`, "two\n");
    expect(await readFile(`${dir}/file`, "utf8")).toBe("one\ntwo\n");
    await agent.put(`${dir}/file`, "");
    expect(await readFile(`${dir}/file`, "utf8")).toBe("");
    await expect(agent.put(`${dir}/other`, "x")).rejects.toThrow("it says: open: No such file");
    await expect(agent.call("put", [`${dir}/file`, "0"])).rejects.toThrow("hexadecimal");
  });

  test("knows the monotonic clock", async () => {
    const { agent } = await start();
    const before = process.hrtime.bigint();
    const now = await agent.now();
    expect(now >= before && now <= process.hrtime.bigint()).toBe(true);
  });

  test("lists what is there of some paths", async () => {
    const { agent, dir } = await start();
    for (const name of ["session1", "session 2", "host3"]) await writeFile(path.join(dir, name), "");
    const found = await agent.list([`${dir}/session*`, `${dir}/nothing*`, `${dir}/no/such/*`]);
    expect(found.toSorted()).toEqual([`${dir}/session 2`, `${dir}/session1`]);
    expect(await agent.list([`${dir}/nothing*`])).toEqual([]);
    await mkdir(path.join(dir, "many"));
    const long = "x".repeat(200);
    for (let i = 0; i < 300; i++) await writeFile(path.join(dir, "many", `${long}${i}`), "");
    await expect(agent.list([`${dir}/many/*`])).rejects.toThrow("there are too many");
    expect(await agent.list([`${dir}/host*`])).toEqual([`${dir}/host3`]);
  });

  test("starts programs, in sessions of their own, and says why one did not start", async () => {
    const { agent, child } = await start();
    const errors = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
    expect(await agent.spawn(["echo", "two words", "", "%"])).toBeGreaterThan(1);
    expect((await errors.next()).value).toBe("two words  %");
    const name = `rigsl-${process.pid}`;
    const pid = await agent.spawn([await sleeper(name), "600"]);
    const fields = (await readFile(`/proc/${pid}/stat`, "latin1")).split(") ")[1]?.split(" ") ?? [];
    expect([fields[2], fields[3]]).toEqual([String(pid), String(pid)]);
    expect(await readFile(`/proc/${pid}/status`, "latin1")).toMatch(/^SigIgn:\t[0-9a-f]*0{5}$/m);
    expect(await agent.kill(0, name)).toBe(1);
    expect(await agent.kill(9, name)).toBe(1);
    await expect(readFile(`/proc/${pid}/comm`)).rejects.toThrow();
    await expect(agent.spawn(["/no/such thing", "x"])).rejects.toThrow(
      "Expected the initiator's agent to spawn /no/such thing x; it says: No such file or directory.",
    );
    await expect(agent.spawn([bench])).rejects.toThrow("Permission denied");
  });

  test("ends every process of a name, and is back when they are gone", async () => {
    const { agent } = await start();
    // One letter more than the kernel keeps of a name.
    const name = `rigmany-${process.pid}`.padEnd(16, "x");
    const file = await sleeper(name);
    const children = Array.from({ length: 5 }, () => spawn(file, ["600"]));
    await Promise.all(children.map(child => once(child, "spawn")));
    expect(await agent.kill(9, name)).toBe(5);
    expect(await agent.kill(9, name)).toBe(0);
    await expect(agent.kill(65, name)).rejects.toThrow("no such signal");
  });

  test("never counts itself", async () => {
    const { agent } = await start();
    expect(await agent.kill(0, AGENT)).toBe(0);
    await agent.unwatch();
  });

  test("answers what it cannot read, and goes on", async () => {
    const { say, next } = startRaw();
    const unreadable = "0 fail this is not a number, a verb and at most 64 arguments";
    const cases: readonly (readonly [string | Buffer, string])[] = [
      ["\n\n1 unwatch\n", "1 ok"],
      ["hello\n", unreadable],
      ["x hello\n", unreadable],
      [" 1 hello\n", unreadable],
      [Buffer.from([0x31, 0x20, 0x00, 0xff, 0x0a]), unreadable],
      ["1234567890123456789 unwatch\n", unreadable],
      [`2 spawn${" x".repeat(65)}\n`, unreadable],
      ["3 \n", "3 fail no such verb"],
      ["4 sync x\n", "4 fail 1 arguments were not expected"],
      ["5 remove %zz\n", "5 fail argument 1 cannot be read"],
      ["6 remove /a%00b\n", "6 fail argument 1 cannot be read"],
      ["7 remove %4", ""],
      ["\n", "7 fail argument 1 cannot be read"],
      ["8 watch 0 mp\n", "8 fail an interval in milliseconds and device-mapper names were expected"],
      ["12 watch 5 mp,,mp1\n", "12 fail an interval in milliseconds and device-mapper names were expected"],
      ["13 watch 5 1,2,3,4,5,6,7,8,9\n", "13 fail an interval in milliseconds and device-mapper names were expected"],
      [`14 watch 5 ${"x".repeat(126)}\n`, "14 fail an interval in milliseconds and device-mapper names were expected"],
      [`9 remove /${"x".repeat(65_526)}\n`, "9 fail unlink: File name too long"],
      [`9 remove /${"x".repeat(65_527)}\n10 unwatch\n`, "0 fail the line is longer than 65536 bytes"],
      ["", "10 ok"],
      [`${"y".repeat(300_000)}\n11 unwatch\n`, "0 fail the line is longer than 65536 bytes"],
      ["", "11 ok"],
    ];
    for (const [said, answer] of cases) {
      say(said);
      if (answer !== "") expect(await next(), String(said).slice(0, 40)).toBe(answer);
    }
  });

  test("answers any bytes with whole lines", async () => {
    const { child, say, next } = startRaw();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async bytes => {
        say(Buffer.concat([bytes, Buffer.from("\n9 unwatch\n")]));
        let line = await next();
        while (line !== "9 ok") {
          expect(line).toMatch(/^\d+ fail /);
          line = await next();
        }
      }),
      { numRuns: 50 },
    );
    child.stdin.end();
    expect(await next()).toBe("the end");
  });

  test("drops whole lines for a rig that does not read, and waits for it without harm", async () => {
    const child = startProgram();
    const flood = Array.from({ length: 20_000 }, (_, i) => `${i + 10} hello\n`).join("");
    await new Promise(resolve => child.stdin.write(flood, resolve));
    const lines = createInterface({ input: child.stdout });
    const answers: string[] = [];
    lines.on("line", line => answers.push(line));
    await poll(
      () => {
        child.stdin.write("9 unwatch\n");
        return Promise.resolve(answers.includes("9 ok") || undefined);
      },
      { everyMs: 5, withinMs: 20_000, expected: "an answer" },
    );
    expect(answers.length).toBeLessThan(20_000);
    expect(answers.filter(line => !/^\d+ ok( 1 \S+)?$/.test(line))).toEqual([]);
  });
});

/** A stand-in for /sys with one session, and changes to it that keep its files open as the kernel would. */
const fakeSys = async () => {
  const sys = await temporaryDirectory();
  const session = path.join(sys, "class/iscsi_session/session7");
  const lun = path.join(session, "device/target2:0:0/2:0:0:0");
  const connection = path.join(sys, "class/iscsi_connection/connection7:0");
  await mkdir(session, { recursive: true });
  await writeFile(path.join(session, "state"), "LOGGED_IN\n");
  return {
    sys,
    addDevice: async () => {
      await mkdir(lun, { recursive: true });
      await writeFile(path.join(lun, "state"), "running\n");
    },
    /** Another LUN of the same target, in this state. */
    addLun: async (state: string) => {
      const other = `${lun.slice(0, -1)}1`;
      await mkdir(other);
      await writeFile(path.join(other, "state"), state);
    },
    bind: async () => {
      await mkdir(connection, { recursive: true });
      await writeFile(path.join(connection, "persistent_address"), "10.1.0.2\n");
    },
    // As long as what was there: no reader sees an empty file in between.
    fail: () => writeFile(path.join(session, "state"), "FAILED\n\n\n\n", { flag: "r+" }),
    removeDevice: async () => {
      await truncate(path.join(lun, "state"));
      await rm(path.join(session, "device"), { recursive: true });
    },
    remove: async () => {
      await truncate(path.join(session, "state"));
      await rm(session, { recursive: true });
    },
  };
};

describe("the watch", () => {
  test("follows a session", async () => {
    const fake = await fakeSys();
    const { agent } = await start(fake.sys);
    const { lines, take, until } = lineBox();
    await agent.watch(2, ["mp"], take);
    expect(lines).toContain("session 7 - LOGGED_IN -");
    await fake.bind();
    await until("session 7 10.1.0.2 LOGGED_IN -");
    await until("session 7 - GONE");
    await fake.addDevice();
    await until("session 7 10.1.0.2 LOGGED_IN running");
    await fake.fail();
    await until("session 7 10.1.0.2 FAILED running");
    await fake.removeDevice();
    await until("session 7 10.1.0.2 FAILED -");
    await fake.remove();
    await until("session 7 10.1.0.2 GONE");
  });

  test("tells of the LUN that does not run, of several", async () => {
    const fake = await fakeSys();
    const { agent } = await start(fake.sys);
    const { take, until } = lineBox();
    await fake.bind();
    await fake.addDevice();
    await fake.addLun("offline\n");
    await agent.watch(2, ["mp", "mp1"], take);
    await until("session 7 10.1.0.2 LOGGED_IN offline");
    await fake.removeDevice();
    await until("session 7 10.1.0.2 LOGGED_IN -");
    // They come one after another.
    await fake.addDevice();
    await until("session 7 10.1.0.2 LOGGED_IN running");
    await fake.addLun("blocked\n");
    await until("session 7 10.1.0.2 LOGGED_IN blocked");
  });

  test("tells of iscsid's start, and of its end at once, however long it is to the next look", async () => {
    const { agent } = await start();
    const { lines, take, until } = lineBox();
    await agent.watch(2, ["mp"], take);
    const before = Number(/^daemon iscsid (\d+)$/.exec(await until(/^daemon /))?.[1]);
    const daemon = spawn(await sleeper("iscsid"), ["600"]);
    await until(`daemon iscsid ${before + 1}`);
    await agent.watch(3_600_000, ["mp"], take);
    lines.length = 0;
    daemon.kill("SIGKILL");
    await until(`daemon iscsid ${before}`);
  });

  test("tells what iscsid logs, in its own words, and nothing of others", async () => {
    const log = path.join(await temporaryDirectory(), "log");
    const { agent } = await start("/sys", log);
    const { lines, take, until } = lineBox();
    const say = (...messages: readonly string[]) =>
      run(["perl", "-e", SEND_DATAGRAMS, log, ...messages]).then(({ exitCode, stderr }) => {
        expect([exitCode, stderr]).toEqual([0, ""]);
      });
    await say("<28>Nov 22 20:12:42 iscsid: nobody watches yet");
    await agent.watch(2, ["mp"], take);
    await say(
      "<30>Nov 22 20:12:42 dropbear[7]: Pubkey auth succeeded",
      "<28>Nov 22 20:12:42 iscsid: Connection1:0 to [target: t, portal: p,3260] is operational now",
      "",
      "<28>",
      "<28>Nov 22 20:12:42 iscsid",
      "<28>Nov 22 20:12:42 iscsidx: not it",
      "no priority > at all: really",
      "<28>Nov 22 20:12:42 iscsid[7]: \x1b[1mtwo\nlines",
      `<28>Nov 22 20:12:42 iscsid: ${"x".repeat(1900)}`,
      "<28>Nov 22 20:12:42 iscsid: last",
    );
    await until("syslog iscsid last");
    expect(lines.filter(line => line.startsWith("syslog "))).toEqual([
      "syslog iscsid Connection1:0 to [target: t, portal: p,3260] is operational now",
      expect.stringMatching(/^syslog iscsid .*two lines$/),
      `syslog iscsid ${"x".repeat(512)}`,
      "syslog iscsid last",
    ]);
  });

  test("tells a daemon's last words before its end", async () => {
    const log = path.join(await temporaryDirectory(), "log");
    const { agent, child } = await start("/sys", log);
    const { lines, take, until } = lineBox();
    const daemon = spawn(await sleeper("iscsid"), ["600"]);
    await once(daemon, "spawn");
    await agent.watch(3_600_000, ["mp"], take);
    const before = Number(/^daemon iscsid (\d+)$/.exec(await until(/^daemon /))?.[1]);
    lines.length = 0;
    child.kill("SIGSTOP");
    await run(["perl", "-e", SEND_DATAGRAMS, log, "<28>Nov 22 20:12:42 iscsid: my last words"]);
    daemon.kill("SIGKILL");
    await once(daemon, "exit");
    child.kill("SIGCONT");
    await until(`daemon iscsid ${before - 1}`);
    expect(lines).toEqual(["syslog iscsid my last words", `daemon iscsid ${before - 1}`]);
  });

  test.each([
    ["nothing", "a question that cannot be sent", 1],
    ["nothing", "an answer that cannot be read", 2],
    ["nothing", "an error", 3],
    ["nothing", "an error at the end of the list", 4],
    ["! qp rxe_a 17 GONE\n", "a list without it", 5],
  ])("says %j of a known queue pair after %s", async (said, _name, mode) => {
    const dir = await temporaryDirectory();
    await mkdir(path.join(dir, "class/infiniband"), { recursive: true });
    await writeFile(path.join(dir, "pairs.c"), FAKE_RDMA);
    const program = path.join(dir, "pairs");
    const guest = path.dirname(definitionFile("guest", "agent.c"));
    const gcc = await run(["gcc", "-w", "-I", guest, "-o", program, path.join(dir, "pairs.c")]);
    expect([gcc.exitCode, gcc.stderr]).toEqual([0, ""]);
    for (const search of ["0", "1"]) {
      const { stdout } = await run([program, String(mode), search, dir]);
      expect(stdout).toBe(said === "nothing" ? "" : said);
    }
  });

  test("reports everything anew when it is started again", async () => {
    const fake = await fakeSys();
    const { agent } = await start(fake.sys);
    const seen: (readonly string[])[] = [];
    for (let i = 0; i < 3; i++) {
      const { lines, take } = lineBox();
      await agent.watch(3_600_000, ["mp"], take);
      seen.push(lines.filter(line => line.startsWith("session ")));
    }
    expect(seen).toEqual(Array.from({ length: 3 }, () => ["session 7 - LOGGED_IN -"]));
    await agent.unwatch();
  });

  test("tells of sockets to and from an iSCSI port", async context => {
    const server = createServer({ pauseOnConnect: true });
    server.listen(3260, "127.0.0.1");
    const free = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!free) return context.skip("port 3260 is taken on this machine");
    onTestFinished(() => void server.close());
    const { agent } = await start();
    const { take, until } = lineBox();
    await agent.watch(2, ["mp"], take);
    const near = connect(3260, "127.0.0.1");
    const [far] = (await once(server, "connection")) as [Socket];
    const port = String(near.localPort);
    await until(`socket 127.0.0.1:${port} 127.0.0.1:3260 ESTABLISHED 0 0 0`);
    await until(`socket 127.0.0.1:3260 127.0.0.1:${port} ESTABLISHED 0 0 0`);
    near.end("x");
    await until(`socket 127.0.0.1:3260 127.0.0.1:${port} CLOSE-WAIT 0 2 0`);
    await until(`socket 127.0.0.1:${port} 127.0.0.1:3260 FIN-WAIT-2 0 0 0`);
    near.destroy();
    await until(`socket 127.0.0.1:${port} 127.0.0.1:3260 FIN-WAIT-2 0 0 1`);
    far.destroy();
    await until(`socket 127.0.0.1:3260 127.0.0.1:${port} GONE`);
  });

  test("says when it was given no CPU", async () => {
    const { agent, child } = await start();
    const late = Promise.withResolvers<string>();
    await agent.watch(5, ["mp"], line => {
      if (line.startsWith("late ")) late.resolve(line);
    });
    child.kill("SIGSTOP");
    await sleep(300);
    child.kill("SIGCONT");
    expect(Number(/^late (\d+)$/.exec(await late.promise)?.[1])).toBeGreaterThanOrEqual(100);
  });

  test("says no more once it is stopped", async () => {
    const { say, next } = startRaw();
    const daemon = spawn(await sleeper("iscsid"), ["600"]);
    say("1 watch 1 mp\n");
    expect(await next()).toBe("1 ok");
    say("2 unwatch\n");
    while ((await next()) !== "2 ok");
    daemon.kill("SIGKILL");
    await once(daemon, "exit");
    say("3 unwatch\n");
    expect(await next()).toBe("3 ok");
  });
});

/** A client whose guest is this test. */
const startFake = async () => {
  const socketPath = path.join(await temporaryDirectory(), "guest.sock");
  const agent = await GuestAgent.listen(socketPath, "the target");
  const guest = connect(socketPath);
  guest.on("error", () => undefined);
  onTestFinished(async () => {
    guest.destroy();
    await agent[Symbol.asyncDispose]();
  });
  const lines = createInterface({ input: guest })[Symbol.asyncIterator]();
  // The first line ends what another rig may have left.
  expect((await lines.next()).value).toBe("");
  const asked = async (): Promise<{ id: string; words: string }> => {
    const [, id = "", words = ""] = /^(\d+) (.*)$/.exec(String((await lines.next()).value)) ?? [];
    return { id, words };
  };
  return { agent, guest, asked, socketPath, say: (text: string | Buffer) => void guest.write(text) };
};

describe("the rig's end", () => {
  test("matches answers to what was asked, whatever else is said", async () => {
    const { agent, asked, say } = await startFake();
    const answers = Promise.all([
      agent.call("a", ["x y"]),
      agent.call("b", [Buffer.from("hi"), ""]),
      agent.call("c", []),
    ]);
    const [a, b, c] = [await asked(), await asked(), await asked()];
    expect([a.words, b.words, c.words]).toEqual(["a x%20y", "b 6869 %", "c"]);
    expect(new Set([a.id, b.id, c.id]).size).toBe(3);
    say(`0 fail what?\n${c.id} ok\n1 ok stale\nrubbish\n${c.id} maybe\n! session 1 x\n${b.id} o`);
    await sleep(5);
    say(Buffer.from(`k two words\n\n\x1b[31m\u00ff\n${a.id} ok ${"z".repeat(100)}\n`, "latin1"));
    expect(await answers).toEqual(["z".repeat(100), "two words", ""]);
  });

  test("rejects with what the guest says, made clean", async () => {
    const { agent, asked, say } = await startFake();
    const answer = agent.remove("/x\u001b[31m");
    say(`${(await asked()).id} fail \u001b[31mno\u0007 ${"n".repeat(5000)}\n`);
    const error = await answer.catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ code: "RIG_LAB_AGENT" });
    expect(String(error)).toMatch(/Expected the target's agent to remove \/x; it says: no n{990,999}…\.$/);
  });

  test("does not take nonsense for an answer", async () => {
    const { agent, asked, say } = await startFake();
    const calls = [() => agent.spawn(["x"]), () => agent.kill(9, "x"), () => agent.random(2), () => agent.hello(9999)];
    for (const call of calls) {
      const answer = call();
      say(`${(await asked()).id} ok <0x1>\n`);
      await expect(answer).rejects.toMatchObject({ code: "RIG_LAB_AGENT" });
    }
  });

  test("drops a line that is too long, and takes the next", async () => {
    const { agent, asked, say } = await startFake();
    const answer = agent.call("a", []);
    const { id } = await asked();
    for (let i = 0; i < 20; i++) say("x".repeat(10_000));
    say(`\n${id} ok fine\n`);
    expect(await answer).toBe("fine");
  });

  test("asks a guest that boots again and again, each time by another number", async () => {
    const { agent, asked, say } = await startFake();
    const answer = agent.hello(10_000);
    const [first, second, third] = [await asked(), await asked(), await asked()];
    expect([first.words, second.words, new Set([first.id, second.id, third.id]).size]).toEqual(["hello", "hello", 3]);
    say(`${second.id} ok 1 %231%20SMP%20%1b[31mx\n${first.id} ok 1 late\n`);
    expect(await answer).toBe("#1 SMP x");
  });

  test("says which rig made the snapshot when versions differ", async () => {
    const { agent, asked, say } = await startFake();
    const answer = agent.hello(10_000);
    say(`${(await asked()).id} ok 2 x\n`);
    await expect(answer).rejects.toThrow(/to speak version 1, got "2 x"/);
  });

  test("does not wait for ever, nor longer than it is told", async () => {
    const { agent } = await startFake();
    await expect(agent.call("sync", [], { timeoutMs: 20 })).rejects.toMatchObject({
      code: "RIG_DEADLINE",
      message: "Expected the target's agent to answer sync within 20 ms; it did not happen.",
    });
    await expect(agent.hello(20)).rejects.toMatchObject({ code: "RIG_DEADLINE" });
    const controller = new AbortController();
    const waiting = [
      agent.call("sync", [], { signal: controller.signal }),
      agent.hello(60_000, controller.signal),
      agent.watch(20, ["mp"], () => undefined, controller.signal),
    ];
    controller.abort(new Error("the node died"));
    for (const wait of waiting) await expect(wait).rejects.toThrow("the node died");
  });

  test("sets the clock to the millisecond", async () => {
    const { agent, asked, say } = await startFake();
    const done = agent.setClock(new Date(1_700_000_000_250));
    const { id, words } = await asked();
    expect(words).toBe("clock 1700000000 250000000");
    say(`${id} ok\n`);
    await done;
    void agent.setClock().catch(() => undefined);
    expect((await asked()).words).toMatch(/^clock \d{10} \d{1,9}$/);
  });

  test("gives a watch its own lines only, from its answer on", async () => {
    const { agent, asked, say } = await startFake();
    const seen: string[] = [];
    for (const turn of ["one", "two"]) {
      const watching = agent.watch(20, ["mp x"], line => void seen.push(`${turn}: ${line}`));
      const { id, words } = await asked();
      expect(words).toBe("watch 20 mp%20x");
      say(`! of another\n! ready\n${id} ok\n! daemon iscsid 2\n! ready\n! late 150\n! \u001b[1mx\n`);
      await watching;
    }
    const stopped = agent.unwatch();
    say(`! nobody listens\n${(await asked()).id} ok\n! nor now\n`);
    await stopped;
    expect(seen).toEqual(
      ["one", "two"].flatMap(turn => [`${turn}: daemon iscsid 2`, `${turn}: late 150`, `${turn}: x`]),
    );
  });

  test("tells everybody who waits when the connection ends, and everybody after", async () => {
    const { agent, guest, asked, say } = await startFake();
    const watching = agent.watch(20, ["mp"], () => undefined);
    say(`${(await asked()).id} ok\n`);
    const waiting: Promise<unknown>[] = [watching, agent.call("sync", []), agent.hello(60_000)];
    await asked();
    guest.end();
    waiting.push(once(guest, "close").then(() => agent.call("sync", [])));
    waiting.push(once(guest, "close").then(() => agent.hello(60_000)));
    for (const wait of waiting) {
      await expect(wait).rejects.toMatchObject({
        code: "RIG_LAB_AGENT",
        message: "The connection to the target's agent was lost; its console tells whether the node died.",
      });
    }
  });

  test("has one guest, and can be disposed of twice", async () => {
    const { agent, socketPath, asked, say } = await startFake();
    const other = connect(socketPath);
    await once(other, "close");
    const answer = agent.call("sync", []);
    say(`${(await asked()).id} ok\n`);
    await answer;
    await agent[Symbol.asyncDispose]();
    await agent[Symbol.asyncDispose]();
    await expect(agent.call("sync", [])).rejects.toMatchObject({ code: "RIG_LAB_AGENT" });
  });

  test("says when QEMU is not there yet", async () => {
    const socketPath = path.join(await temporaryDirectory(), "guest.sock");
    await using agent = await GuestAgent.listen(socketPath, "the target");
    await expect(agent.call("sync", [])).rejects.toThrow("QEMU has not connected the target's agent yet.");
    await expect(agent.hello(20)).rejects.toMatchObject({ code: "RIG_DEADLINE" });
  });
});
