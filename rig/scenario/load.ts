/** Finds, loads and validates scenarios: every `.ts` file under scenarios/<group>/ is one. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { messageOf, RigError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import { type Scenario, scenarioDataSchema } from "./scenario.ts";

export const SCENARIOS_DIR = path.join(PROJECT_DIR, "scenarios");

const bad = (file: string, why: string, cause?: unknown): RigError =>
  new RigError("RIG_BAD_SCENARIO", `${path.relative(PROJECT_DIR, file)} is no scenario: ${why}`, {
    blame: "usage",
    cause,
  });

/** `<group>/<name>` of every scenario file, sorted. */
export const scenarioNames = async (dir = SCENARIOS_DIR): Promise<readonly string[]> => {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile() && entry.name.endsWith(".ts") && !/\.(test|bench)\.ts$/.test(entry.name))
    .map(entry => path.relative(dir, path.join(entry.parentPath, entry.name)).replace(/\.ts$/, ""))
    .filter(name => name.includes("/"))
    .toSorted();
};

/** Loads one scenario file. @throws RIG_BAD_SCENARIO that names the file and the mistake. */
export const loadScenario = async (name: string, dir = SCENARIOS_DIR): Promise<Scenario> => {
  const file = path.join(dir, `${name}.ts`);
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(file).href)) as { default?: unknown };
  } catch (error) {
    throw bad(file, messageOf(error).split("\n")[0] ?? "it cannot be loaded", error);
  }
  const definition = module.default;
  if (typeof definition !== "object" || definition === null)
    throw bad(file, "expected `export default scenario({ ... })`.");
  const { timeline, ...data } = definition as { timeline?: unknown };
  if (typeof timeline !== "function") throw bad(file, "expected a function `timeline`.");
  const parsed = scenarioDataSchema.safeParse(data);
  if (!parsed.success) throw bad(file, `\n${z.prettifyError(parsed.error)}`);
  return { name, ...parsed.data, timeline: timeline as Scenario["timeline"] };
};

/** The scenarios of these names, all where none is given. @throws RIG_UNKNOWN_SCENARIO with the nearest name. */
export const loadScenarios = async (wanted: readonly string[], dir = SCENARIOS_DIR): Promise<readonly Scenario[]> => {
  const known = await scenarioNames(dir);
  for (const name of wanted) {
    if (known.includes(name)) continue;
    throw new RigError(
      "RIG_UNKNOWN_SCENARIO",
      `There is no scenario ${JSON.stringify(name.slice(0, 100))}. ${suggestion(name, known)} All of them: rig scenarios`,
      {
        blame: "usage",
      },
    );
  }
  return Promise.all((wanted.length === 0 ? known : [...new Set(wanted)]).map(name => loadScenario(name, dir)));
};
