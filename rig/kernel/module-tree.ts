/**
 * A directory of modules, seen through a tree of links of the rig's own: depmod's index is written there, so that nothing is
 * changed where the modules are.
 */
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import { filter, whole } from "./image.ts";
import { type ModuleIndex, moduleName, parseModuleIndex } from "./modules.ts";

/** What a build puts beside its modules, and depmod cannot make up. */
export const MODULE_LISTS = ["modules.order", "modules.builtin", "modules.builtin.modinfo"] as const;

const list = (dir: string): Promise<readonly string[]> => readdir(dir).catch(() => []);

/** Whether a directory is one release's: /lib/modules/RELEASE. */
const isRelease = async (dir: string): Promise<boolean> =>
  (await list(dir)).some(name => name === "kernel" || name === "modules.dep" || name === "modules.order");

/**
 * The directory of a release's modules in `given`: that of the release itself, /lib/modules, or the root of a file system
 * (/lib/modules before the merged /usr, /usr/lib/modules after). `where` is for messages.
 */
export const findRelease = async (given: string, release: string, where = given): Promise<string> => {
  if (await isRelease(given)) return given;
  const parents = [given, path.join(given, "lib/modules"), path.join(given, "usr/lib/modules")];
  const others: string[] = [];
  for (const parent of parents) {
    for (const name of await list(parent)) {
      if (!(await isRelease(path.join(parent, name)))) continue;
      if (name === release) return path.join(parent, name);
      others.push(name);
    }
  }
  const there = await stat(given).then(
    facts => facts.isDirectory(),
    () => false,
  );
  const seen = others.length === 0 ? "there are none of any" : `there are those of ${[...new Set(others)].join(", ")}`;
  throw new RigError(
    "RIG_KERNEL_BUNDLE",
    `Expected modules of ${release}, the kernel's own release, in ${where}; ${there ? seen : "there is no such directory"}.`,
    { blame: "usage" },
  );
};

export interface ModuleTree {
  readonly index: ModuleIndex;
  /** What is built in, by the names of modules; undefined where the build left no list. */
  readonly builtIn: ReadonlySet<string> | undefined;
  /** A module's bytes, unpacked, by its name in the index. */
  read(name: string): Promise<Buffer>;
  /** One of the lists, if there is one. */
  list(name: (typeof MODULE_LISTS)[number]): Promise<Buffer | undefined>;
}

const NO_MODULES: ModuleTree = {
  index: parseModuleIndex("", ""),
  builtIn: undefined,
  read: name => Promise.reject(new Error(`there is no module ${name}`)),
  list: () => Promise.resolve(undefined),
};

/** What scripts/sign-file leaves at a module's end; a module that is changed behind it is signed no more. */
const SIGNED = "~Module signature appended~\n";

/** Whether a module has symbols for a debugger, ten times its own size, which no guest has memory for. */
const isBulky = (bytes: Buffer): boolean =>
  bytes.includes(".debug_info") && bytes.toString("latin1", bytes.length - SIGNED.length) !== SIGNED;

const requireVermagic = (bytes: Buffer, file: string, release: string): void => {
  const at = bytes.indexOf("vermagic=");
  if (at < 0) return;
  const magic = bytes.toString("latin1", at + 9, at + 209).split(/[ \0]/)[0] ?? "";
  if (magic === release) return;
  throw new RigError(
    "RIG_KERNEL_BUNDLE",
    `The module ${file} was built for ${magic.slice(0, 100)}, the kernel is ${release}; it would not load.`,
    { blame: "usage" },
  );
};

/** The modules of a release in `given`; none, for a kernel that has all it needs built in. `scratch` is removed by the caller. */
export const openModules = async (
  given: string | undefined,
  release: string,
  scratch: string,
  signal: AbortSignal | undefined,
  where?: string,
): Promise<ModuleTree> => {
  if (given === undefined) return NO_MODULES;
  const from = await findRelease(given, release, where);
  const tree = path.join(scratch, "lib/modules", release);
  await mkdir(tree, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isDirectory() || (MODULE_LISTS as readonly string[]).includes(entry.name))
      await symlink(path.resolve(from, entry.name), path.join(tree, entry.name));
  }
  await runOk(["depmod", "-b", scratch, release], "RIG_KERNEL_BUNDLE", { signal });
  const text = (name: string) => readFile(path.join(tree, name), "utf8");
  const [plain, stripped] = [path.join(scratch, "module"), path.join(scratch, "stripped")];
  const unpack = async (file: string): Promise<Buffer> => {
    if (file.endsWith(".xz")) {
      await filter(["xz", "-dc"], file, plain, signal);
      return readFile(plain);
    }
    const bytes = await readFile(file);
    if (file.endsWith(".zst")) return whole(zstdDecompressSync, bytes, file);
    return file.endsWith(".gz") ? whole(gunzipSync, bytes, file) : bytes;
  };
  const slim = async (bytes: Buffer): Promise<Buffer> => {
    if (!isBulky(bytes)) return bytes;
    await writeFile(plain, bytes);
    await runOk(["strip", "--strip-debug", "-o", stripped, plain], "RIG_KERNEL_BUNDLE", { signal });
    return readFile(stripped);
  };
  const readList: ModuleTree["list"] = name => readFile(path.join(tree, name)).catch(() => undefined);
  const builtIn = await readList("modules.builtin");
  return {
    builtIn:
      builtIn === undefined ? undefined : new Set(builtIn.toString().split("\n").filter(Boolean).map(moduleName)),
    index: parseModuleIndex(await text("modules.dep"), await text("modules.softdep")),
    read: async name => {
      const bytes = await unpack(path.join(tree, name));
      requireVermagic(bytes, path.join(from, name), release);
      return slim(bytes);
    },
    list: readList,
  };
};

/** Writes modules and lists as a /lib/modules of a guest. */
export const writeModules = async (
  tree: ModuleTree,
  names: readonly string[],
  root: string,
  release: string,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const dir = path.join(root, "lib/modules", release);
  await mkdir(dir, { recursive: true });
  for (const name of names) {
    const to = path.join(dir, name.replace(/\.(xz|zst|gz)$/, ""));
    await mkdir(path.dirname(to), { recursive: true });
    await writeFile(to, await tree.read(name));
  }
  for (const name of MODULE_LISTS) await writeFile(path.join(dir, name), (await tree.list(name)) ?? "");
  await runOk(["depmod", "-b", root, release], "RIG_KERNEL_BUNDLE", { signal });
};
