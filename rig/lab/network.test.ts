import type Docker from "dockerode";
import { describe, expect, test } from "vitest";
import { createNetwork, removeNetwork, subnetAddress } from "./network.ts";

test("8192 subnets of 8 addresses fill 10.213.0.0/16 and do not overlap", () => {
  const seen = new Set<string>();
  for (let index = 0; index < 8192; index++) {
    for (let host = 0; host < 8; host++) {
      const address = subnetAddress(index, host);
      seen.add(address);
      const parts = address.split(".").map(Number);
      if (parts[0] !== 10 || parts[1] !== 213 || parts.some(part => part > 255)) expect.fail(address);
      // A /29 begins at a multiple of 8.
      if ((parts[3] ?? 0) % 8 !== host) expect.fail(address);
    }
  }
  expect(seen.size).toBe(65_536);
});

interface Made {
  readonly Name: string;
  readonly Labels: Record<string, string>;
  readonly IPAM: { readonly Config: readonly { readonly Subnet: string; readonly Gateway: string }[] };
}

const LABELS = { run: "r", lab: "l", owner: "o" };

const dockerThat = (answers: (attempt: number) => Error | undefined) => {
  const asked: Made[] = [];
  const createNetwork = (options: Made) => {
    asked.push(options);
    const error = answers(asked.length);
    return error === undefined ? Promise.resolve({ id: "net-1" }) : Promise.reject(error);
  };
  return { docker: { createNetwork } as unknown as Docker, asked };
};

describe("a network", () => {
  test("has its labels, and an address for each node that is neither the gateway's nor the other's", async () => {
    const { docker, asked } = dockerThat(() => undefined);
    const network = await createNetwork(docker, "net", LABELS);
    expect(asked[0]?.Labels).toMatchObject({ "org.iscsi-rig.lab": "l" });
    const { Subnet = "", Gateway = "" } = asked[0]?.IPAM.Config[0] ?? {};
    const used = [Subnet.split("/")[0], Gateway, network.address("target"), network.address("initiator")];
    expect(new Set(used).size).toBe(4);
    const last = used.map(address => Number(address?.split(".")[3]) % 8);
    expect(last).toEqual([0, 1, 3, 4]);
  });

  test("is tried elsewhere where its subnet is taken", async () => {
    const { docker, asked } = dockerThat(attempt =>
      attempt < 3 ? new Error("invalid pool request: Pool overlaps with other one on this address space") : undefined,
    );
    expect((await createNetwork(docker, "net", LABELS)).id).toBe("net-1");
    expect(asked).toHaveLength(3);
  });

  test.each([
    ["at once where something else is wrong", "permission denied", 1],
    ["in the end where every subnet is taken", "Pool overlaps", 64],
  ])("is given up %s", async (_name, message, tries) => {
    const { docker, asked } = dockerThat(() => new Error(message));
    await expect(createNetwork(docker, "net", LABELS)).rejects.toMatchObject({
      code: "RIG_LAB_NETWORK",
      blame: "environment",
      message: expect.stringContaining(message) as string,
    });
    expect(asked).toHaveLength(tries);
  });

  test("that is gone already needs no removing; one that cannot be removed is an error", async () => {
    const dockerWith = (statusCode: number) =>
      ({
        getNetwork: () => ({ remove: () => Promise.reject(Object.assign(new Error("no"), { statusCode })) }),
      }) as unknown as Docker;
    await removeNetwork(dockerWith(404), "net-1");
    await expect(removeNetwork(dockerWith(409), "net-1")).rejects.toThrow("no");
  });
});
