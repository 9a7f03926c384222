/**
 * The boot bundle of a kernel: all that QEMU needs to start it in a lab. The kernel itself, unpacked where it can be
 * started so, because a guest would spend seconds on it; an initramfs with the init and the modules that every lab loads;
 * and a second read-only disk with the modules that a scenario may ask for.
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { cached, contentKey, peekCache, sha256File } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { NODE_NAMES } from "../core/names.ts";
import { definitionFile } from "../image/definition.ts";
import { compileProgram } from "../image/program.ts";
import { parseConfig } from "./config.ts";
import { type CpioEntry, cpioArchive, directory, file } from "./cpio.ts";
import { embeddedConfig } from "./elf.ts";
import { unpackImage } from "./image.ts";
import { type ModuleTree, openModules, writeModules } from "./module-tree.ts";
import { BOOT_MODULES, LAB_MODULES, moduleName, ROLE_MODULES } from "./modules.ts";
import { missingNeeds, NEEDED_MODULES } from "./needs.ts";

/** Raised when the way a bundle is made changes. */
const RECIPE = "boot-bundle 7";

const KIND = "boot-bundle";

/** The first process of a guest, the one that the rig talks to, and the one that serves devices. */
const GUEST_PROGRAMS = ["init", "agent", "nbd"];

const factsSchema = z.strictObject({
  /** As `uname -r` prints it. */
  release: z.string(),
  /** SHA-256 of the image as it came, compressed. */
  sha256: z.string(),
  entry: z.enum(["pvh", "bzimage"]),
  /** SHA-256 of the configuration, where it could be had. */
  configSha256: z.string().optional(),
});

export interface BootBundle extends Readonly<z.infer<typeof factsSchema>> {
  readonly key: string;
  readonly directory: string;
  readonly initramfs: string;
  /** The kernel's .config, where it could be had. */
  readonly config?: string;
}

/** A kernel's parts, wherever they come from. */
export interface KernelParts {
  /** A bzImage or a vmlinux. */
  readonly image: string;
  /** Where its modules are: the directory of its release, /lib/modules, or the root above. A kernel without modules has none. */
  readonly modules?: string | undefined;
  /** What the modules were looked for in, for messages, where that is no directory of the user's. */
  readonly where?: string | undefined;
  /** A .config, for a kernel that does not carry its own. */
  readonly config?: string | undefined;
}

