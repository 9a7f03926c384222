/** Where the rig keeps things: its own tree, the cache that outlives runs, and short-lived run directories. */
import { tmpdir } from "node:os";
import path from "node:path";

/** The root of the project's tree. */
export const PROJECT_DIR = path.resolve(import.meta.dirname, "../..");

/** The cache: packages, images, kernels. Everything in it can be made again. */
export const cacheDir = (): string => {
  const base = process.env["XDG_CACHE_HOME"];
  const home = process.env["HOME"] ?? "/root";
  return path.join(base !== undefined && path.isAbsolute(base) ? base : path.join(home, ".cache"), "iscsi-rig");
};

/**
 * The parent of the labs' working directories (sockets, disks, console). Short, because a UNIX socket's path may have 107
 * bytes, and on a file system that QEMU can write to.
 */
export const labsDir = (): string => process.env["RIG_LABS_DIR"] ?? path.join(tmpdir(), "iscsi-rig");
