import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCli } from "../testing/cli.ts";
import { elf } from "../testing/elf.ts";

/** With a cache of its own: nothing is fetched, nothing built. */
describe("rig kernels", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "rig-kernels-"));
    await writeFile(path.join(dir, "arm.img"), elf({ machine: 183 }));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  const rig = (...args: readonly string[]) => startCli(["kernels", ...args], { XDG_CACHE_HOME: dir }).result;
  const json = async (...args: readonly string[]): Promise<unknown> => {
    const { status, stdout, stderr } = await rig(...args);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout);
  };

  test("lists the kernels with what they take, and what can be built into them", async () => {
    const { status, stdout } = await rig();
    expect(status).toBe(0);
    expect(stdout).toMatch(/^debian-6\.1 +Debian 12 +to fetch$/m);
    expect(stdout).toMatch(/^linux-5\.10 +Linux 5\.10.* to build$/m);
    expect(stdout).toMatch(/^\+kasan +flavour +\w/m);
    expect(stdout).toMatch(/^\+slow-stop +instrument +\w/m);
  });

  test("lists them as JSON, whichever side of the subcommand that is asked for", async () => {
    const all = (await json("--json")) as { name: string; state: string }[];
    expect(all).toContainEqual(expect.objectContaining({ name: "linux-6.1", state: "to build" }));
    const suffixes = await json("variants", "--json");
    expect(suffixes).toContainEqual(expect.objectContaining({ name: "offload-model", kind: "model" }));
    expect(await json("--json", "variants")).toEqual(suffixes);
  });

  test("shows a kernel, with all that there is to say of its suffixes", async () => {
    const { stdout } = await rig("show", "linux-5.10+kasan+seed-defect-1");
    expect(stdout).toMatch(/^linux-5\.10\+seed-defect-1\+kasan\n/);
    expect(stdout).toMatch(/^ {2}from +source:bullseye-security\/linux-source-5\.10$/m);
    expect(stdout).toMatch(/^ {2}\+seed-defect-1 \(defect\): .+\n {4}\w.+\n {4}Not together with \+\w/m);
    expect(await json("show", "linux-6.1", "--json")).toMatchObject({ state: "to build", suffixes: [], files: [] });
  });

  test("shows why a kernel cannot be used", async () => {
    const { status, stdout } = await rig("show", `image:${dir}/arm.img`);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}state +cannot: .*arm\.img is for arm64; only kernels for x86-64 are supported\.$/m);
  });

  test.each<[string, readonly string[], RegExp]>([
    ["a typo", ["show", "linux-5.1O"], /Did you mean linux-5\.10\?/],
    ["a typo behind a name", ["fetch", "linux-6.1", "debian-6.1O"], /There is no kernel/],
    ["a suffix that is none", ["build", "linux-5.10+kasn"], /Did you mean kasan\?/],
    [
      "suffixes that exclude each other",
      ["build", "linux-5.10+seed-defect-1+without-seed"],
      /cannot be built into one/,
    ],
    ["a build of what is built", ["build", "debian-6.1"], /is built already.*rig kernels fetch debian-6\.1/],
    ["a file without its kind", ["show", "./bzImage"], /For a file or a directory: image:, deb:, tree: or source:/],
    ["another architecture", ["fetch", "image:ARM"], /is for arm64; only kernels for x86-64/],
    ["a tree that is none", ["fetch", "tree:DIR"], /Expected a built Linux tree in .* it is no Linux tree/],
    ["a file that is no package", ["fetch", "deb:ARM"], /is no Debian package/],
    ["no name", ["build"], /missing required argument 'name'/],
    ["an unknown subcommand", ["bulid"], /too many arguments|unknown command/],
  ])("refuses %s", async (_name, args, words) => {
    const places = args.map(arg => arg.replace("ARM", path.join(dir, "arm.img")).replace("DIR", dir));
    const { status, stdout, stderr } = await rig(...places);
    expect(status, stderr).toBe(2);
    expect(stderr).toMatch(words);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(stdout).toBe("");
    expect(await readdir(path.join(dir, "iscsi-rig", "boot-bundle")).catch(() => [])).toEqual([]);
  });
});
