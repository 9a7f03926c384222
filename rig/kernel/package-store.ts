/**
 * Debian packages that were fetched once and are kept: a pointer says which one a name stands for until somebody asks for the
 * newest, and the package itself is in the cache by its content.
 */
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { cached } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import type { PrivateApt } from "../debian/apt.ts";

export const pointerSchema = z.strictObject({
  package: z.string(),
  version: z.string(),
  /** SHA-256 of the .deb, from the signed index. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  suites: z.array(z.string()),
  /** What was looked for, where that may be a meta package; pointers of earlier rigs do not say. */
  wanted: z.string().optional(),
});
export type Pointer = z.infer<typeof pointerSchema>;

export const pointerFile = (name: string): string => path.join(cacheDir(), "kernel-pointers", `${name}.json`);

/** The pointer in a file; undefined where there is none that can be read. */
export const readPointer = async (file: string): Promise<Pointer | undefined> => {
  try {
    return pointerSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data;
  } catch {
    return undefined;
  }
};

export const writePointer = async (file: string, pointer: Pointer): Promise<void> => {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(pointer, null, 2)}\n`);
  await rename(`${file}.${process.pid}`, file);
};

/** The package in an entry of the cache. */
export const debIn = async (dir: string): Promise<string | undefined> =>
  (await readdir(dir)).filter(name => name.endsWith(".deb")).map(name => path.join(dir, name))[0];

export const requireDeb = async (dir: string, pointer: Pointer): Promise<string> => {
  const deb = await debIn(dir);
  if (deb !== undefined) return deb;
  throw new RigError("RIG_KERNEL_FETCH", `apt fetched ${pointer.package} but left no .deb in ${dir}.`, {
    blame: "environment",
  });
};

/** Fetches the package that a pointer stands for, if it is not in the cache; returns its entry. */
export const download = (
  entry: { readonly kind: string; readonly key: string; readonly pointer: Pointer },
  apt: PrivateApt,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<string> => {
  const { kind, key, pointer } = entry;
  return cached({
    kind,
    key,
    what: `the package ${pointer.package} ${pointer.version}`,
    needsMiB: 500,
    log,
    signal,
    build: async building => {
      await runOk(
        ["apt-get", ...apt.options, "download", `${pointer.package}=${pointer.version}`],
        "RIG_KERNEL_FETCH",
        { cwd: building, signal },
      );
      // Before the entry is there: one without a package would stay, and nothing would fetch it again.
      await requireDeb(building, pointer);
    },
  });
};
