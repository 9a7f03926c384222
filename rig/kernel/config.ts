/**
 * The configuration of a kernel that the rig builds: fragments in kernels/config, laid over `allnoconfig`. Kconfig drops
 * in silence what does not fit a source (a symbol that it does not know, or whose dependencies are off), so what came out
 * is held against what was asked for, symbol by symbol. Pure, but for reading the fragments.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { RigError } from "../core/errors.ts";
import { PROJECT_DIR } from "../core/paths.ts";

export const CONFIG_DIR = path.join(PROJECT_DIR, "kernels/config");

/** In every kernel that is built. Any other fragment is a flavour: `+kasan` is kasan.config. */
const ALWAYS = ["base", "iscsi", "rdma", "faults"];

/** Symbols with their values, as in a .config: `y`, `n`, a number, or a string in quotes. */
export type Configuration = ReadonlyMap<string, string>;

export interface Fragment {
  readonly name: string;
  readonly text: string;
}

const bad = (fragment: Fragment, line: number, why: string) =>
  new RigError("RIG_KERNEL_BUILD", `kernels/config/${fragment.name}.config, line ${line}: ${why}`, { blame: "usage" });

const LINE = /^(CONFIG_[A-Za-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^\s"#]+)(?:\s+#\s*(\S+))?\s*$/;
const RANGE = /^(\d+\.\d+)?-(\d+\.\d+)?$/;

/** A version's first two numbers as one that can be compared. */
const ordinal = (version: string): number => {
  const [major = "0", minor = "0"] = version.split(".");
  return Number(major) * 1000 + Number.parseInt(minor, 10);
};

/** The symbols that a fragment asks for in a source of this version, such as 5.10.262. */
export const parseFragment = (fragment: Fragment, version: string): Configuration => {
  const symbols = new Map<string, string>();
  for (const [index, line] of fragment.text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, symbol, value, range] = LINE.exec(line) ?? [];
    if (symbol === undefined || value === undefined)
      throw bad(fragment, index + 1, `expected CONFIG_NAME=value, saw ${JSON.stringify(line.slice(0, 100))}.`);
    if (range !== undefined) {
      const ends = RANGE.exec(range);
      if (ends === null || range === "-")
        throw bad(fragment, index + 1, `expected a range of versions such as 5.11- behind #, saw ${range}.`);
      const here = ordinal(version);
      if (ends[1] !== undefined && here < ordinal(ends[1])) continue;
      if (ends[2] !== undefined && here > ordinal(ends[2])) continue;
    }
    if (symbols.has(symbol)) throw bad(fragment, index + 1, `${symbol} is set twice.`);
    symbols.set(symbol, value);
  }
  return symbols;
};

/** Fragments over each other; a flavour may change what is always there, but two flavours may not want different things. */
export const mergeFragments = (fragments: readonly Fragment[], version: string): Configuration => {
  const merged = new Map<string, { value: string; by: string }>();
  for (const fragment of fragments) {
    for (const [symbol, value] of parseFragment(fragment, version)) {
      const before = merged.get(symbol);
      if (before !== undefined && before.value !== value && !ALWAYS.includes(before.by))
        throw new RigError(
          "RIG_KERNEL_BUILD",
          `+${before.by} and +${fragment.name} cannot be in one kernel: ${symbol} would be ${before.value} and ${value}.`,
          { blame: "usage" },
        );
      merged.set(symbol, { value, by: fragment.name });
    }
  }
  return new Map([...merged].map(([symbol, { value }]) => [symbol, value]));
};

/** In the form of a .config, sorted. */
export const configText = (symbols: Configuration): string =>
  [...symbols]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([symbol, value]) => (value === "n" ? `# ${symbol} is not set\n` : `${symbol}=${value}\n`))
    .join("");

/** Reads a .config; what is not set, or not there, is not in the result. */
export const parseConfig = (text: string): Configuration =>
  new Map(
    text.split("\n").flatMap(line => {
      const match = /^(CONFIG_[A-Za-z0-9_]+)=(.+)$/.exec(line);
      return match?.[1] === undefined || match[2] === undefined || match[2] === "n" ? [] : [[match[1], match[2]]];
    }),
  );

export interface Unstuck {
  readonly symbol: string;
  readonly asked: string;
  readonly got: string;
}

/** What was asked for and is not so. */
export const unstuck = (asked: Configuration, got: Configuration): readonly Unstuck[] =>
  [...asked].flatMap(([symbol, value]) => {
    const is = got.get(symbol) ?? "n";
    return is === value ? [] : [{ symbol, asked: value, got: is }];
  });

/** What a source's Kconfig files say of a symbol: whether they define it, and what it depends on, as written. */
export const describeSymbol = (
  kconfig: string,
  symbol: string,
): { readonly known: boolean; readonly depends: readonly string[] } => {
  const name = symbol.replace(/^CONFIG_/, "");
  const depends: string[] = [];
  let known = false;
  let inside = false;
  for (const line of kconfig.replaceAll(/\\\n\s*/g, "").split("\n")) {
    const entry = /^\s*(?:menu)?config\s+(\S+)\s*$/.exec(line);
    if (entry !== null) {
      inside = entry[1] === name;
      known ||= inside;
    } else if (inside && /^\s*(?:help|endmenu|endchoice|endif|choice|menu|if)\b/.test(line)) {
      inside = false;
    } else if (inside) {
      const condition = /^\s+depends on\s+(.+?)\s*$/.exec(line)?.[1];
      if (condition !== undefined) depends.push(condition);
    }
  }
  return { known, depends };
};

/** One line of an error for a symbol that did not stick. */
export const explain = ({ symbol, asked, got }: Unstuck, kconfig: string): string => {
  const { known, depends } = describeSymbol(kconfig, symbol);
  const why = known
    ? `it depends on ${depends.length === 0 ? "what surrounds it in Kconfig" : depends.join("; ")}, or something else selects it`
    : "this source does not know it";
  return `${symbol}: expected ${asked}, got ${got}; ${why}`;
};

/** The names of the flavours. */
export const flavourNames = async (dir: string = CONFIG_DIR): Promise<readonly string[]> =>
  (await readdir(dir))
    .filter(name => name.endsWith(".config"))
    .map(name => name.slice(0, -".config".length))
    .filter(name => !ALWAYS.includes(name))
    .toSorted();

/** The fragments of a kernel with these flavours, in the order in which they are laid over each other. */
export const loadFragments = (flavours: readonly string[], dir: string = CONFIG_DIR): Promise<readonly Fragment[]> =>
  Promise.all(
    [...ALWAYS, ...flavours.toSorted()].map(async name => ({
      name,
      text: await readFile(path.join(dir, `${name}.config`), "utf8"),
    })),
  );
