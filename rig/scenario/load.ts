/** Finds, loads and validates scenarios: every `.ts` file under scenarios/<group>/ is one, or one for each transport. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { messageOf, RigError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import { fileOf, overEachTransport } from "./each-transport.ts";
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
const loadFile = async (name: string, dir: string): Promise<readonly Scenario[]> => {
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
  return overEachTransport(name, data).map(one => {
    const parsed = scenarioDataSchema.safeParse(one.data);
    if (!parsed.success) throw bad(file, `\n${z.prettifyError(parsed.error)}`);
    return { name: one.name, ...parsed.data, timeline: timeline as Scenario["timeline"] };
  });
};

const unknown = (name: string, known: readonly string[]): RigError =>
  new RigError(
    "RIG_UNKNOWN_SCENARIO",
    `There is no scenario ${JSON.stringify(name.slice(0, 100))}. ${suggestion(name, known)} All of them: rig scenarios`,
    {
      blame: "usage",
    },
  );

/** The scenarios that a name stands for: itself, or where it is a file's, all of that. */
const loadNamed = async (name: string, dir: string): Promise<readonly Scenario[]> => {
  const all = await loadFile(fileOf(name), dir);
  const named = name === fileOf(name) ? all : all.filter(scenario => scenario.name === name);
  if (named.length > 0) return named;
  throw unknown(
    name,
    all.map(scenario => scenario.name),
  );
};

/** Loads one scenario: of a file with several, the first, unless the name says which. @throws RIG_BAD_SCENARIO as above. */
export const loadScenario = async (name: string, dir = SCENARIOS_DIR): Promise<Scenario> => {
  const [first] = await loadNamed(name, dir);
  if (first === undefined) throw unknown(name, []);
  return first;
};

/** The scenarios of these names, all where none is given. @throws RIG_UNKNOWN_SCENARIO with the nearest name. */
export const loadScenarios = async (wanted: readonly string[], dir = SCENARIOS_DIR): Promise<readonly Scenario[]> => {
  const known = await scenarioNames(dir);
  for (const name of wanted) {
    if (!known.includes(fileOf(name))) throw unknown(name, known);
  }
  const loaded = await Promise.all((wanted.length === 0 ? known : wanted).map(name => loadNamed(name, dir)));
  return [...new Map(loaded.flat().map(scenario => [scenario.name, scenario])).values()];
};
