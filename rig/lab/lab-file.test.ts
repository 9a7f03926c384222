import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { findLabs, type LabFile, writeLabFile } from "./lab-file.ts";

const LAB: LabFile = {
  labels: { run: "run-1", lab: "00ff", owner: "boot/1/2" },
  clientKey: "-----BEGIN OPENSSH PRIVATE KEY-----\n",
  kernel: "debian-6.1",
  keep: false,
  nodes: [{ name: "target", address: "172.17.0.2", port: 2222, container: "c0ffee", hostPublic: "AAAA" }],
};

afterEach(() => {
  vi.unstubAllEnvs();
});

const labs = async (...names: readonly string[]): Promise<readonly string[]> => {
  const dir = await temporaryDirectory();
  vi.stubEnv("RIG_LABS_DIR", dir);
  return Promise.all(
    names.map(async name => {
      await mkdir(path.join(dir, name));
      return path.join(dir, name);
    }),
  );
};

test("a lab is found as it was written, and only its owner can read it", async () => {
  const [dir = ""] = await labs("00ff");
  await writeLabFile(dir, LAB);
  await writeLabFile(dir, { ...LAB, keep: true });
  expect(await findLabs()).toEqual([{ directory: dir, lab: { ...LAB, keep: true } }]);
  expect((await stat(path.join(dir, "lab.json"))).mode & 0o777).toBe(0o600);
  expect(await readdir(dir)).toEqual(["lab.json"]);
});

test.each([
  ["is cut short", JSON.stringify(LAB).slice(0, -20)],
  ["is empty", ""],
  ["is something else", "[]"],
  ["has a node of no such name", JSON.stringify({ ...LAB, nodes: [{ ...LAB.nodes[0], name: "router" }] })],
  ["has a field too many", JSON.stringify({ ...LAB, pid: 1 })],
])("a lab whose file %s is found, as one of which nothing is known", async (_name, text) => {
  const [dir = "", other = ""] = await labs("00ff", "11ff");
  await writeFile(path.join(dir, "lab.json"), text);
  await writeLabFile(other, LAB);
  const found = (await findLabs()).toSorted((a, b) => a.directory.localeCompare(b.directory));
  expect(found).toEqual([
    { directory: dir, lab: undefined },
    { directory: other, lab: LAB },
  ]);
});

test("a lab that was not yet written down is found too; no directory means no labs", async () => {
  const [dir = ""] = await labs("00ff");
  expect(await findLabs()).toEqual([{ directory: dir, lab: undefined }]);
  vi.stubEnv("RIG_LABS_DIR", "/rig/no/such");
  expect(await findLabs()).toEqual([]);
});
