import { chmod, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "../core/exec.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { pathOfRdmaDevice, RDMA_LINKS, rdmaLinks, requireRdma } from "./transport.ts";

describe("the links", () => {
  test("are one a path and node, for iser only", () => {
    expect(rdmaLinks("target", "iser")).toBe("ib_isert rxe_a:eth1 rxe_b:eth2");
    expect(rdmaLinks("initiator", "iser")).toBe("ib_iser rxe_a:eth1 rxe_b:eth2");
    expect(rdmaLinks("target", "tcp")).toBe("");
  });

  test("tell which path they belong to", () => {
    expect([pathOfRdmaDevice("rxe_a"), pathOfRdmaDevice("rxe_b")]).toEqual(["a", "b"]);
    for (const name of ["", "rxe_", "rxe_c", "mlx5_0", "a"]) expect(pathOfRdmaDevice(name)).toBeUndefined();
  });
});

/** Runs the scripts' function with a modprobe, an rdma and a grep (for /proc/crypto) that say and do what is given. */
const makeLinks = async (
  programs: Readonly<Record<"modprobe" | "rdma" | "grep", string>>,
  ...args: readonly string[]
) => {
  const dir = await temporaryDirectory();
  for (const [name, body] of Object.entries(programs)) {
    const file = path.join(dir, name);
    await writeFile(file, `#!/bin/sh\n${body}\n`);
    await chmod(file, 0o755);
  }
  const text = `PATH=${dir}:$PATH\n${RDMA_LINKS}\nrdma_links "$@"\necho went on`;
  const { exitCode, stdout, stderr } = await run(["sh", "-euc", text, "sh", ...args]);
  return { exitCode, said: `${stdout}${stderr}`.trim().split("\n") };
};

/** A name that no kernel has a module of. */
const ARGS = ["rig_none", "rxe_a:eth1", "rxe_b:eth2"];
const HEALTHY = { modprobe: "exit 0", rdma: 'echo "$@" >&2', grep: "exit 0" };

describe("making the links in a guest", () => {
  test("does nothing where none are asked for", async () => {
    expect(await makeLinks({ ...HEALTHY, modprobe: "exit 1" })).toEqual({ exitCode: 0, said: ["went on"] });
  });

  test("makes one for each NIC", async () => {
    const log = path.join(await temporaryDirectory(), "log");
    const rdma = `echo "$@" >> ${log}`;
    expect(await makeLinks({ ...HEALTHY, rdma }, ...ARGS)).toEqual({ exitCode: 0, said: ["went on"] });
    const { stdout } = await run(["cat", log]);
    expect(stdout).toBe("link add rxe_a type rxe netdev eth1\nlink add rxe_b type rxe netdev eth2\n");
  });

  test.each<[string, Partial<typeof HEALTHY>, string]>([
    ["the end's own driver", { modprobe: "case $* in *rig_none) exit 1;; esac" }, "rig_none"],
    ["rxe", { modprobe: "case $* in *rdma_rxe) exit 1;; esac", rdma: "exit 1" }, "rdma_rxe"],
    ["rxe's checksum", { rdma: "exit 1", grep: "exit 1" }, "crc32_generic"],
  ])("names what is missing: %s", async (_what, programs, missing) => {
    expect(await makeLinks({ ...HEALTHY, ...programs }, ...ARGS)).toEqual({
      exitCode: 0,
      said: [`missing=${missing}`],
    });
  });

  test("takes what is built in, where there is no module to load", async () => {
    const modprobe = "case $* in *rdma_rxe | *crc32*) exit 1;; esac";
    expect((await makeLinks({ ...HEALTHY, modprobe }, ...ARGS)).said.at(-1)).toBe("went on");
  });

  test("fails with rdma's words where nothing is missing", async () => {
    const rdma = "echo 'error: Invalid argument' >&2; exit 1";
    expect(await makeLinks({ ...HEALTHY, rdma }, ...ARGS)).toEqual({
      exitCode: 1,
      said: ["rdma link add rxe_a: error: Invalid argument"],
    });
  });
});

describe("a kernel that lacks something", () => {
  test("is told from one that does not", () => {
    requireRdma("target", { ImmediateData: "Yes" });
    expect(() => requireRdma("target", { missing: "rdma_rxe" })).toThrow(
      expect.objectContaining({
        code: "RIG_ISCSI_SETUP",
        blame: "environment",
        message: expect.stringContaining("needs rdma_rxe (CONFIG_RDMA_RXE) in the kernel of the target") as string,
      }) as Error,
    );
  });

  test.each(["", "constructor", "\u001b[31m"])("does not make the message say %j", module => {
    expect(() => requireRdma("initiator", { missing: module })).toThrow("iser needs what RDMA needs in the kernel");
  });
});