export interface BundleRequest {
  /** The kernel's, for messages. */
  readonly name: string;
  /** What its parts are known by: the same strings, the same content. */
  readonly content: readonly string[];
  /** Lays out the parts; `dir` is for what has to be unpacked first, and is thrown away afterwards. */
  readonly open: (dir: string) => Promise<KernelParts>;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

/** The configuration: the kernel's own, its module's, or the one that lies beside it. */
const findConfig = async (
  elf: Buffer,
  modules: ModuleTree,
  beside: string | undefined,
): Promise<string | undefined> => {
  const own = embeddedConfig(elf);
  if (own !== undefined) return own;
  const name = modules.index.resolve(["configs"]).at(-1);
  const fromModule = name === undefined ? undefined : embeddedConfig(await modules.read(name));
  return fromModule ?? (beside === undefined ? undefined : readFile(beside, "utf8").catch(() => undefined));
};

const requireNeeds = (
  name: string,
  release: string,
  config: string | undefined,
  modules: ModuleTree,
  given: KernelParts,
): void => {
  const missing = missingNeeds({
    config: config === undefined ? undefined : parseConfig(config),
    hasModule: module => modules.index.has(module),
    builtIn: modules.builtIn,
  });
  if (missing.length === 0) return;
  const hint =
    given.modules === undefined && missing.some(line => line.includes("is a module"))
      ? `Say where its modules are: image:${given.image},modules=DIR`
      : "Build it with these; docs/kernels.md has the list, and says how the rig builds one itself.";
  throw new RigError(
    "RIG_KERNEL_BUNDLE",
    `The kernel ${name} (${release}) cannot run a lab:\n${missing.map(line => `  ${line}`).join("\n")}\n${hint}`,
    { blame: "usage" },
  );
};

const makeInitramfs = async (
  modules: ModuleTree,
  scratch: string,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<Buffer> => {
  const entries: CpioEntry[] = [directory("dev"), directory("proc"), directory("sys"), directory("m")];
  for (const dir of ["lower", "rw", "new"]) entries.push(directory(dir));
  for (const program of GUEST_PROGRAMS) {
    const binary = path.join(scratch, program);
    await compileProgram("guest", `${program}.c`, binary, log, signal);
    entries.push(file(program, await readFile(binary), 0o755));
  }
  const lists = {
    boot: modules.index.resolve(BOOT_MODULES),
    ...Object.fromEntries(NODE_NAMES.map(node => [node, modules.index.resolve(ROLE_MODULES[node])])),
  };
  for (const [list, files] of Object.entries(lists))
    entries.push(file(`m/${list}.list`, files.map(name => `${moduleName(name)}.ko\n`).join("")));
  for (const name of new Set(Object.values(lists).flat()))
    entries.push(file(`m/${moduleName(name)}.ko`, await modules.read(name)));
  return cpioArchive(entries);
};

/** Every module that a bundle carries. */
const CARRIED = [...BOOT_MODULES, ...Object.values(ROLE_MODULES).flat(), ...NEEDED_MODULES, ...LAB_MODULES];

const build = async (request: BundleRequest, building: string): Promise<void> => {
  const { name, log, signal } = request;
  const scratch = path.join(building, "scratch");
  const [unpacked, index, disk] = [
    path.join(scratch, "parts"),
    path.join(scratch, "index"),
    path.join(scratch, "disk"),
  ];
  await mkdir(unpacked, { recursive: true });
  const parts = await request.open(unpacked);
  const { facts, elf } = await unpackImage(parts.image, path.join(building, "kernel"), scratch, signal);
  const modules = await openModules(parts.modules, facts.release, index, signal, parts.where);
  const config = await findConfig(elf, modules, parts.config);
  requireNeeds(name, facts.release, config, modules, parts);
  if (config !== undefined) await writeFile(path.join(building, "config"), config);

  await writeFile(path.join(building, "initramfs.cpio"), await makeInitramfs(modules, scratch, log, signal));
  await writeModules(modules, modules.index.resolve(CARRIED), disk, facts.release, signal);
  const image = path.join(building, "modules.erofs");
  await runOk(["mkfs.erofs", "-T0", "-Enoinline_data", image, path.join(disk, "lib/modules")], "RIG_KERNEL_BUNDLE", {
    signal,
  });
  await rm(scratch, { recursive: true });
  const configSha256 = config === undefined ? undefined : await sha256File(path.join(building, "config"));
  await writeFile(path.join(building, "bundle.json"), `${JSON.stringify({ ...facts, configSha256 }, null, 2)}\n`);
};

const keyOf = async (content: readonly string[]): Promise<string> =>
  contentKey(
    RECIPE,
    ...content,
    ...(await Promise.all(GUEST_PROGRAMS.map(program => readFile(definitionFile("guest", `${program}.c`))))),
    JSON.stringify([BOOT_MODULES, ROLE_MODULES, CARRIED]),
  );

const openBundle = async (key: string, dir: string): Promise<BootBundle> => {
  const facts = factsSchema.parse(JSON.parse(await readFile(path.join(dir, "bundle.json"), "utf8")));
  return {
    ...facts,
    key,
    directory: dir,
    initramfs: path.join(dir, "initramfs.cpio"),
    ...(facts.configSha256 === undefined ? {} : { config: path.join(dir, "config") }),
  };
};

/** The bundle in the cache; undefined if it is not there or is damaged. */
export const cachedBundle = async (content: readonly string[]): Promise<BootBundle | undefined> => {
  const key = await keyOf(content);
  const dir = await peekCache(KIND, key);
  return dir === undefined ? undefined : openBundle(key, dir);
};

/** The boot bundle of a kernel, made if it is not in the cache. */
export const bundleOf = async (request: BundleRequest): Promise<BootBundle> => {
  const { name, log, signal } = request;
  const key = await keyOf(request.content);
  const dir = await cached({
    kind: KIND,
    key,
    what: `the boot bundle of ${name}`,
    needsMiB: 1200,
    log,
    signal,
    build: async building => {
      log.say(`Making the boot bundle of ${name} (a few seconds).`);
      await build(request, building);
      log.status("");
    },
  });
  return openBundle(key, dir);
};
