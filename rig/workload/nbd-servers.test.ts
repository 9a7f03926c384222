/**
 * The client against servers: the one that the labs use (containers/guest/nbd.c), and two that others wrote, qemu-nbd, and nbdkit,
 * whose filters answer late or with errors. `make setup-tests` installs these.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { poll } from "../core/clock.ts";
import { run, runOk } from "../core/exec.ts";
import { cacheDir, PROJECT_DIR } from "../core/paths.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { NbdDisconnected, NbdIoError } from "./block-device.ts";
import { NbdClient } from "./nbd.ts";
import { NbdDevice } from "./nbd-device.ts";
import { readExtents, runTag, stampWrite } from "./stamp.ts";

const SIZE = 4 * 2 ** 20;
const RUN = runTag("servers");

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
};

interface Served {
  readonly port: number;
  readonly process: ChildProcess;
}

/** Starts a server and waits until it listens. */
const serve = async (argv: (port: number) => readonly string[]): Promise<Served> => {
  const port = await freePort();
  const [program = "", ...rest] = argv(port);
  const child = spawn(program, rest, { stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await poll(
    () =>
      NbdClient.connect("127.0.0.1", port, "", 1000).then(
        async client => {
          await client[Symbol.asyncDispose]();
          return true;
        },
        () => undefined,
      ),
    { everyMs: 20, withinMs: 10_000, expected: `${program} to listen` },
  );
  return { port, process: child };
};

const qemuNbd = async (...more: readonly string[]): Promise<Served> => {
  const image = path.join(await temporaryDirectory(), "disk.img");
  await writeFile(image, "");
  await truncate(image, SIZE);
  const options = ["--persistent", "--shared=8", "--format=raw", "--discard=unmap", "--bind=127.0.0.1", ...more];
  return serve(port => ["qemu-nbd", ...options, `--port=${port}`, image]);
};

/** The guest's server, and a file for it in the cache directory: a file system in memory may not know O_DIRECT. */
const builtNbd = async (): Promise<{ readonly program: string; readonly image: string }> => {
  await mkdir(cacheDir(), { recursive: true });
  const directory = await mkdtemp(path.join(cacheDir(), "test-nbd-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const [program, image] = [path.join(directory, "rig-nbd"), path.join(directory, "disk.img")];
  const source = path.join(PROJECT_DIR, "containers/guest/nbd.c");
  await runOk(["gcc", "-static", "-Os", "-Wall", "-Wextra", "-Werror", "-o", program, source], "RIG_IMAGE_BUILD");
  await writeFile(image, "");
  await truncate(image, SIZE);
  return { program, image };
};

const rigNbd = async (): Promise<Served> => {
  const { program, image } = await builtNbd();
  return serve(port => [program, "-f", image, String(port), ""]);
};

/** Address space of a process, in MiB. */
const addressesOf = async ({ process: { pid } }: Served): Promise<number> =>
  Number((await readFile(`/proc/${pid}/statm`, "utf8")).split(" ")[0]) / 256;

const nbdkit = (filters: readonly string[], ...settings: readonly string[]): Promise<Served> =>
  serve(port => [
    ...["nbdkit", "--foreground", "--exit-with-parent", "--ipaddr=127.0.0.1", `--port=${port}`],
    ...filters.map(filter => `--filter=${filter}`),
    ...["memory", String(SIZE), ...settings],
  ]);

const connect = async (port: number): Promise<NbdClient> => {
  const client = await NbdClient.connect("127.0.0.1", port, "", 5000);
  onTestFinished(() => client[Symbol.asyncDispose]());
  return client;
};

const writeOf = (op: number, sector: number, sectors: number): Buffer => stampWrite({ run: RUN, op, sector, sectors });

const present = (program: string): boolean => ["/usr/bin", "/usr/sbin"].some(dir => existsSync(`${dir}/${program}`));

describe.skipIf(!present("gcc"))("with the guest's own server", () => {
  test("an export offers everything, in whole sectors", async () => {
    const client = await connect((await rigNbd()).port);
    expect([client.sizeBytes, client.can.readOnly, client.can.multiConnection]).toEqual([SIZE, false, true]);
    expect([client.can.flush, client.can.fua, client.can.trim, client.can.writeZeroes]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(client.blocks).toEqual({ minimum: 512, preferred: 4096, maximum: SIZE });
  });

  test("every size from a sector to 4 MiB is written and read, with FUA and without", async () => {
    const client = await connect((await rigNbd()).port);
    for (const [index, sectors] of [1, 7, 8, 127, 128, 129, 511, 2048, SIZE / 512].entries()) {
      const sector = sectors === SIZE / 512 ? 0 : index;
      await client.write(sector * 512, writeOf(index + 1, sector, sectors), { fua: index % 2 === 0 });
      expect(readExtents(await client.read(sector * 512, sectors * 512), sector, RUN)).toEqual([
        { is: "write", at: sector, n: sectors, op: index + 1, i: 0 },
      ]);
    }
    await client.flush();
    await client.writeZeroes(1024, 1024);
    const [before, zero] = readExtents(await client.read(0, 4096), 0, RUN);
    expect([before?.is, zero]).toEqual(["write", { is: "zero", at: 2, n: 2 }]);
  });

  test("thousands of requests over four connections each get their own answer", async () => {
    const { port } = await rigNbd();
    await using device = await NbdDevice.connect({ host: "127.0.0.1", port, exportName: "" }, 4, 5000);
    for (let round = 0; round < 4; round++) {
      const op = (index: number) => round * 1024 + index + 1;
      await Promise.all(
        Array.from({ length: 1024 }, (_, index) => device.write(index * 4096, writeOf(op(index), index * 8, 8))),
      );
      const reads = Array.from({ length: 1024 }, (_, index) => device.read(index * 4096, 4096));
      for (const [index, bytes] of (await Promise.all(reads)).entries())
        expect(readExtents(bytes, index * 8, RUN)).toEqual([{ is: "write", at: index * 8, n: 8, op: op(index), i: 0 }]);
    }
  });

  test("more requests at once than the kernel takes are all done", async () => {
    const client = await connect((await rigNbd()).port);
    const count = 4000;
    const writes = Array.from({ length: count }, (_, index) => client.write(index * 512, writeOf(index + 1, index, 1)));
    expect(client.inFlight).toBe(count);
    await Promise.all(writes);
    const reads = await Promise.all(Array.from({ length: count }, (_, index) => client.read(index * 512, 512)));
    for (const [index, bytes] of reads.entries())
      expect(readExtents(bytes, index, RUN)).toEqual([{ is: "write", at: index, n: 1, op: index + 1, i: 0 }]);
  });

  test("memory is kept for a while after its answer, and no longer", async () => {
    const served = await rigNbd();
    const client = await connect(served.port);
    const write = async (mib: number) => {
      for (let op = 1; op <= mib; op++) await client.write(0, writeOf(op, 0, 2048));
    };
    const before = await addressesOf(served);
    await write(24);
    expect((await addressesOf(served)) - before).toBeGreaterThanOrEqual(24);
    await write(40);
    const kept = (await addressesOf(served)) - before;
    expect(kept).toBeGreaterThanOrEqual(32);
    expect(kept).toBeLessThan(36);
  });

  test.each([6, 7])("in the background, a set-up that fails is told (%i open files)", async files => {
    const { program, image } = await builtNbd();
    const port = String(await freePort());
    const script = `ulimit -n ${files}; exec "$@"`;
    const { exitCode, stderr } = await run(["bash", "-c", script, "bash", program, image, port, ""]);
    expect([exitCode, stderr.trim()]).toEqual([1, expect.stringMatching(/^rig-nbd: .*: Too many open files$/)]);
  });

  test("in the background, it listens when it returns, and holds nobody's output open", async () => {
    const { program, image } = await builtNbd();
    const port = await freePort();
    await runOk([program, image, String(port), "", "1"], "RIG_NBD");
    const found = await run(["pgrep", "-f", `${program} ${image}`]);
    onTestFinished(() => void process.kill(Number(found.stdout), "SIGKILL"));
    const client = await connect(port);
    await client.write(0, writeOf(1, 0, 2048));
    expect(readExtents(await client.read(0, 4096), 0, RUN)).toEqual([{ is: "write", at: 0, n: 8, op: 1, i: 0 }]);
  });

  test("what the device refuses comes back as its error, and a client that vanishes harms no other", async () => {
    const { port } = await rigNbd();
    const [one, other] = [await connect(port), await connect(port)];
    // A file is no block device: it cannot discard.
    await expect(one.trim(0, 4096)).rejects.toBeInstanceOf(NbdIoError);
    const gone = Array.from({ length: 64 }, (_, index) =>
      one.write(index * 65_536, writeOf(index + 1, index * 128, 128)),
    );
    const settled = Promise.allSettled(gone);
    await one[Symbol.asyncDispose]();
    await settled;
    await other.write(0, writeOf(99, 0, 8));
    expect(readExtents(await other.read(0, 4096), 0, RUN)).toEqual([{ is: "write", at: 0, n: 8, op: 99, i: 0 }]);
  });

  test("an export that it does not have is refused", async () => {
    const { port } = await rigNbd();
    await expect(NbdClient.connect("127.0.0.1", port, "other", 2000)).rejects.toMatchObject({
      code: "RIG_NBD",
      message: expect.stringContaining("refused the export other (6)") as string,
    });
  });
});

describe.skipIf(!present("qemu-nbd"))("with qemu-nbd", () => {
  test("an export is as it is said to be", async () => {
    const client = await connect((await qemuNbd()).port);
    expect([client.sizeBytes, client.can.flush, client.can.fua, client.can.trim, client.can.writeZeroes]).toEqual([
      SIZE,
      true,
      true,
      true,
      true,
    ]);
    expect(client.blocks.maximum).toBeGreaterThanOrEqual(2 ** 20);
  });

  test("every kind of request does what it says, from one sector to 1 MiB", async () => {
    const client = await connect((await qemuNbd()).port);
    await Promise.all([
      client.write(0, writeOf(1, 0, 1)),
      client.write(512, writeOf(2, 1, 2048), { fua: true }),
      client.write(2 ** 20 + 512, writeOf(3, 2049, 8)),
    ]);
    await client.flush();
    await client.writeZeroes(1024, 1024, { noHole: true });
    await client.trim(8192, 4096);
    const [head, tail] = await Promise.all([client.read(0, 4096), client.read(2 ** 20 + 512, 4096)]);
    expect(readExtents(head, 0, RUN)).toEqual([
      { is: "write", at: 0, n: 1, op: 1, i: 0 },
      { is: "write", at: 1, n: 1, op: 2, i: 0 },
      { is: "zero", at: 2, n: 2 },
      { is: "write", at: 4, n: 4, op: 2, i: 3 },
    ]);
    expect(readExtents(tail, 2049, RUN)).toEqual([{ is: "write", at: 2049, n: 8, op: 3, i: 0 }]);
  });

  test("a read-only export is known as one", async () => {
    const client = await connect((await qemuNbd("--read-only")).port);
    expect(client.can.readOnly).toBe(true);
    await expect(client.write(0, Buffer.alloc(512))).rejects.toMatchObject({ code: "RIG_NBD" });
  });

  test("256 requests are under way over four connections", async () => {
    const { port } = await qemuNbd();
    await using device = await NbdDevice.connect({ host: "127.0.0.1", port, exportName: "" }, 4, 5000);
    const writes = Array.from({ length: 256 }, (_, index) =>
      device.write(index * 4096, writeOf(index + 1, index * 8, 8)),
    );
    expect(device.inFlight).toBe(256);
    await Promise.all(writes);
    await device.flush();
    const extents = readExtents(await device.read(0, 2 ** 20), 0, RUN);
    expect(extents.map(extent => extent.is === "write" && extent.op)).toEqual(
      Array.from({ length: 256 }, (_, index) => index + 1),
    );
  });

  test("its death leaves what was asked without an answer", async () => {
    const { port, process: server } = await qemuNbd();
    const client = await connect(port);
    await client.write(0, writeOf(1, 0, 8));
    server.kill("SIGSTOP");
    const waiting = client.write(4096, writeOf(2, 8, 8));
    server.kill("SIGKILL");
    await expect(waiting).rejects.toBeInstanceOf(NbdDisconnected);
    expect(await client.ended).not.toBe("");
  });
});

describe.skipIf(!present("nbdkit"))("with nbdkit", () => {
  test("block sizes are learned and kept to", async () => {
    const sizes = ["blocksize-minimum=4096", "blocksize-preferred=8192", "blocksize-maximum=64K"];
    const client = await connect((await nbdkit(["blocksize-policy"], ...sizes)).port);
    expect(client.blocks).toEqual({ minimum: 4096, preferred: 8192, maximum: 65_536 });
    await expect(client.write(512, Buffer.alloc(512))).rejects.toMatchObject({ code: "RIG_NBD" });
    await expect(client.read(0, 131_072)).rejects.toMatchObject({ code: "RIG_NBD" });
    await client.write(4096, writeOf(1, 8, 8));
    await client.writeZeroes(0, 2 ** 20);
  });

  test.each([
    ["EIO", "EIO"],
    ["ENOSPC", "ENOSPC"],
    ["EPERM", "EPERM"],
  ])("%s comes back by its name, and the connection lives", async (error, name) => {
    const client = await connect((await nbdkit(["error"], `error=${error}`, "error-pwrite-rate=100%")).port);
    const write = client.write(0, writeOf(1, 0, 8));
    await expect(write).rejects.toBeInstanceOf(NbdIoError);
    await expect(write).rejects.toMatchObject({ message: name });
    expect((await client.read(0, 4096)).equals(Buffer.alloc(4096))).toBe(true);
  });

  test("some requests fail and others do not", async () => {
    const client = await connect((await nbdkit(["error"], "error-pwrite-rate=50%")).port);
    const writes = Array.from({ length: 200 }, (_, index) => client.write(index * 512, writeOf(index + 1, index, 1)));
    const settled = await Promise.allSettled(writes);
    const disk = await client.read(0, 200 * 512);
    for (const [index, { status }] of settled.entries()) {
      const [extent] = readExtents(disk.subarray(index * 512, (index + 1) * 512), index, RUN);
      expect(extent?.is).toBe(status === "fulfilled" ? "write" : "zero");
    }
    expect(new Set(settled.map(({ status }) => status)).size).toBe(2);
  });

  test("late answers come, and early ones do not wait for them", async () => {
    const client = await connect((await nbdkit(["delay"], "wdelay=300ms")).port);
    const order: string[] = [];
    const write = client.write(0, writeOf(1, 0, 8)).then(() => order.push("write"));
    await client.read(4096, 4096).then(() => order.push("read"));
    await write;
    expect(order).toEqual(["read", "write"]);
  });

  test("what it does not offer is not asked of it", async () => {
    const client = await connect((await nbdkit(["nozero"])).port);
    expect(client.can.writeZeroes).toBe(false);
    await expect(client.writeZeroes(0, 4096)).rejects.toMatchObject({ code: "RIG_NBD" });
  });

  test("several connections are refused where it does not vouch for them", async () => {
    const { port } = await nbdkit(["multi-conn"], "multi-conn-mode=disable");
    await expect(NbdDevice.connect({ host: "127.0.0.1", port, exportName: "" }, 2, 5000)).rejects.toMatchObject({
      code: "RIG_NBD",
    });
  });
});
