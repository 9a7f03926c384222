import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { loadScenario, loadScenarios, SCENARIOS_DIR, scenarioNames } from "./load.ts";

const DATA = `title: "a path drops while writes are under way",
  about: ["c0920cd36f17"],
  healthy: "Every write is acknowledged.",
  lab: { paths: 2, transport: "tcp", multipath: "failover" },
  ledger: { slots: 8, slotBytes: 4096 },`;

const file = (data: string, timeline = "async timeline({ path }) { await path.a.drop(); },"): string =>
  `export default {\n  ${data}\n  ${timeline}\n};\n`;

const scenarios = async (files: Readonly<Record<string, string>>): Promise<string> => {
  const dir = await temporaryDirectory();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  }
  return dir;
};

describe("a scenario", () => {
  test("has its name from its place, its defaults filled in, and its timeline", async () => {
    const dir = await scenarios({ "links/drop.ts": file(DATA) });
    const loaded = await loadScenario("links/drop", dir);
    expect(loaded).toMatchObject({
      name: "links/drop",
      title: "a path drops while writes are under way",
      timing: { noopInterval: 5, replacementTimeout: 120 },
      session: { immediateData: true },
      lab: { lunMiB: 64 },
    });
    const done: string[] = [];
    const context = { path: { a: { drop: () => Promise.resolve(void done.push("drop a")) } } };
    await loaded.timeline(context as unknown as Parameters<typeof loaded.timeline>[0]);
    expect(done).toEqual(["drop a"]);
  });

  test("may name the two kernels that show it", async () => {
    const reference = `reference: { base: "linux-5.10+seed-defect-1", head: "linux-5.10" },`;
    const dir = await scenarios({ "links/drop.ts": file(`${DATA} ${reference}`), "links/none.ts": file(DATA) });
    expect((await loadScenario("links/drop", dir)).reference).toEqual({
      base: "linux-5.10+seed-defect-1",
      head: "linux-5.10",
      onRequest: false,
    });
    expect((await loadScenario("links/none", dir)).reference).toBeUndefined();
  });

  test.each<[string, string, RegExp]>([
    ["exports nothing", "export const scenario = 1;\n", /expected `export default scenario/],
    ["exports something else", 'export default "scenario";\n', /expected `export default scenario/],
    ["exports null", "export default null;\n", /expected `export default scenario/],
    ["has no timeline", file(DATA, ""), /expected a function `timeline`/],
    ["has a timeline that is none", file(DATA, "timeline: [],"), /expected a function `timeline`/],
    ["has a field that is unknown", file(`${DATA} titel: "x",`), /Unrecognized key: "titel"/],
    ["has a bad commit", file(DATA.replace("c0920cd36f17", "v6.1")), /expected 12 hex digits of a commit[^]*about/],
    ["has a bad number", file(DATA.replace("slots: 8", "slots: 0")), /slots/],
    ["has slots of half a sector", file(DATA.replace("4096", "4097")), /slotBytes/],
    ["has an unknown timer", file(`${DATA} timing: { nopInterval: 1 },`), /nopInterval/],
    ["has half a reference", file(`${DATA} reference: { base: "debian-5.10" },`), /reference\.head/],
    ["has a reference without a name", file(`${DATA} reference: { base: "", head: "x" },`), /reference\.base/],
    ["lacks a field", file(DATA.replace(/healthy:.*\n/, "")), /healthy/],
    ["throws while it loads", 'throw new Error("out of luck");\n', /out of luck/],
    ["imports what is not there", 'import "./nothing.ts";\nexport default {};\n', /nothing\.ts/],
    ["is no TypeScript", "export default {{{\n", /is no scenario: \S/],
  ])("that %s is told by its file and the mistake", async (_name, text, words) => {
    const dir = await scenarios({ "links/bad.ts": text });
    await expect(loadScenario("links/bad", dir)).rejects.toMatchObject({
      code: "RIG_BAD_SCENARIO",
      blame: "usage",
      message: expect.stringMatching(words) as string,
    });
    await expect(loadScenario("links/bad", dir)).rejects.toThrow("links/bad.ts is no scenario");
  });
});

describe("finding scenarios", () => {
  const FILES = {
    "links/drop.ts": file(DATA),
    "digest/flip.ts": file(DATA),
    "links/drop.test.ts": "",
    "notes.md": "",
    "top.ts": "",
  };

  test("every file in a group is one, tests and others are not", async () => {
    expect(await scenarioNames(await scenarios(FILES))).toEqual(["digest/flip", "links/drop"]);
  });

  test("all where none is named; each once, in the order given", async () => {
    const dir = await scenarios(FILES);
    const names = async (...wanted: string[]) => (await loadScenarios(wanted, dir)).map(({ name }) => name);
    expect(await names()).toEqual(["digest/flip", "links/drop"]);
    expect(await names("links/drop", "digest/flip", "links/drop")).toEqual(["links/drop", "digest/flip"]);
  });

  test.each([
    ["links/dorp", 'There is no scenario "links/dorp". Did you mean links/drop? All of them: rig scenarios'],
    ["flip", 'There is no scenario "flip". Did you mean digest/flip? All of them: rig scenarios'],
    ["../../etc/passwd", "There are: digest/flip, links/drop."],
  ])("a name that is unknown: %s", async (name, words) => {
    const dir = await scenarios(FILES);
    await expect(loadScenarios([name], dir)).rejects.toMatchObject({
      code: "RIG_UNKNOWN_SCENARIO",
      blame: "usage",
      message: expect.stringContaining(words) as string,
    });
  });
});

describe("the project's own scenarios", () => {
  test("all load and are valid", async () => {
    const all = await loadScenarios([], SCENARIOS_DIR);
    expect(all.map(({ name }) => name)).toContain("recovery/stale-write");
    expect(new Set(all.map(({ title }) => title)).size).toBe(all.length);
    for (const { lab, ledger } of all)
      expect(ledger.slots * ledger.slotBytes).toBeLessThanOrEqual(lab.lunMiB * 2 ** 20);
  });
});
