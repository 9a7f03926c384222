/** Stand-ins for the programs that a boot bundle is made with, and files that pass for kernels. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { cacheDir } from "../core/paths.ts";
import { bootImage, type ElfParts, elf } from "./elf.ts";

/** For `standIns`; each does as much of the program's work as tests look at. */
export const BUNDLE_PROGRAMS: Readonly<Record<string, string>> = {
  gcc: 'while [ "$1" != -o ]; do shift; done; echo program > "$2"',
  depmod: `cd "$2/lib/modules/$3" || exit 1
    find -L . -name '*.ko*' | sed 's:^\\./::; s/$/:/' | sort > modules.dep
    : > modules.softdep`,
  "mkfs.erofs": 'shift 2; (cd "$2" && find . -type f | sort) > "$1"',
};

/** What CONFIG_IKCONFIG puts into a kernel. */
export const withConfig = (config: string): Buffer =>
  Buffer.concat([Buffer.from("IKCFG_ST"), gzipSync(config), Buffer.from("IKCFG_ED")]);

/** A bzImage with this kernel in it. */
export const kernelImage = (release: string, parts: ElfParts = {}): Buffer =>
  bootImage({ release, payload: gzipSync(elf(parts)) });

/** A module as far as its version goes. */
export const moduleOf = (release: string): string => `\u007fELF vermagic=${release} SMP mod_unload \0`;

/** Writes files, by their paths below a directory. */
export const writeFiles = async (dir: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> => {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), content);
  }
};

/** What is in the cache of boot bundles, half-made ones included. */
export const bundlesInCache = (): Promise<readonly string[]> =>
  readdir(path.join(cacheDir(), "boot-bundle")).catch(() => []);
