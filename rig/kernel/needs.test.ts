import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { CONFIG_DIR, parseConfig } from "./config.ts";
import { missingNeeds, NEEDED_MODULES } from "./needs.ts";

const none = () => false;
const all = () => true;

/** The symbols that are told to be missing. */
const symbols = (lines: readonly string[]) => lines.map(line => /^CONFIG_(\w+) /.exec(line)?.[1] ?? line);

const NEEDED = symbols(missingNeeds({ config: new Map(), hasModule: none }));
const everything = (value: "y" | "m") => new Map(NEEDED.map(symbol => [`CONFIG_${symbol}`, value]));

describe("what a kernel lacks", () => {
  test("is nothing where all is built in", () => {
    expect(missingNeeds({ config: everything("y"), hasModule: none })).toEqual([]);
  });

  test.each([
    "SERIAL_8250_CONSOLE",
    "VIRTIO_PCI",
    "VIRTIO_BLK",
    "EROFS_FS",
    "ISCSI_TCP",
    "ISCSI_TARGET",
    "FILE_LOCKING",
    "AIO",
    "EVENTFD",
  ])("is told: %s", symbol => {
    const config = everything("y");
    config.delete(`CONFIG_${symbol}`);
    const missing = missingNeeds({ config, hasModule: all });
    expect(missing).toEqual([expect.stringMatching(new RegExp(`^CONFIG_${symbol} is not set: .`)) as string]);
  });

  test("may be a module, if it is there", () => {
    const config = new Map(everything("y")).set("CONFIG_VIRTIO_BLK", "m").set("CONFIG_EROFS_FS", "m");
    expect(missingNeeds({ config, hasModule: all })).toEqual([]);
    expect(missingNeeds({ config, hasModule: name => name === "erofs" })).toEqual([
      "CONFIG_VIRTIO_BLK is a module (virtio_blk), and there is no such file: the guest's disks",
    ]);
  });

  test("may not be a module where the guest needs it before it can load any", () => {
    const missing = missingNeeds({ config: everything("m"), hasModule: all });
    expect(symbols(missing)).toContain("BLK_DEV_INITRD");
    expect(missing.every(line => line.includes("is a module; it has to be built in"))).toBe(true);
    expect(missing.length + NEEDED_MODULES.length).toBe(NEEDED.length);
  });

  test("is told from the lists of modules where there is no configuration", () => {
    const builtIn = new Set(NEEDED_MODULES.filter(name => name !== "iscsi_tcp"));
    expect(missingNeeds({ hasModule: none, builtIn })).toEqual([
      "CONFIG_ISCSI_TCP is neither built in nor a module (iscsi_tcp): the initiator",
    ]);
    expect(missingNeeds({ hasModule: name => name === "iscsi_tcp", builtIn })).toEqual([]);
  });

  test("is not known without both", () => {
    expect(missingNeeds({ hasModule: none })).toEqual([]);
  });

  test("is asked for by the rig's own configuration", async () => {
    const texts = await Promise.all(
      ["base", "iscsi"].map(name => readFile(path.join(CONFIG_DIR, `${name}.config`), "utf8")),
    );
    const config = parseConfig(texts.join("\n").replaceAll(/ +#.*$/gm, ""));
    const missing = symbols(missingNeeds({ config, hasModule: none }));
    expect(missing).toEqual([]);
  });
});
