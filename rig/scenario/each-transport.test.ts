import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { fileOf, overEachTransport } from "./each-transport.ts";
import { loadScenario, loadScenarios } from "./load.ts";

describe("a file's scenarios", () => {
  const data = { title: "a path drops", lab: { paths: 2, transport: ["tcp", "iser"] }, ledger: { slots: 8 } };

  test("are one for each transport of a list, the same but for that", () => {
    expect(overEachTransport("links/drop", data)).toEqual(
      ["tcp", "iser"].map(transport => ({
        name: `links/drop@${transport}`,
        data: { ...data, title: `a path drops, over ${transport}`, lab: { paths: 2, transport } },
      })),
    );
    expect(
      overEachTransport("links/drop", { ...data, lab: { transport: ["iser", "iser"] } }).map(({ name }) => name),
    ).toEqual(["links/drop@iser"]);
  });

  test.each([{ transport: "iser" }, { transport: [] }, { transport: 7 }, {}, null, undefined, [], "lab"])(
    "where there is no list is itself: %j",
    lab => {
      expect(overEachTransport("links/drop", { ...data, lab })).toEqual([
        { name: "links/drop", data: { ...data, lab } },
      ]);
    },
  );

  test("are found by the file's name in theirs", () => {
    expect(["links/drop@iser", "links/drop", "links/a@b@tcp"].map(fileOf)).toEqual([
      "links/drop",
      "links/drop",
      "links/a@b",
    ]);
  });
});

describe("loading scenarios of several transports", () => {
  const text = (transport: string) => `export default {
  title: "a path drops while writes are under way", about: [], healthy: "Every write is acknowledged.",
  lab: { paths: 2, transport: ${transport}, multipath: "failover" }, ledger: { slots: 8, slotBytes: 4096 },
  async timeline() {},
};
`;
  const folder = async (files: Readonly<Record<string, string>>): Promise<string> => {
    const dir = await temporaryDirectory();
    await mkdir(path.join(dir, "links"));
    for (const [name, transport] of Object.entries(files))
      await writeFile(path.join(dir, "links", `${name}.ts`), text(transport));
    return dir;
  };

  test("gives each by its name, and all by the file's", async () => {
    const dir = await folder({ both: '["tcp", "iser"]', one: '"iser"' });
    const names = async (...wanted: string[]) =>
      (await loadScenarios(wanted, dir)).map(({ name, lab }) => `${name} ${lab.transport}`);
    const both = ["links/both@tcp tcp", "links/both@iser iser"];
    expect(await names()).toEqual([...both, "links/one iser"]);
    expect(await names("links/both")).toEqual(both);
    expect(await names("links/both@iser")).toEqual(both.slice(1));
    expect(await names("links/both@iser", "links/both")).toEqual(both.toReversed());
    expect((await loadScenario("links/both@iser", dir)).lab.transport).toBe("iser");
    expect((await loadScenario("links/both", dir)).name).toBe("links/both@tcp");
  });

  test.each(["links/one@iser", "links/both@udp", "links/both@", "links/bot@tcp"])("knows no %s", async name => {
    const dir = await folder({ both: '["tcp", "iser"]', one: '"iser"' });
    await expect(loadScenarios([name], dir)).rejects.toMatchObject({
      code: "RIG_UNKNOWN_SCENARIO",
      blame: "usage",
    });
    await expect(loadScenarios(["links/both@udp"], dir)).rejects.toThrow("Did you mean links/both@");
  });

  test.each(['"udp"', '["tcp", "udp"]', "[]", "[[]]", "[null]"])("refuses %s for a transport", async transport => {
    const dir = await folder({ bad: transport });
    await expect(loadScenarios([], dir)).rejects.toMatchObject({
      code: "RIG_BAD_SCENARIO",
      message: expect.stringMatching(/links\/bad\.ts is no scenario[^]*transport/) as string,
    });
  });
});
