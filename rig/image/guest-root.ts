/**
 * The guest root: one read-only erofs image that every microVM of every lab mounts, with a tmpfs over it. Sharing one file
 * keeps it in the host's page cache once; keeping all writes in memory makes a guest's state whole in a snapshot.
 */
import { chmod, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { cached, contentKey } from "../core/cache.ts";
import { runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { bootstrap } from "../debian/bootstrap.ts";
import { IMAGE_SUITE, readPackageList } from "./definition.ts";

/** Raised when the way the image is made changes, so that old ones are not used. */
const RECIPE = "guest-root 6";

export interface GuestRoot {
  readonly key: string;
  /** The erofs image. */
  readonly image: string;
}

const GUEST_FILES: Readonly<Record<string, string>> = {
  "etc/hosts": "127.0.0.1 localhost target initiator\n",
  "etc/fstab": "",
  "etc/resolv.conf": "",
  "etc/iscsi/initiatorname.iscsi": "",
  "etc/machine-id": "",
  // No login by password, and a plain shell: the rig's own key, given to each lab, is the only way in.
  "root/.profile": "",
};

const prepare = async (root: string): Promise<void> => {
  for (const [name, text] of Object.entries(GUEST_FILES)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await rm(path.join(root, name), { force: true });
    await writeFile(path.join(root, name), text);
  }
  await mkdir(path.join(root, "root/.ssh"), { recursive: true, mode: 0o700 });
  await symlink("/run/rig/authorized_keys", path.join(root, "root/.ssh/authorized_keys"));
  await chmod(path.join(root, "root"), 0o700);
  for (const dir of ["usr/lib/modules", "run/rig"]) await mkdir(path.join(root, dir), { recursive: true });
  for (const dir of ["var/lib/apt", "var/cache/apt", "var/lib/dpkg/info", "usr/share/perl", "boot"]) {
    await rm(path.join(root, dir), { recursive: true, force: true });
  }
};

/** The guest root, made if it is not cached. */
export const guestRoot = async (log: Log, signal?: AbortSignal): Promise<GuestRoot> => {
  const packages = await readPackageList("guest");
  const key = contentKey(RECIPE, IMAGE_SUITE, packages.join("\n"), JSON.stringify(GUEST_FILES));
  const dir = await cached({
    kind: "guest-root",
    key,
    what: "the guest root",
    needsMiB: 1500,
    log,
    signal,
    build: async building => {
      log.say(`Making the guest root: ${packages.length} packages and what they need (about a minute).`);
      const root = path.join(building, "root");
      await bootstrap({
        suite: IMAGE_SUITE,
        packages,
        target: root,
        signal,
        onLine: line => log.status(`guest root: ${line}`),
      });
      await prepare(root);
      await runOk(
        ["mkfs.erofs", "-T1700000000", "-Enoinline_data", path.join(building, "root.erofs"), root],
        "RIG_IMAGE_BUILD",
        { signal },
      );
      await rm(root, { recursive: true, force: true });
      log.status("");
    },
  });
  return { key, image: path.join(dir, "root.erofs") };
};
