/**
 * Building kernels: a source, flavours of its configuration and variants of its code become a bzImage in the cache, known
 * by a hash of everything that shapes it: source, configuration, patches, compiler. Same inputs, same image, bit for bit.
 */
import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { cached, peekCache, sha256File } from "../core/cache.ts";
import { monotonicMs } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { type ExecResult, runOk } from "../core/exec.ts";
import { acquireLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { cacheDir } from "../core/paths.ts";
import { type BuildPlaces, type BuildPlan, planBuild } from "./build-plan.ts";
import { configText, explain, parseConfig, unstuck } from "./config.ts";
import { buildError, type MakeOptions, make, withoutPlace } from "./make.ts";
import { discardDoubtful, discardObjects, type ObjectTree, openTree, setSource, settle } from "./object-tree.ts";
import type { SourceTree } from "./source-tree.ts";

export type { SourceTree } from "./source-tree.ts";

/** Steps of a whole build before there was one in a tree. */
const USUAL_STEPS = 1800;

export interface BuiltKernel {
  /** The bzImage. */
  readonly image: string;
  readonly config: string;
  /** A directory with lib/modules/RELEASE. All is built in, and modules.builtin there tells modprobe so. */
  readonly modules?: string;
  /** Of the image. */
  readonly sha256: string;
  readonly key: string;
  readonly log: string;
  /** How long it took to build. */
  readonly seconds: number;
}

const factsSchema = z.strictObject({
  sha256: z.string(),
  seconds: z.number(),
  release: z.string(),
  source: z.string(),
  compiler: z.string(),
  suffixes: z.array(z.string()),
  patches: z.array(z.string()),
});

const readBuilt = async (dir: string, key: string): Promise<BuiltKernel> => {
  const facts = factsSchema.parse(JSON.parse(await readFile(path.join(dir, "build.json"), "utf8")));
  return {
    image: path.join(dir, "bzImage"),
    config: path.join(dir, "config"),
    modules: dir,
    sha256: facts.sha256,
    key,
    log: path.join(dir, "build.log"),
    seconds: facts.seconds,
  };
};

/** The text of all Kconfig files of a source, for explaining a symbol that did not stick. */
const kconfigOf = async (tree: ObjectTree): Promise<string> =>
  (
    await runOk(
      [
        "find",
        tree.source,
        "-path",
        tree.objects,
        "-prune",
        "-o",
        "-name",
        "Kconfig*",
        "-type",
        "f",
        "-exec",
        "cat",
        "{}",
        "+",
      ],
      "RIG_KERNEL_BUILD",
    )
  ).stdout;

/** A make that failed, as an error. Unless the disk is full or make was killed, it has cleaned up behind itself. */
const failed = async (what: string, plan: BuildPlan, tree: ObjectTree, result: ExecResult): Promise<RigError> => {
  const error = buildError(what, tree, result);
  if (result.exitCode > 0 && error.code !== "RIG_NO_SPACE") await settle(tree, plan.applied.files);
  return error;
};

const configure = async (plan: BuildPlan, tree: ObjectTree, options: MakeOptions): Promise<void> => {
  await mkdir(tree.objects, { recursive: true });
  await writeFile(path.join(tree.objects, "rig.config"), configText(plan.asked));
  await rm(path.join(tree.objects, "rig.new"), { force: true });
  const result = await make(
    tree,
    ["-s", "KCONFIG_ALLCONFIG=rig.config", "KCONFIG_CONFIG=rig.new", "allnoconfig"],
    options,
  );
  if (result.exitCode !== 0) throw await failed(`the configuration of ${plan.what}`, plan, tree, result);
  const text = await readFile(path.join(tree.objects, "rig.new"), "utf8");
  const missing = unstuck(plan.asked, parseConfig(text));
  if (missing.length > 0) {
    await settle(tree, plan.applied.files);
    const kconfig = await kconfigOf(tree);
    throw new RigError(
      "RIG_KERNEL_BUILD",
      `The configuration of ${plan.what} is not what kernels/config asks for:\n${missing
        .map(one => `  ${explain(one, kconfig)}`)
        .join("\n")}\nCorrect the fragment, or say behind the symbol in which versions it exists. Log: ${tree.log}`,
      { blame: "usage" },
    );
  }
  // Left alone where it is the same: Kbuild goes by its time.
  const config = path.join(tree.objects, ".config");
  if ((await readFile(config, "utf8").catch(() => "")) !== text)
    await rename(path.join(tree.objects, "rig.new"), config);
};

/** A line of make's that says what it does: "  CC      drivers/scsi/iscsi_tcp.o". */
const STEP = /^ {2}[A-Z][A-Z0-9_]*(?: \[M\])? +\S/;

const compile = async (plan: BuildPlan, tree: ObjectTree, log: Log, signal: AbortSignal | undefined): Promise<void> => {
  const begun = monotonicMs();
  const total = tree.fresh || tree.doubtful ? ` of about ${tree.steps ?? USUAL_STEPS}` : "";
  let steps = 0;
  const onLine = (line: string) => {
    if (!STEP.test(line)) return;
    steps++;
    log.status(`Building ${plan.what}: ${steps}${total} steps, ${Math.round((monotonicMs() - begun) / 1000)} s.`);
  };
  const options = { signal, onLine };
  await writeFile(tree.log, "");
  if (tree.doubtful) {
    // Whoever is still at work in it ends first.
    await make(tree, ["-s", "kernelversion"], { signal });
    await discardDoubtful(tree);
  }
  await setSource(tree, plan.source.directory, plan.applied.files);
  await configure(plan, tree, options);
  const debug = plan.asked.get("CONFIG_DEBUG_INFO") === "y" ? withoutPlace(tree) : [];
  const result = await make(tree, [`LOCALVERSION=${plan.localVersion}`, ...debug, "bzImage"], options);
  log.status("");
  if (result.exitCode !== 0) throw await failed(plan.what, plan, tree, result);
  await settle(tree, plan.applied.files, tree.fresh ? steps : undefined);
};

/** Copies what was built out of the tree. */
const harvest = async (plan: BuildPlan, tree: ObjectTree, seconds: number, to: string): Promise<void> => {
  const from = (...parts: string[]) => path.join(tree.objects, ...parts);
  const image = path.join(to, "bzImage");
  await copyFile(from("arch/x86/boot/bzImage"), image);
  await copyFile(from(".config"), path.join(to, "config"));
  await copyFile(tree.log, path.join(to, "build.log"));
  const release = (await readFile(from("include/config/kernel.release"), "utf8")).trim();
  const modules = path.join(to, "lib/modules", release);
  await mkdir(modules, { recursive: true });
  await writeFile(path.join(modules, "modules.order"), "");
  for (const name of ["modules.builtin", "modules.builtin.modinfo"])
    await copyFile(from(name), path.join(modules, name));
  const facts: z.infer<typeof factsSchema> = {
    sha256: await sha256File(image),
    seconds,
    release,
    source: plan.source.title,
    compiler: plan.compiler,
    suffixes: [...plan.suffixes],
    patches: plan.applied.used.map(({ variant, patch }) => `${variant}/${patch}`),
  };
  await writeFile(path.join(to, "build.json"), `${JSON.stringify(facts, null, 2)}\n`);
};

const buildInto = async (plan: BuildPlan, dir: string, log: Log, signal: AbortSignal | undefined): Promise<void> => {
  await using _lock = await acquireLock(path.join(cacheDir(), "kernel-build"), {
    signal,
    onWait: () => log.say(`Another kernel is being built; waiting for it before ${plan.what}.`),
  });
  const begun = monotonicMs();
  let tree = await openTree(plan.source, plan.flavours, plan.compiler, signal);
  log.say(`Building ${plan.what} (${tree.fresh ? "minutes" : "what changed only"}).`);
  try {
    await compile(plan, tree, log, signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (!tree.doubtful || !(error instanceof RigError) || error.code !== "RIG_KERNEL_BUILD" || error.blame === "usage")
      throw error;
    log.say(
      `What an earlier build left behind is of no use (${tree.log}); building ${plan.what} from the start.`,
      "warn",
    );
    await discardObjects(tree);
    tree = await openTree(plan.source, plan.flavours, plan.compiler, signal);
    await compile(plan, tree, log, signal);
  }
  const seconds = Math.round((monotonicMs() - begun) / 1000);
  await harvest(plan, tree, seconds, dir);
  log.say(`Built ${plan.what} in ${seconds} s.`);
};

/** The kernel, built if it is not in the cache. Suffixes are names of flavours and variants. */
export const buildKernel = async (
  source: SourceTree,
  suffixes: readonly string[],
  log: Log,
  signal?: AbortSignal,
  places: BuildPlaces = {},
): Promise<BuiltKernel> => {
  const plan = await planBuild(source, suffixes, places);
  const dir = await cached({
    kind: "kernel-build",
    key: plan.key,
    what: plan.what,
    needsMiB: plan.flavours.includes("debug") ? 4000 : 1500,
    log,
    signal,
    build: building => buildInto(plan, building, log, signal),
  });
  return readBuilt(dir, plan.key);
};

/** The kernel, if it is in the cache; builds nothing. */
export const cachedBuild = async (
  source: SourceTree,
  suffixes: readonly string[],
  places: BuildPlaces = {},
): Promise<BuiltKernel | undefined> => {
  const { key } = await planBuild(source, suffixes, places);
  const dir = await peekCache("kernel-build", key);
  return dir === undefined ? undefined : readBuilt(dir, key);
};
