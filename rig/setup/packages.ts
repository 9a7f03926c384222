/** The Debian packages that the rig's own machine needs, and their installation. */
import { existsSync } from "node:fs";
import { RigError } from "../core/errors.ts";
import { run, runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";

interface Need {
  readonly package: string;
  readonly why: string;
  /** Any of these files stands in for the package. */
  readonly files: readonly string[];
}

const NEEDS: readonly Need[] = [
  {
    package: "docker.io",
    why: "containers",
    files: ["/usr/sbin/dockerd", "/usr/bin/dockerd", "/usr/local/bin/dockerd"],
  },
  { package: "mmdebstrap", why: "images without a registry", files: ["/usr/bin/mmdebstrap"] },
  {
    package: "debian-archive-keyring",
    why: "Debian's keys",
    files: ["/usr/share/keyrings/debian-archive-keyring.gpg"],
  },
  { package: "erofs-utils", why: "the guests' disks", files: ["/usr/bin/mkfs.erofs"] },
  { package: "gcc", why: "the guests' init", files: ["/usr/bin/gcc"] },
  { package: "libc6-dev", why: "the guests' init", files: ["/usr/lib/x86_64-linux-gnu/libc.a"] },
  { package: "kmod", why: "module dependencies", files: ["/usr/sbin/depmod", "/sbin/depmod"] },
  { package: "xz-utils", why: "unpacking kernels", files: ["/usr/bin/xz"] },
  { package: "make", why: "building kernels", files: ["/usr/bin/make"] },
  { package: "flex", why: "building kernels", files: ["/usr/bin/flex"] },
  { package: "bison", why: "building kernels", files: ["/usr/bin/bison"] },
  { package: "bc", why: "building kernels", files: ["/usr/bin/bc"] },
  { package: "libelf-dev", why: "building kernels", files: ["/usr/include/gelf.h"] },
  { package: "tshark", why: "packets in words", files: ["/usr/bin/tshark"] },
];

const TEST_NEEDS: readonly Need[] = [
  { package: "qemu-utils", why: "tests of the NBD client", files: ["/usr/bin/qemu-nbd"] },
  { package: "nbdkit", why: "tests of the NBD client", files: ["/usr/bin/nbdkit", "/usr/sbin/nbdkit"] },
  { package: "chromium", why: "tests of the report", files: ["/usr/bin/chromium", "/usr/bin/chromium-browser"] },
];

/** What is missing on this machine. */
export const missingPackages = (tests: boolean): readonly Need[] =>
  [...NEEDS, ...(tests ? TEST_NEEDS : [])].filter(need => !need.files.some(file => existsSync(file)));

/** Installs what is missing, and says what and why. Does nothing where nothing is missing. */
export const installPackages = async (tests: boolean, log: Log, signal: AbortSignal): Promise<void> => {
  const missing = missingPackages(tests);
  if (missing.length === 0) return;
  const names = missing.map(need => need.package);
  if (process.getuid?.() !== 0) {
    throw new RigError(
      "RIG_NOT_ROOT",
      `Missing Debian packages: ${names.join(", ")}. Only root can install them. Run: sudo make setup`,
      { blame: "environment" },
    );
  }
  if (!existsSync("/usr/bin/apt-get")) {
    throw new RigError(
      "RIG_MISSING_PROGRAM",
      `Missing: ${names.join(", ")}; and this is no Debian machine (no apt-get), so install them by hand.`,
      { blame: "environment" },
    );
  }
  log.say(`Installing Debian packages: ${missing.map(need => `${need.package} (${need.why})`).join(", ")}.`);
  const onLine = (line: string) => log.status(`apt-get: ${line}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const update = await run(["apt-get", "update"], { signal, env, onLine });
  if (update.exitCode !== 0) log.say("apt-get update failed; going on with the lists that there are.", "warn");
  await runOk(["apt-get", "install", "--yes", "--no-install-recommends", ...names], "RIG_MISSING_PROGRAM", {
    signal,
    env,
    onLine,
  });
  log.status("");
};
