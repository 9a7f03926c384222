import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test, vi } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { decodeWindow } from "./tshark.ts";

test("a window lies where left-over directories are removed", async () => {
  const directory = await temporaryDirectory();
  const bin = path.join(directory, "bin");
  await mkdir(bin);
  const said = path.join(directory, "said");
  await writeFile(path.join(bin, "tshark"), `#!/bin/sh\necho "$3" > ${said}\necho "1\t2\tiSCSI\t9\tSCSI: Write"\n`);
  await chmod(path.join(bin, "tshark"), 0o755);
  vi.stubEnv("PATH", `${bin}:${process.env["PATH"] ?? ""}`);
  vi.stubEnv("RIG_LABS_DIR", path.join(directory, "labs"));
  try {
    const lines = await decodeWindow([{ tUs: 5, data: Buffer.alloc(60), length: 60 }], {
      fromUs: 0,
      toUs: 9,
      zeroUs: 0,
    });
    expect(lines).toEqual(["    0.000005  1 > 2  iSCSI 9  SCSI: Write"]);
    expect(path.dirname(path.dirname((await readFile(said, "utf8")).trim()))).toBe(path.join(directory, "labs"));
  } finally {
    vi.unstubAllEnvs();
  }
});
