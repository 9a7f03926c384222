import { access, mkdir, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import type Docker from "dockerode";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { writeLabFile } from "./lab-file.ts";
import { LAB_FILTER, labelsOf, thisOwner } from "./labels.ts";
import { reap } from "./reaper.ts";

const DEAD = "00000000-0000-0000-0000-000000000000/1/1";
let labs = "";

beforeEach(async () => {
  labs = await temporaryDirectory();
  vi.stubEnv("RIG_LABS_DIR", labs);
  onTestFinished(() => void vi.unstubAllEnvs());
});

const isThere = (name: string): Promise<boolean> =>
  access(path.join(labs, name)).then(
    () => true,
    () => false,
  );

const lab = async (name: string, owner: string, keep = false): Promise<void> => {
  await mkdir(path.join(labs, name));
  await writeLabFile(path.join(labs, name), {
    labels: { run: "r", lab: name, owner },
    clientKey: "",
    kernel: "debian-6.1",
    keep,
    nodes: [],
  });
};

/** A Docker that has these labs' things, and things of others. */
const dockerWith = (owners: Readonly<Record<string, string>>) => {
  const removed: string[] = [];
  const filtersAsked: unknown[] = [];
  const things = Object.entries(owners).map(([name, owner]) => ({
    Id: name,
    Name: `net-${name}`,
    Names: [`/con-${name}`],
    Labels: labelsOf({ run: "r", lab: name, owner }),
  }));
  const list = (options: { filters: unknown }) => {
    filtersAsked.push(options.filters);
    return Promise.resolve([...things, { Id: "x", Name: "net-x", Names: [], Labels: {} }]);
  };
  const remover = (kind: string) => (id: string) => ({
    remove: () => {
      removed.push(`${kind} ${id}`);
      return Promise.resolve();
    },
  });
  const docker = {
    listContainers: list,
    listNetworks: list,
    getContainer: remover("container"),
    getNetwork: remover("network"),
  } as unknown as Docker;
  return { docker, removed, filtersAsked };
};

describe("the reaper", () => {
  test("removes what dead rigs left, containers before networks, and nothing that a running one uses", async () => {
    await lab("dead", DEAD);
    await lab("alive", thisOwner());
    const { docker, removed, filtersAsked } = dockerWith({ dead: DEAD, alive: thisOwner() });
    expect(await reap(docker, { kept: false })).toEqual([
      "container con-dead",
      "network net-dead",
      `directory ${path.join(labs, "dead")}`,
    ]);
    expect(removed).toEqual(["container dead", "network dead"]);
    expect([await isThere("dead"), await isThere("alive")]).toEqual([false, true]);
    expect(filtersAsked).toEqual([{ label: [LAB_FILTER] }, { label: [LAB_FILTER] }]);
  });

  test("leaves labs that were kept on purpose until it is asked for them", async () => {
    await lab("kept", DEAD, true);
    const { docker, removed } = dockerWith({ kept: DEAD });
    expect(await reap(docker, { kept: false })).toEqual([]);
    expect(await isThere("kept")).toBe(true);
    expect(await reap(docker, { kept: true })).toHaveLength(3);
    expect(removed).toHaveLength(2);
    expect(await isThere("kept")).toBe(false);
  });

  test("only says what it would do, where asked", async () => {
    await lab("dead", DEAD);
    const { docker, removed } = dockerWith({ dead: DEAD });
    expect(await reap(docker, { kept: false, dryRun: true })).toHaveLength(3);
    expect(removed).toEqual([]);
    expect(await isThere("dead")).toBe(true);
  });

  test("gives a lab that is only being made the time to say whose it is", async () => {
    await mkdir(path.join(labs, "young"));
    await mkdir(path.join(labs, "old"));
    await writeFile(path.join(labs, "old/lab.json"), "{");
    await utimes(path.join(labs, "old"), 0, 0);
    expect(await reap(undefined, { kept: false })).toEqual([`directory ${path.join(labs, "old")}`]);
    expect([await isThere("young"), await isThere("old")]).toEqual([true, false]);
  });
});
