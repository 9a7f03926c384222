import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import type { Node } from "../lab/node.ts";
import type { RemoteOptions } from "../lab/ssh.ts";
import { login, parseSessions, prepareInitiator } from "./initiator.ts";
import { expectedSysfs, sessionSchema, timingSchema } from "./parameters.ts";

const timing = timingSchema.parse({});
const parameters = sessionSchema.parse({});
const LUNS = { luns: 1, cache: "none" } as const;

const block = (sid: number, address: string, disk: string, more: Readonly<Record<string, string>> = {}): string =>
  `--\n${Object.entries({
    sid: String(sid),
    "disk.0": disk,
    "dev.0": `8:${(sid - 1) * 16}`,
    "sectors.0": "131072",
    "queue_depth.0": "32",
    "write_cache.0": "write through",
    state: "LOGGED_IN",
    ...expectedSysfs(timing, parameters, "tcp"),
    persistent_address: address,
    persistent_port: "3260",
    ...more,
  })
    .map(([name, value]) => `${name}=${value}`)
    .join("\n")}\n`;

const BOTH = block(1, "10.2.0.2", "sda") + block(2, "10.1.0.2", "sdb");

describe("sessions as the kernel has them", () => {
  test("are told apart by the address they lead to, path a first", () => {
    expect(parseSessions(BOTH)).toMatchObject([
      { path: "a", sid: "2", disks: [{ lun: 0, name: "sdb", dev: "8:16", sectors: 131_072 }] },
      { path: "b", sid: "1", disks: [{ lun: 0, name: "sda", dev: "8:0", sectors: 131_072 }] },
    ]);
    expect(parseSessions(BOTH)[0]?.values["recovery_tmo"]).toBe("120");
  });

  test("have a disk for each LUN, in the order of the LUNs", () => {
    const more = { "disk.10": "sdd", "dev.10": "8:48", "sectors.10": "8", "disk.1": "sdc", "disk.x": "sdx" };
    const [session] = parseSessions(block(1, "10.1.0.2", "sda", more));
    expect(session?.disks.map(({ lun, name, sectors }) => [lun, name, sectors])).toEqual([
      [0, "sda", 131_072],
      [1, "sdc", Number.NaN],
      [10, "sdd", 8],
    ]);
    expect(parseSessions("--\nsid=1\npersistent_address=10.1.0.2\n")[0]?.disks).toEqual([]);
  });

  test("none is none, whatever was printed before", () => {
    expect(parseSessions("")).toEqual([]);
    expect(parseSessions("iscsiadm: warning=1\n")).toEqual([]);
  });

  test.each(["192.168.0.1", "", "10.3.0.2"])("an address %j that is on no path is an error", address => {
    expect(() => parseSessions(block(1, address, "sda"))).toThrow(
      expect.objectContaining({
        code: "RIG_ISCSI_SETUP",
        message: expect.stringContaining(`the address ${JSON.stringify(address)}, which`) as string,
      }) as Error,
    );
  });
});

/** A node whose one script is answered here, or fails. */
const nodeThat = (answer: (argv: readonly string[], input: string) => string): Node =>
  ({
    ssh: {
      execOk: async (argv: readonly string[], { input = "" }: RemoteOptions) => {
        await Promise.resolve();
        return { stdout: answer(argv, input) };
      },
    },
  }) as unknown as Node;

