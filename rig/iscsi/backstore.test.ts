import { describe, expect, test } from "vitest";
import { run } from "../core/exec.ts";
import { BACKSTORES, backstoreArguments, expectedBackstores, type Luns, requireBackstores } from "./backstore.ts";

const ONE: Luns = { luns: 1, cache: "none", discard: false, mapper: false };

describe("the set-up script is called with", () => {
  test.each<[string, Partial<Luns>, string]>([
    ["one disk where nothing else is asked for", {}, "iblock_0 no no /dev/vdc"],
    ["a disk for each LUN", { luns: 3 }, "iblock_0 no no /dev/vdc /dev/vdd /dev/vde"],
    ["buffered files for a volatile cache", { cache: "volatile" }, "fileio_0 no no /dev/vdc"],
    ["a mapper, and discards", { mapper: true, discard: true }, "iblock_0 yes yes /dev/vdc"],
  ])("%s", (_name, more, words) => {
    expect(backstoreArguments({ ...ONE, ...more }).join(" ")).toBe(words);
  });

  test("what a shell can read", async () => {
    expect(await run(["sh", "-n", "-c", BACKSTORES])).toMatchObject({ exitCode: 0, stderr: "" });
  });
});

test("a volatile cache must be read back of every LUN; without one nothing need be", () => {
  expect(expectedBackstores({ ...ONE, luns: 2 })).toEqual({});
  expect(expectedBackstores({ ...ONE, luns: 2, cache: "volatile" })).toEqual({
    write_cache_0: "1",
    write_cache_1: "1",
  });
});

test("a kernel without fileio is the machine's lack", () => {
  requireBackstores({ write_cache_0: "1" });
  requireBackstores({ missing: "rdma_rxe" });
  expect(() => requireBackstores({ missing: "target_core_file" })).toThrow(
    expect.objectContaining({
      code: "RIG_ISCSI_SETUP",
      blame: "environment",
      message: expect.stringContaining("CONFIG_TCM_FILEIO") as string,
    }) as Error,
  );
});
