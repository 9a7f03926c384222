/**
 * A Linux tree, or the output directory of one (`make O=`), in which a kernel was built by somebody else. It is only read:
 * its modules are taken from where the build left them, not by `make modules_install`, so neither make nor a compiler is
 * run, and a tree on a disk that cannot be written will do.
 */
import { copyFile, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { contentKey, sha256File } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import type { KernelParts } from "./bundle.ts";
import { parseBzImage } from "./bzimage.ts";
import { type Configuration, parseConfig } from "./config.ts";

export const TREE_IMAGE = "arch/x86/boot/bzImage";

const bad = (message: string, cause?: unknown): RigError =>
  new RigError("RIG_KERNEL_BUNDLE", message, { blame: "usage", cause });

const text = (file: string): Promise<string | undefined> => readFile(file, "utf8").catch(() => undefined);
const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

/** Symbols that tell the architecture of a configuration. */
const OTHERS = ["ARM64", "ARM", "RISCV", "PPC", "S390", "LOONGARCH", "MIPS", "X86_32"];

/** Why there is no image, and what to run. */
const withoutImage = async (dir: string, config: Configuration | undefined): Promise<RigError> => {
  if (!(await isThere(dir))) return bad(`Expected a built Linux tree at ${dir}; there is none.`);
  if (config === undefined) {
    const source = await isThere(path.join(dir, "Kconfig"));
    return bad(
      `Expected a built Linux tree in ${dir}; it has no .config${source ? ". Configure it and run make there, or let the rig build it: source:" + dir : ", and no Kconfig either: it is no Linux tree"}.`,
    );
  }
  const other = OTHERS.find(name => config.get(`CONFIG_${name}`) === "y");
  return other === undefined
    ? bad(`Expected ${TREE_IMAGE} in ${dir}; it is not built. Run there: make -j$(nproc) bzImage modules`)
    : bad(`The tree ${dir} is configured with CONFIG_${other}; only kernels for x86-64 are supported.`);
};

/** The modules of a tree as its build lists them, relative to it. */
const listModules = async (dir: string, config: Configuration | undefined): Promise<readonly string[]> => {
  const order = await text(path.join(dir, "modules.order"));
  const wanted = config === undefined ? [] : [...config].filter(([, value]) => value === "m").map(([symbol]) => symbol);
  if (order === undefined) {
    if (wanted.length === 0) return [];
    throw bad(
      `Expected modules.order in ${dir}, whose .config has ${wanted.length} modules (${wanted[0] ?? ""} for one); they are not built. Run there: make -j$(nproc) modules`,
    );
  }
  // Objects are listed instead of modules since 6.2. "kernel/" went before each until 5.3; there is a directory of that name too.
  const names = order
    .split("\n")
    .filter(Boolean)
    .map(line => line.replace(/\.o$/, ".ko"));
  return Promise.all(
    names.map(async name => ((await isThere(path.join(dir, name))) ? name : name.replace(/^kernel\//, ""))),
  );
};

export interface BuiltTree {
  /** What is in it is known by these: the image by its hash, the modules by their names, sizes and times. */
  readonly content: readonly string[];
  /** Lays out the modules, as links, in a directory. */
  readonly open: (dir: string) => Promise<KernelParts>;
}

/** The kernel that was built in `dir`, or an error that says what to run there. */
export const builtTree = async (dir: string): Promise<BuiltTree> => {
  const configText = await text(path.join(dir, ".config"));
  const config = configText === undefined ? undefined : parseConfig(configText);
  const image = path.join(dir, TREE_IMAGE);
  if (!(await isThere(image))) throw await withoutImage(dir, config);
  const modules = await listModules(dir, config);
  const stats = await Promise.all(
    modules.map(async name => {
      try {
        const { size, mtimeMs } = await stat(path.join(dir, name));
        return `${name} ${size} ${mtimeMs}`;
      } catch (error) {
        throw bad(
          `Expected the module ${name} in ${dir}, as modules.order says; it is not there. Run there: make -j$(nproc) modules`,
          error,
        );
      }
    }),
  );
  return {
    content: ["tree", await sha256File(image), contentKey(configText ?? ""), contentKey(stats.join("\n"))],
    open: async to => {
      // One that was built for loading signed modules only signs them when they are installed.
      if (modules.length > 0 && config?.get("CONFIG_MODULE_SIG_FORCE") === "y")
        throw bad(
          `The kernel in ${dir} loads signed modules only (CONFIG_MODULE_SIG_FORCE), and they are signed when they are installed. Install them, and use image:${image},modules=DIR`,
        );
      const { release } = parseBzImage(await readFile(image), image);
      const tree = path.join(to, "lib/modules", release);
      await mkdir(path.join(tree, "kernel"), { recursive: true });
      for (const name of modules) {
        // depmod follows links to files.
        const link = path.join(tree, "kernel", name);
        await mkdir(path.dirname(link), { recursive: true });
        await symlink(path.join(dir, name), link);
      }
      await writeFile(path.join(tree, "modules.order"), modules.map(name => `kernel/${name}\n`).join(""));
      for (const name of ["modules.builtin", "modules.builtin.modinfo"])
        await copyFile(path.join(dir, name), path.join(tree, name)).catch((error: unknown) => {
          if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        });
      return { image, modules: to, config: configText === undefined ? undefined : path.join(dir, ".config") };
    },
  };
};
