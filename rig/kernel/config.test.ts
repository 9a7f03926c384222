import { describe, expect, test } from "vitest";
import {
  configText,
  describeSymbol,
  explain,
  flavourNames,
  loadFragments,
  mergeFragments,
  parseConfig,
  parseFragment,
  unstuck,
} from "./config.ts";

const fragment = (text: string, name = "base") => ({ name, text });
const symbols = (text: string, version = "5.10.262") => Object.fromEntries(parseFragment(fragment(text), version));

describe("a fragment", () => {
  test("sets symbols", () => {
    expect(symbols('# Words.\n\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=120\nCONFIG_D="a=0 b # c"\n')).toEqual({
      CONFIG_A: "y",
      CONFIG_B: "n",
      CONFIG_C: "120",
      CONFIG_D: '"a=0 b # c"',
    });
  });

  test.each([
    ["5.10.262", "-5.10", true],
    ["5.10.262", "-5.9", false],
    ["5.10.262", "5.10-", true],
    ["5.10.262", "5.11-", false],
    ["5.10.262", "5.4-6.0", true],
    ["5.9.1", "5.10-", false],
    ["6.1.0-rc3", "5.10-6.1", true],
    ["6.1-rc3", "6.2-", false],
    ["6.12.117", "-6.2", false],
    ["6.12.117", "6.9-", true],
  ])("has lines for some versions only: %s and %s", (version, range, there) => {
    expect(symbols(`CONFIG_A=y # ${range}\n`, version)).toEqual(there ? { CONFIG_A: "y" } : {});
  });

  test.each([
    ["CONFIG_A", "line 1"],
    ["CONFIG_A=y\nCONFIG_B=y words", "line 2"],
    ["CONFIG_A=y # since 5.11", "line 1"],
    ["CONFIG_A=y # 5.11", "range"],
    ["CONFIG_A=y # -", "range"],
    ["CONFIG_A=y\nCONFIG_A=n", "twice"],
  ])("with a mistake is told with its place: %s", (text, said) => {
    expect(() => parseFragment(fragment(text), "6.1.0")).toThrow(said);
  });

  test("of a flavour changes what is always there, and another flavour does not change that", () => {
    const base = fragment("CONFIG_A=y\nCONFIG_B=y\n");
    const kasan = fragment("CONFIG_A=n\n", "kasan");
    expect(Object.fromEntries(mergeFragments([base, kasan], "6.1.0"))).toEqual({ CONFIG_A: "n", CONFIG_B: "y" });
    expect(mergeFragments([base, kasan, fragment("CONFIG_A=n\n", "debug")], "6.1.0").get("CONFIG_A")).toBe("n");
    expect(() => mergeFragments([base, kasan, fragment("CONFIG_A=y\n", "debug")], "6.1.0")).toThrow(
      /\+kasan and \+debug/,
    );
  });
});

describe("a configuration", () => {
  const asked = new Map([
    ["CONFIG_B", "n"],
    ["CONFIG_A", "y"],
    ["CONFIG_T", "120"],
  ]);

  test("is written as Kconfig writes it", () => {
    expect(configText(asked)).toBe("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_T=120\n");
  });

  test("that came out as asked for has nothing to tell", () => {
    expect(unstuck(asked, parseConfig("#\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_T=120\nCONFIG_Z=y\n"))).toEqual([]);
    expect(unstuck(asked, parseConfig("CONFIG_A=y\nCONFIG_T=120\n"))).toEqual([]);
  });

  test.each([
    ["# CONFIG_A is not set\nCONFIG_T=120\n", "CONFIG_A", "n"],
    ["CONFIG_T=120\n", "CONFIG_A", "n"],
    ["CONFIG_A=m\nCONFIG_T=120\n", "CONFIG_A", "m"],
    ["CONFIG_A=y\nCONFIG_B=y\nCONFIG_T=120\n", "CONFIG_B", "y"],
    ["CONFIG_A=y\nCONFIG_T=60\n", "CONFIG_T", "60"],
  ])("that came out differently names the symbol: %j", (text, symbol, got) => {
    expect(unstuck(asked, parseConfig(text))).toEqual([{ symbol, asked: asked.get(symbol), got }]);
  });
});

const KCONFIG = `
config KASAN
	bool "KASAN: runtime memory debugger"
	depends on (HAVE_ARCH_KASAN && CC_HAS_KASAN_GENERIC) || \\
		   HAVE_ARCH_KASAN_SW_TAGS
	depends on SLUB && SYSFS
	help
	  depends on nothing in here

menuconfig MD
	bool "Multiple devices driver support"
	depends on BLOCK

config KASAN_INLINE
	bool
`;

describe("a symbol that did not stick", () => {
  test("is unknown to the source, or lacks what it depends on", () => {
    expect(describeSymbol(KCONFIG, "CONFIG_KASAN")).toEqual({
      known: true,
      depends: ["(HAVE_ARCH_KASAN && CC_HAS_KASAN_GENERIC) || HAVE_ARCH_KASAN_SW_TAGS", "SLUB && SYSFS"],
    });
    expect(describeSymbol(KCONFIG, "CONFIG_MD")).toEqual({ known: true, depends: ["BLOCK"] });
    expect(describeSymbol(KCONFIG, "CONFIG_KASAN_INLINE")).toEqual({ known: true, depends: [] });
    expect(describeSymbol(KCONFIG, "CONFIG_KASA")).toEqual({ known: false, depends: [] });
  });

  test("is explained in a line", () => {
    expect(explain({ symbol: "CONFIG_MD", asked: "y", got: "n" }, KCONFIG)).toBe(
      "CONFIG_MD: expected y, got n; it depends on BLOCK, or something else selects it",
    );
    expect(explain({ symbol: "CONFIG_X", asked: "y", got: "n" }, KCONFIG)).toContain("this source does not know it");
  });
});

describe("the project's fragments", () => {
  test("are the flavours that the documentation names", async () => {
    expect(await flavourNames()).toEqual(["debug", "kasan", "lockdep"]);
  });

  test.each(["5.10.262", "6.1.192", "6.12.117"])("fit together, all flavours at once, for %s", async version => {
    const merged = mergeFragments(await loadFragments(await flavourNames()), version);
    for (const symbol of ["CONFIG_ISCSI_TCP", "CONFIG_RDMA_RXE", "CONFIG_KASAN", "CONFIG_PROVE_LOCKING"])
      expect(merged.get(symbol)).toBe("y");
    expect(merged.get("CONFIG_EXPERT")).toBe("n");
    // With KASAN nothing can run behind the PVH entry.
    expect(merged.get("CONFIG_PVH")).toBe("n");
    // Whatever is a module would be missing: a built kernel brings none.
    expect([...merged.values()]).not.toContain("m");
  });

  test("of a kernel come in one order, however its flavours are written", async () => {
    const names = async (flavours: readonly string[]) => (await loadFragments(flavours)).map(({ name }) => name);
    expect(await names(["lockdep", "kasan"])).toEqual(["base", "iscsi", "rdma", "faults", "kasan", "lockdep"]);
    expect(await names(["kasan", "lockdep"])).toEqual(await names(["lockdep", "kasan"]));
  });
});
