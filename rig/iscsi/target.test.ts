import { describe, expect, test } from "vitest";
import type { ExecResult } from "../core/exec.ts";
import type { Node } from "../lab/node.ts";
import type { RemoteOptions } from "../lab/ssh.ts";
import type { Luns } from "./backstore.ts";
import { sessionSchema, timingSchema } from "./parameters.ts";
import { parsePairs, requireSame, startTarget } from "./target.ts";

test("pairs: one a line, the first equals sign counts, other lines are noise", () => {
  expect(parsePairs("a=1\nb=x=y \n\nnoise\n=v\nc=\n")).toEqual({ a: "1", b: "x=y", "": "v", c: "" });
  expect(parsePairs("")).toEqual({});
});

describe("what was read back", () => {
  test("may say more than was asked for", () => {
    requireSame("The target", { a: "1" }, { a: "1", b: "2" });
    requireSame("The target", {}, {});
  });

  test("must say all of it, and every difference is named", () => {
    expect(() => requireSame("The target", { a: "1", b: "2", c: "3" }, { a: "1", b: "0" })).toThrow(
      expect.objectContaining({
        code: "RIG_ISCSI_SETUP",
        blame: "scenario",
        message:
          "The target did not take the scenario's parameters: b: expected 2, seen 0; c: expected 3, seen nothing.",
      }) as Error,
    );
  });
});

const LUNS: Luns = { luns: 1, cache: "none", discard: false, mapper: false };

/** A node whose scripts are answered here. */
const nodeThat = (answer: (argv: readonly string[], input: string) => string): Node =>
  ({
    ssh: {
      execOk: (argv: readonly string[], { input = "" }: RemoteOptions): Promise<Partial<ExecResult>> =>
        Promise.resolve({ stdout: answer(argv, input) }),
    },
  }) as unknown as Node;

describe("starting the target", () => {
  const timing = timingSchema.parse({ targetNopinTimeout: 0 });
  const session = sessionSchema.parse({ initialR2T: true, targetMaxRecvDataSegmentLength: 8192 });

  test("hands over portals on both paths and the parameters, and gives back what LIO took", async () => {
    let seen: readonly string[] = [];
    const node = nodeThat(argv => {
      seen = argv;
      return [...argv.filter(argument => argument.includes("=")), "nopin_timeout=0"].join("\n");
    });
    expect(await startTarget(node, timing, session, "tcp", LUNS)).toMatchObject({
      InitialR2T: "Yes",
      nopin_timeout: "0",
    });
    expect(seen).toContain("10.1.0.2:3260 10.2.0.2:3260");
    expect(seen).toContain("MaxRecvDataSegmentLength=8192");
  });

  test("has RDMA devices made for iser only", async () => {
    const links = async (transport: "tcp" | "iser") => {
      let seen: readonly string[] = [];
      const node = nodeThat(argv => {
        seen = argv;
        return [...argv.filter(argument => argument.includes("=")), "nopin_timeout=0"].join("\n");
      });
      await startTarget(node, timing, session, transport, LUNS);
      return seen[seen.indexOf("ImmediateData=Yes") - 2];
    };
    expect(await links("tcp")).toBe("");
    expect(await links("iser")).toBe("ib_isert rxe_a:eth1 rxe_b:eth2");
  });

  test("on a kernel without what iser needs is the machine's lack", async () => {
    const node = nodeThat(() => "missing=rdma_rxe\n");
    await expect(startTarget(node, timing, session, "iser", LUNS)).rejects.toMatchObject({
      code: "RIG_ISCSI_SETUP",
      blame: "environment",
      message: expect.stringContaining("needs rdma_rxe (CONFIG_RDMA_RXE) in the kernel of the target") as string,
    });
  });

  test("hands over the backstores, and fails where a cache is not what was asked for", async () => {
    let seen: readonly string[] = [];
    const node = (cache: string) =>
      nodeThat(argv => {
        seen = argv;
        const echoed = argv.filter(argument => argument.includes("="));
        return [...echoed, "nopin_timeout=0", "write_cache_0=1", `write_cache_1=${cache}`].join("\n");
      });
    const volatile: Luns = { ...LUNS, luns: 2, cache: "volatile" };
    await startTarget(node("1"), timing, session, "tcp", volatile);
    expect(seen).toContain("fileio_0 no no /dev/vdc /dev/vdd");
    await expect(startTarget(node("0"), timing, session, "tcp", volatile)).rejects.toThrow(
      "write_cache_1: expected 1, seen 0",
    );
  });

  test("fails where LIO took something else", async () => {
    const node = nodeThat(() => "ImmediateData=Yes\nInitialR2T=No\n");
    await expect(startTarget(node, timing, session, "tcp", LUNS)).rejects.toMatchObject({ code: "RIG_ISCSI_SETUP" });
  });
});
