/**
 * The boot bundle of a kernel: all that QEMU needs to start it in a lab. The kernel itself, unpacked, so that the guest
 * does not spend seconds on it; an initramfs with the init and the modules that every lab loads; and a second read-only
 * disk with the modules that a scenario may ask for.
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { cached, contentKey, sha256File } from "../core/cache.ts";
import { RigError } from "../core/errors.ts";
import { run, runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { NODE_NAMES } from "../core/names.ts";
import { definitionFile } from "../image/definition.ts";
import { compileProgram } from "../image/program.ts";
import { type BzImage, parseBzImage } from "./bzimage.ts";
import { type CpioEntry, cpioArchive, directory, file } from "./cpio.ts";
import { BOOT_MODULES, LAB_MODULES, moduleName, parseModuleIndex, ROLE_MODULES } from "./modules.ts";

/** Raised when the way a bundle is made changes. */
const RECIPE = "boot-bundle 5";

/** The first process of a guest, and the one that the rig talks to. */
const GUEST_PROGRAMS = ["init", "agent"];

export interface BundleFacts {
  readonly release: string;
  /** SHA-256 of the image as it came, compressed. */
  readonly sha256: string;
}

export interface BootBundle extends BundleFacts {
  readonly key: string;
  readonly vmlinux: string;
  readonly initramfs: string;
  readonly modules: string;
}

type Decompressor = (from: string, to: string, signal: AbortSignal | undefined) => Promise<void>;

const through =
  (...argv: readonly [string, ...string[]]): Decompressor =>
  async (from, to, signal) => {
    await runOk(
      ["sh", "-c", 'in=$1 out=$2; shift 2; exec "$@" < "$in" > "$out"', "sh", from, to, ...argv],
      "RIG_KERNEL_BUNDLE",
      { signal },
    );
  };

const DECOMPRESS: Readonly<Record<BzImage["compression"], Decompressor>> = {
  xz: through("xz", "-dc", "--single-stream"),
  lz4: through("lz4", "-dc"),
  zstd: async (from, to) => writeFile(to, zstdDecompressSync(await readFile(from))),
  gzip: async (from, to) => writeFile(to, gunzipSync(await readFile(from))),
};

const unpackImage = async (image: BzImage, building: string, signal: AbortSignal | undefined): Promise<void> => {
  const packed = path.join(building, "payload");
  await writeFile(packed, image.payload);
  const vmlinux = path.join(building, "vmlinux");
  await DECOMPRESS[image.compression](packed, vmlinux, signal);
  await rm(packed);
  const head = (await readFile(vmlinux)).subarray(0, 20);
  if (head.toString("latin1", 0, 4) !== "\u007fELF" || head.readUInt16LE(18) !== 62) {
    throw new RigError(
      "RIG_KERNEL_BUNDLE",
      `The kernel ${image.release} is not for x86-64; other architectures are not supported yet.`,
      { blame: "usage" },
    );
  }
};

const readModule = async (from: string, signal: AbortSignal | undefined): Promise<Buffer> => {
  const bytes = await readFile(from);
  if (from.endsWith(".zst")) return zstdDecompressSync(bytes);
  if (from.endsWith(".gz")) return gunzipSync(bytes);
  if (!from.endsWith(".xz")) return bytes;
  const plain = from.slice(0, -3);
  await runOk(["xz", "-dkf", from], "RIG_KERNEL_BUNDLE", { signal });
  return readFile(plain);
};

/** Where a package keeps its modules: /lib/modules before the merged /usr, /usr/lib/modules after. */
const modulesRoot = async (root: string, release: string): Promise<string> => {
  for (const base of [root, path.join(root, "usr")]) {
    const found: readonly string[] = await readdir(path.join(base, "lib/modules")).catch(() => []);
    if (found.includes(release)) return base;
  }
  throw new RigError("RIG_KERNEL_BUNDLE", `Expected modules of ${release} in the package; there are none.`, {
    blame: "environment",
  });
};

const findImage = async (root: string): Promise<string> => {
  const names = await readdir(path.join(root, "boot")).catch(() => []);
  const image = names.find(name => name.startsWith("vmlinuz-"));
  if (image === undefined)
    throw new RigError("RIG_KERNEL_BUNDLE", "Expected boot/vmlinuz-* in the kernel package; there is none.", {
      blame: "environment",
    });
  return path.join(root, "boot", image);
};

