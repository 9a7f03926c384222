import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import type { Node } from "../lab/node.ts";
import type { RemoteOptions } from "../lab/ssh.ts";
import { login, parseSessions, prepareInitiator } from "./initiator.ts";
import { expectedSysfs, sessionSchema, timingSchema } from "./parameters.ts";

const timing = timingSchema.parse({});
const parameters = sessionSchema.parse({});

const block = (sid: number, address: string, disk: string, more: Readonly<Record<string, string>> = {}): string =>
  `--\n${Object.entries({
    sid: String(sid),
    disk,
    dev: `8:${(sid - 1) * 16}`,
    sectors: "131072",
    queue_depth: "32",
    state: "LOGGED_IN",
    ...expectedSysfs(timing, parameters),
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
      { path: "a", sid: "2", disk: "sdb", dev: "8:16", sectors: 131_072 },
      { path: "b", sid: "1", disk: "sda", dev: "8:0", sectors: 131_072 },
    ]);
    expect(parseSessions(BOTH)[0]?.values["recovery_tmo"]).toBe("120");
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
    expect((await login(node, timing, parameters)).map(({ path }) => path)).toEqual(["a", "b"]);
    expect(seen.at(-1)).toBe("2");
  });

  test("fails where a path has no session", async () => {
    const node = nodeThat(() => block(1, "10.1.0.2", "sda"));
    await expect(login(node, timing, parameters)).rejects.toThrow("Expected a session over path b; there is none.");
  });

  test("fails where something else was negotiated", async () => {
    const node = nodeThat(() => block(1, "10.1.0.2", "sda", { first_burst_len: "8192" }) + block(2, "10.2.0.2", "sdb"));
    await expect(login(node, timing, parameters)).rejects.toThrow(
      "The session over path a did not take the scenario's parameters: first_burst_len: expected 262144, seen 8192.",
    );
  });

  test("that the initiator refuses is told in its words; a deadline stays a deadline", async () => {
    const failing = (code: "RIG_LAB_EXEC" | "RIG_DEADLINE") =>
      nodeThat(() => {
        throw new RigError(code, "iscsiadm: No records found");
      });
    await expect(login(failing("RIG_LAB_EXEC"), timing, parameters)).rejects.toMatchObject({
      code: "RIG_ISCSI_SETUP",
      message: "The initiator could not log in. iscsiadm: No records found",
    });
    await expect(login(failing("RIG_DEADLINE"), timing, parameters)).rejects.toMatchObject({ code: "RIG_DEADLINE" });
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
  );
  const [name, conf, neighbours, ...records] = seen.slice(-6);
  expect(neighbours).toContain("neigh replace 10.1.0.2 lladdr 52:54:00:00:01:02 dev eth1 nud reachable\n");
  expect(name).toBe("iqn.2026-01.org.iscsi-rig:initiator");
  expect(conf).toContain("node.session.timeo.replacement_timeout = 120\n");
  expect(records).toEqual(["iqn.2026-01.org.iscsi-rig:target", "10.1.0.2:3260", "10.2.0.2:3260"]);
});
