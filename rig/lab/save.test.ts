import { mkdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { NODE_NAMES } from "../core/names.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import type { Lab } from "./lab.ts";
import { backingFile } from "./qemu-argv.ts";
import { saveLab } from "./save.ts";
import { SNAPSHOT_FILES } from "./snapshot.ts";
import { CAPABILITIES, type MigrationFakes, migratingQemu } from "./testdata/migrating-qemu.ts";

/** A lab that was configured, with its disks. */
const labOf = async (disk: Buffer | number, fakes: MigrationFakes = {}, ...others: readonly Buffer[]) => {
  const base = await temporaryDirectory();
  const directory = path.join(base, "building");
  await mkdir(directory);
  const backings = [disk, ...others].map((_, lun) => path.join(base, backingFile(lun)));
  for (const [lun, content] of [disk, ...others].entries()) {
    const file = backings[lun] ?? "";
    await writeFile(file, typeof content === "number" ? "" : content);
    if (typeof content === "number") await truncate(file, content);
  }
  const asked: string[] = [];
  const note = (what: string) => {
    asked.push(what);
    return Promise.resolve();
  };
  const nodes = Object.fromEntries(
    NODE_NAMES.map(name => {
      const agent = { unwatch: () => note(`${name} unwatch`), call: (verb: string) => note(`${name} ${verb}`) };
      const ssh = { stop: () => note(`${name} ssh stop`) };
      return [name, { name, agent, ssh, qmp: migratingQemu(fakes, asked, `${name} `).qmp, version: `#1 ${name}` }];
    }),
  );
  const bay = { snapshot: (...parts: readonly string[]) => ["/snapshots", ...parts].join("/") };
  return { lab: { bay, nodes, backings } as unknown as Lab, directory, asked };
};

describe("saving a lab", () => {
  test("frees the guests of whoever talks to them, stops both, and saves one after the other", async () => {
    const { lab, directory, asked } = await labOf(4096);
    await saveLab(lab, directory);
    const before = (name: string) => [...["unwatch", "ssh stop", "sync", CAPABILITIES].map(what => `${name} ${what}`)];
    expect(asked).toEqual([
      ...before("target"),
      ...before("initiator"),
      "target stop {}",
      "initiator stop {}",
      'target migrate {"uri":"exec:cat > /snapshots/building/devices-target"}',
      'initiator migrate {"uri":"exec:cat > /snapshots/building/devices-initiator"}',
    ]);
  });

  test("keeps the target's disk only where something was written to it", async () => {
    const zeros = await labOf(3 * 2 ** 20);
    const versions = { target: "#1 target", initiator: "#1 initiator" };
    expect(await saveLab(zeros.lab, zeros.directory)).toEqual({ written: [], versions });
    const none = stat(path.join(zeros.directory, SNAPSHOT_FILES.backing(0)));
    await expect(none).rejects.toMatchObject({ code: "ENOENT" });

    const disk = Buffer.alloc(3 * 2 ** 20);
    disk[disk.length - 1] = 1;
    const written = await labOf(disk);
    expect(await saveLab(written.lab, written.directory)).toEqual({ written: [0], versions });
    expect((await readFile(path.join(written.directory, SNAPSHOT_FILES.backing(0)))).equals(disk)).toBe(true);

    const several = await labOf(4096, {}, Buffer.alloc(4096), disk);
    expect(await saveLab(several.lab, several.directory)).toEqual({ written: [2], versions });
    expect((await readFile(path.join(several.directory, "backing-2.img"))).equals(disk)).toBe(true);
  });

  test("with a device that cannot be saved is refused, with QEMU's reason", async () => {
    const why = "State blocked by non-migratable device '0000:00:05.0/x'";
    const { lab, directory } = await labOf(4096, { refuses: { migrate: why } });
    await expect(saveLab(lab, directory)).rejects.toMatchObject({
      code: "RIG_LAB_SNAPSHOT",
      message: `migrate of the target: QEMU refused migrate: ${why}`,
    });
  });

  test("that QEMU gives up half way is told with QEMU's reason", async () => {
    const answer = { "error-desc": "Unable to write to command: Broken pipe" };
    const { lab, directory } = await labOf(4096, { statuses: ["active", "failed"], answer });
    await expect(saveLab(lab, directory)).rejects.toMatchObject({
      code: "RIG_LAB_SNAPSHOT",
      message: "migrate of the target failed: Unable to write to command: Broken pipe.",
    });
  });
});
