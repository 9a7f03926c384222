/**
 * Object trees: where kernels are compiled, one for each source and set of flavours, kept from build to build so that a
 * variant compiles what it changes and no more. A tree is work in progress and no cache entry: what leaves it as a kernel is
 * copied out. It holds links to the source's files, and only those that a variant changes are its own.
 *
 * Each tree knows whether a build was broken off in it. make deletes what it was making when it is told to stop, but not
 * when it is killed; so after a killed build everything that was written in its last minute is thrown away, half-written or
 * not. What make leaves running is waited for: its processes hold a lock on the tree for as long as any of them lives.
 *
 * The object directory is inside the source directory, because Kbuild then uses relative paths only, and a kernel does
 * not depend on where it was built.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { contentKey } from "../core/cache.ts";
import { run, runOk } from "../core/exec.ts";
import { cacheDir } from "../core/paths.ts";
import { type SourceTree, touchSource } from "./source-tree.ts";

/** Trees that are kept; the ones that were not used for longest go first. */
const MAX_TREES = 6;

/** What a killed build wrote within this time of its end is not trusted. */
const DOUBTFUL_MS = 60_000;

const stateSchema = z.strictObject({
  /** A build began in it and did not end by itself. */
  dirty: z.boolean(),
  /** Files that may differ from the source's. */
  touched: z.array(z.string()),
  /** Lines that the last whole build said. */
  steps: z.number().optional(),
});
type State = z.infer<typeof stateSchema>;

export interface ObjectTree {
  readonly dir: string;
  /** The source, as it is to be compiled. */
  readonly source: string;
  readonly objects: string;
  /** What the last build said. */
  readonly log: string;
  /** The tree has no objects yet. */
  readonly fresh: boolean;
  /** The last build in it was broken off. */
  readonly doubtful: boolean;
  /** Lines that a whole build says, if there was one. */
  readonly steps: number | undefined;
}

const objectsDir = (): string => path.join(cacheDir(), "kernel-objects");
const stateFile = (dir: string): string => path.join(dir, "state.json");

const readState = async (dir: string): Promise<State | undefined> => {
  try {
    return stateSchema.parse(JSON.parse(await readFile(stateFile(dir), "utf8")));
  } catch {
    return undefined;
  }
};

const writeState = async (dir: string, state: State): Promise<void> => {
  await writeFile(`${stateFile(dir)}.new`, `${JSON.stringify(state)}\n`);
  await rename(`${stateFile(dir)}.new`, stateFile(dir));
};

/** Removes all trees but the ones that were used last. Nobody else is at work in one: whoever calls holds the lock on builds. */
const trim = async (keep: string): Promise<void> => {
  const used: { name: string; at: number }[] = [];
  for (const name of await readdir(objectsDir())) {
    const at = await stat(stateFile(path.join(objectsDir(), name))).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    if (name !== keep) used.push({ name, at });
  }
  for (const { name } of used.toSorted((a, b) => b.at - a.at).slice(MAX_TREES - 1)) {
    // First what says that it can be used.
    await rm(stateFile(path.join(objectsDir(), name)), { force: true });
    await rm(path.join(objectsDir(), name), { recursive: true, force: true });
  }
};

/**
 * The object tree of a source with these flavours, compiled by this compiler; made if it is not there. Whoever calls it holds the lock on kernel
 * builds: trees that were not used for long are removed.
 */
export const openTree = async (
  source: SourceTree,
  flavours: readonly string[],
  compiler: string,
  signal?: AbortSignal,
): Promise<ObjectTree> => {
  const key = contentKey("object tree", source.key, compiler, ...flavours.toSorted());
  const dir = path.join(objectsDir(), key);
  await mkdir(objectsDir(), { recursive: true });
  await touchSource(source);
  await trim(key);
  let state = await readState(dir);
  if (state === undefined) {
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir);
    await runOk(["cp", "-a", "--link", source.directory, path.join(dir, "src")], "RIG_KERNEL_BUILD", { signal });
    state = { dirty: false, touched: [] };
  }
  await writeState(dir, state);
  const tree = {
    dir,
    source: path.join(dir, "src"),
    objects: path.join(dir, "src/obj"),
    log: path.join(dir, "build.log"),
  };
  const fresh = await stat(path.join(tree.objects, ".config")).then(
    () => false,
    () => true,
  );
  return { ...tree, fresh, doubtful: state.dirty, steps: state.steps };
};

/** Throws away what a build that was killed may have left half-written. */
export const discardDoubtful = async (tree: ObjectTree): Promise<void> => {
  const found = await run(["find", tree.objects, "-type", "f", "-printf", "%T@ %p\\0"]);
  const files = found.stdout
    .split("\0")
    .filter(Boolean)
    .map(line => ({ at: Number(line.slice(0, line.indexOf(" "))) * 1000, file: line.slice(line.indexOf(" ") + 1) }));
  const newest = files.reduce((latest, { at }) => Math.max(latest, at), 0);
  for (const { at, file } of files) if (at >= newest - DOUBTFUL_MS) await rm(file, { force: true });
};

/** Throws all objects away. */
export const discardObjects = (tree: ObjectTree): Promise<void> => rm(tree.objects, { recursive: true, force: true });

const readText = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};

/**
 * Makes the tree's source the pristine one with `files` in place of its own. Only what differs is written, so only that is
 * compiled again. From here until `settle` the tree counts as broken off.
 */
export const setSource = async (
  tree: ObjectTree,
  pristine: string,
  files: ReadonlyMap<string, string | undefined>,
): Promise<void> => {
  const before = await readState(tree.dir);
  const touched = [...new Set([...(before?.touched ?? []), ...files.keys()])].toSorted();
  await writeState(tree.dir, { ...before, dirty: true, touched });
  for (const name of touched) {
    const file = path.join(tree.source, name);
    const original = path.join(pristine, name);
    const wanted = files.has(name) ? files.get(name) : await readText(original);
    if ((await readText(file)) === wanted) continue;
    // The name may be a link to the source's own file, which must not be written to.
    await rm(file, { force: true });
    if (wanted === undefined) continue;
    await mkdir(path.dirname(file), { recursive: true });
    const mode = await stat(original).then(
      facts => facts.mode & 0o777,
      () => 0o644,
    );
    await writeFile(`${file}.rig`, wanted, { encoding: "latin1", mode });
    await rename(`${file}.rig`, file);
  }
};

/** Says that make came to its end, and so left nothing half-written. `steps` are those of a whole build. */
export const settle = async (
  tree: ObjectTree,
  files: ReadonlyMap<string, string | undefined>,
  steps?: number,
): Promise<void> => {
  const before = await readState(tree.dir);
  const whole = steps ?? before?.steps;
  await writeState(tree.dir, {
    dirty: false,
    touched: [...files.keys()].toSorted(),
    ...(whole === undefined ? {} : { steps: whole }),
  });
};