describe("logging in", () => {
  test("gives both sessions when they are as asked for", async () => {
    let seen: readonly string[] = [];
    const node = nodeThat(argv => {
      seen = argv;
      return BOTH;
    });
    expect((await login(node, timing, parameters, "tcp", LUNS)).map(({ path }) => path)).toEqual(["a", "b"]);
    expect(seen.at(-1)).toBe("2");
  });

  test("fails where a path has no session", async () => {
    const node = nodeThat(() => block(1, "10.1.0.2", "sda"));
    await expect(login(node, timing, parameters, "tcp", LUNS)).rejects.toThrow(
      "Expected a session over path b; there is none.",
    );
  });

  test("waits for every LUN's disk on every path, and fails where a session has not got it", async () => {
    let seen: readonly string[] = [];
    const node = nodeThat(argv => {
      seen = argv;
      return BOTH;
    });
    await expect(login(node, timing, parameters, "tcp", { luns: 2, cache: "none" })).rejects.toThrow(
      "The session over path a did not take the scenario's parameters: queue_depth.1: expected 32, seen nothing.",
    );
    expect(seen.at(-1)).toBe("4");
  });

  test("with a volatile cache fails where the disk does not tell of one", async () => {
    const volatile = { luns: 1, cache: "volatile" } as const;
    const node = nodeThat(() => BOTH);
    await expect(login(node, timing, parameters, "tcp", volatile)).rejects.toThrow(
      "write_cache.0: expected write back, seen write through",
    );
    const told = nodeThat(() => BOTH.replaceAll("write through", "write back"));
    expect(await login(told, timing, parameters, "tcp", volatile)).toHaveLength(2);
  });

  test("fails where something else was negotiated", async () => {
    const node = nodeThat(() => block(1, "10.1.0.2", "sda", { first_burst_len: "8192" }) + block(2, "10.2.0.2", "sdb"));
    await expect(login(node, timing, parameters, "tcp", LUNS)).rejects.toThrow(
      "The session over path a did not take the scenario's parameters: first_burst_len: expected 262144, seen 8192.",
    );
  });

  test("that the initiator refuses is told in its words; a deadline stays a deadline", async () => {
    const failing = (code: "RIG_LAB_EXEC" | "RIG_DEADLINE") =>
      nodeThat(() => {
        throw new RigError(code, "iscsiadm: No records found");
      });
    await expect(login(failing("RIG_LAB_EXEC"), timing, parameters, "tcp", LUNS)).rejects.toMatchObject({
      code: "RIG_ISCSI_SETUP",
      message: "The initiator could not log in. iscsiadm: No records found",
    });
    await expect(login(failing("RIG_DEADLINE"), timing, parameters, "tcp", LUNS)).rejects.toMatchObject({
      code: "RIG_DEADLINE",
    });
  });
});

test("preparing hands over the name, the configuration and the portals", async () => {
  let seen: readonly string[] = [];
  await prepareInitiator(
    nodeThat(argv => {
      seen = argv;
      return "";
    }),
    timing,
    parameters,
    "tcp",
  );
  const [name, conf, neighbours, ...records] = seen.slice(-8);
  expect(neighbours).toContain("neigh replace 10.1.0.2 lladdr 52:54:00:00:01:02 dev eth1 nud reachable\n");
  expect(name).toBe("iqn.2026-01.org.iscsi-rig:initiator");
  expect(conf).toContain("node.session.timeo.replacement_timeout = 120\n");
  const target = "iqn.2026-01.org.iscsi-rig:target";
  expect(records).toEqual([target, "", "default", "10.1.0.2:3260", "10.2.0.2:3260"]);
});

describe("over iser", () => {
  test("preparing makes the RDMA devices and takes open-iscsi's interface for it", async () => {
    let seen: readonly string[] = [];
    const node = nodeThat(argv => {
      seen = argv;
      return "";
    });
    await prepareInitiator(node, timing, parameters, "iser");
    expect(seen.slice(-4)).toEqual(["ib_iser rxe_a:eth1 rxe_b:eth2", "iser", "10.1.0.2:3260", "10.2.0.2:3260"]);
  });

  test("a kernel without it is the machine's lack, not the rig's", async () => {
    await expect(
      prepareInitiator(
        nodeThat(() => "missing=ib_iser\n"),
        timing,
        parameters,
        "iser",
      ),
    ).rejects.toMatchObject({
      code: "RIG_ISCSI_SETUP",
      blame: "environment",
      message: expect.stringContaining(
        "needs ib_iser (CONFIG_INFINIBAND_ISER) in the kernel of the initiator",
      ) as string,
    });
  });

  test("a session that went by TCP after all is found", async () => {
    const node = nodeThat(() => BOTH);
    await expect(login(node, timing, parameters, "iser", LUNS)).rejects.toThrow(
      "proc_name: expected iscsi_iser, seen iscsi_tcp",
    );
  });
});