const buildFrom = async (root: string, building: string, log: Log, signal: AbortSignal | undefined): Promise<void> => {
  const imageFile = await findImage(root);
  const image = parseBzImage(await readFile(imageFile), imageFile);
  await unpackImage(image, building, signal);

  const base = await modulesRoot(root, image.release);
  const tree = path.join(base, "lib/modules", image.release);
  await runOk(["depmod", "-b", base, image.release], "RIG_KERNEL_BUNDLE", { signal });
  const index = parseModuleIndex(
    await readFile(path.join(tree, "modules.dep"), "utf8"),
    await readFile(path.join(tree, "modules.softdep"), "utf8"),
  );

  const entries: CpioEntry[] = [directory("dev"), directory("proc"), directory("sys"), directory("m")];
  for (const dir of ["lower", "rw", "new"]) entries.push(directory(dir));
  for (const program of GUEST_PROGRAMS) {
    const binary = path.join(building, program);
    await compileProgram("guest", `${program}.c`, binary, log, signal);
    entries.push(file(program, await readFile(binary), 0o755));
    await rm(binary);
  }
  const lists = {
    boot: index.resolve(BOOT_MODULES),
    ...Object.fromEntries(NODE_NAMES.map(node => [node, index.resolve(ROLE_MODULES[node])])),
  };
  const inInitramfs = new Set<string>();
  for (const [list, files] of Object.entries(lists)) {
    entries.push(file(`m/${list}.list`, files.map(name => `${moduleName(name)}.ko\n`).join("")));
    for (const name of files) inInitramfs.add(name);
  }
  for (const name of inInitramfs)
    entries.push(file(`m/${moduleName(name)}.ko`, await readModule(path.join(tree, name), signal)));
  await writeFile(path.join(building, "initramfs.cpio"), cpioArchive(entries));

  const disk = path.join(building, "disk", "lib/modules", image.release);
  for (const name of index.resolve([...BOOT_MODULES, ...Object.values(ROLE_MODULES).flat(), ...LAB_MODULES])) {
    const to = path.join(disk, name.replace(/\.(xz|zst|gz)$/, ""));
    await mkdir(path.dirname(to), { recursive: true });
    await writeFile(to, await readModule(path.join(tree, name), signal));
  }
  for (const name of ["modules.order", "modules.builtin", "modules.builtin.modinfo"]) {
    const text = await readFile(path.join(tree, name)).catch(() => undefined);
    if (text !== undefined) await writeFile(path.join(disk, name), text);
  }
  await run(["depmod", "-b", path.join(building, "disk"), image.release], { signal });
  await runOk(
    [
      "mkfs.erofs",
      "-T0",
      "-Enoinline_data",
      path.join(building, "modules.erofs"),
      path.join(building, "disk/lib/modules"),
    ],
    "RIG_KERNEL_BUNDLE",
    { signal },
  );
  await rm(path.join(building, "disk"), { recursive: true });
  const facts: BundleFacts = { release: image.release, sha256: await sha256File(imageFile) };
  await writeFile(path.join(building, "bundle.json"), `${JSON.stringify(facts, null, 2)}\n`);
};

/** The boot bundle of a kernel package. `name` is for messages. */
export const bundleOfPackage = async (
  name: string,
  deb: string,
  debSha256: string,
  log: Log,
  signal?: AbortSignal,
): Promise<BootBundle> => {
  const key = contentKey(
    RECIPE,
    debSha256,
    ...(await Promise.all(GUEST_PROGRAMS.map(program => readFile(definitionFile("guest", `${program}.c`))))),
    JSON.stringify([BOOT_MODULES, ROLE_MODULES, LAB_MODULES]),
  );
  const dir = await cached({
    kind: "boot-bundle",
    key,
    what: `the boot bundle of ${name}`,
    needsMiB: 1200,
    log,
    signal,
    build: async building => {
      log.say(`Making the boot bundle of ${name} (a few seconds).`);
      const root = path.join(building, "package");
      await runOk(["dpkg-deb", "--extract", deb, root], "RIG_KERNEL_BUNDLE", { signal });
      await buildFrom(root, building, log, signal);
      await rm(root, { recursive: true });
      log.status("");
    },
  });
  const facts = JSON.parse(await readFile(path.join(dir, "bundle.json"), "utf8")) as BundleFacts;
  return {
    ...facts,
    key,
    vmlinux: path.join(dir, "vmlinux"),
    initramfs: path.join(dir, "initramfs.cpio"),
    modules: path.join(dir, "modules.erofs"),
  };
};
