/** `rig kernels`: what there is, what of it is ready, what it is; and getting it ready. */
import { Command } from "commander";
import { RigError } from "../core/errors.ts";
import { aboutKernel, type KernelAbout } from "../kernel/about.ts";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { type Kernel, resolveKernel } from "../kernel/kernel.ts";
import { sourceTree } from "../kernel/source.ts";
import { isBuilt, type KernelSpec, type KnownSuffix } from "../kernel/spec.ts";
import { commandContext } from "./context.ts";
import { auditCommand } from "./kernels-audit.ts";
import { table, wrapped } from "./table.ts";

interface JsonOption {
  readonly json: boolean;
}

const print = (...lines: readonly string[]): void => {
  process.stdout.write(`${lines.join("\n")}\n`);
};

const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

const mib = (bytes: number): string => (bytes === 0 ? "" : `${Math.ceil(bytes / 2 ** 20)} MiB`);

const firstLine = (text: string): string => text.split("\n")[0] ?? "";

/** What tells a kernel from another one of its name. */
const identityWords = ({ identity, package: pkg, why }: KernelAbout): string => {
  if (why !== undefined) return firstLine(why);
  if (identity === undefined) return pkg === undefined ? "" : `${pkg.name}, ${pkg.version}`;
  const version = identity.packageVersion ?? identity.sourceVersion;
  const parts = [identity.release, ...(version === undefined || version === identity.release ? [] : [version])];
  return [...parts, `sha256 ${identity.sha256.slice(0, 12)}`].join(", ");
};

const suffixTable = (suffixes: readonly KnownSuffix[]): string =>
  table([["SUFFIX", "KIND", "WHAT"], ...suffixes.map(({ name, kind, title }) => [`+${name}`, kind, title])]);

const list = async ({ json }: JsonOption): Promise<void> => {
  const catalogue = await loadCatalogue();
  const kernels = await Promise.all(
    catalogue.kernels.map(({ name }) => aboutKernel(findKernel(catalogue, name), catalogue.suffixes)),
  );
  if (json) {
    printJson(kernels);
    return;
  }
  const rows = kernels.map(one => [one.name, one.title, one.state, mib(one.bytes), identityWords(one)]);
  const built = catalogue.kernels.filter(({ origin }) => isBuilt(origin)).map(({ name }) => name);
  print(
    table([["NAME", "TITLE", "STATE", "SIZE", "IDENTITY"], ...rows], [3]),
    "",
    `What can be built into ${built.join(", ")}, git: and source: (${built[0] ?? "NAME"}+SUFFIX):`,
    "",
    suffixTable(catalogue.suffixes),
  );
};

const variants = async ({ json }: JsonOption): Promise<void> => {
  const { suffixes } = await loadCatalogue();
  if (json) printJson(suffixes);
  else print(suffixTable(suffixes));
};

const paragraph = (text: string): readonly string[] => wrapped(text, process.stdout.columns, "    ");

const aboutSuffix = ({ name, kind, title, about, excludes }: KnownSuffix): readonly string[] => [
  `  +${name} (${kind}): ${title}`,
  ...(about === undefined ? [] : paragraph(about.trim().replaceAll(/\s+/g, " "))),
  ...(excludes.length === 0 ? [] : paragraph(`Not together with ${excludes.map(other => `+${other}`).join(", ")}.`)),
];

const show = async (wanted: string, { json }: JsonOption): Promise<void> => {
  const catalogue = await loadCatalogue();
  const about = await aboutKernel(findKernel(catalogue, wanted), catalogue.suffixes);
  if (json) {
    printJson(about);
    return;
  }
  const { identity } = about;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["title", about.title],
    ["from", about.from],
    ["state", about.why === undefined ? about.state : `${about.state}: ${about.why}`],
    ["release", identity?.release],
    ["package", about.package === undefined ? undefined : `${about.package.name} ${about.package.version}`],
    [
      "source",
      identity?.sourceKey === undefined
        ? undefined
        : `${identity.source}, ${identity.sourceVersion ?? ""}, ${identity.sourceKey}`,
    ],
    ["image", identity === undefined ? undefined : `sha256 ${identity.sha256}`],
    ["config", identity?.configSha256 === undefined ? undefined : `sha256 ${identity.configSha256}`],
    ["build log", about.log],
    ["started by", about.entry === undefined ? undefined : about.entry === "pvh" ? "its PVH entry" : "its boot image"],
  ];
  const config = Object.entries(about.config ?? {}).map(([symbol, value]) => `${symbol}=${value}`);
  print(
    about.name,
    table(facts.flatMap(([what, value]) => (value === undefined ? [] : [[`  ${what}`, value]]))),
    ...(about.suffixes.length === 0 ? [] : ["", "Built in:", ...about.suffixes.flatMap(aboutSuffix)]),
    ...(config.length === 0 ? [] : ["", "Configuration:", ...wrapped(config.join(", "), process.stdout.columns, "  ")]),
    ...(about.files.length === 0
      ? []
      : [
          "",
          "Files:",
          table(
            about.files.map(({ what, bytes, file }) => [`  ${what}`, mib(bytes), file]),
            [1],
          ),
        ]),
  );
};

const words = ({ name, identity }: Kernel): string =>
  `${name}: ${identity.release}, ${identity.source}, sha256 ${identity.sha256.slice(0, 12)}`;

interface FetchOptions extends JsonOption {
  readonly refresh: boolean;
}

/** Names are looked up before anything is fetched or built: a typo should cost a second. */
const findAll = async (names: readonly string[]): Promise<readonly KernelSpec[]> => {
  const catalogue = await loadCatalogue();
  return names.map(name => findKernel(catalogue, name));
};

/** Of a kernel that is built, the source is what can be fetched. */
const fetch = async (names: readonly string[], { json, refresh }: FetchOptions): Promise<void> => {
  using context = commandContext();
  const { log, signal } = context;
  const specs = await findAll(names);
  const done: unknown[] = [];
  for (const spec of specs) {
    if (isBuilt(spec.origin)) {
      const { title, version, key } = await sourceTree(spec.origin, log, { refresh, signal });
      log.say(`${spec.name}: the source is ${title}. To build it: rig kernels build ${spec.name}`, "good");
      done.push({ name: spec.name, source: { title, version, key } });
    } else {
      const kernel = await resolveKernel(spec, log, { refresh, signal });
      log.say(words(kernel), "good");
      done.push(kernel.identity);
    }
  }
  if (json) printJson(done);
};

const build = async (names: readonly string[], { json, refresh }: FetchOptions): Promise<void> => {
  using context = commandContext();
  const { log, signal } = context;
  const specs = await findAll(names);
  const other = specs.find(({ origin }) => !isBuilt(origin));
  if (other !== undefined)
    throw new RigError(
      "RIG_USAGE",
      `${other.name} comes from ${other.origin.kind}: and is built already. To make it ready: rig kernels fetch ${other.text}`,
      { blame: "usage" },
    );
  const done: unknown[] = [];
  for (const spec of specs) {
    const kernel = await resolveKernel(spec, log, { refresh, signal });
    log.say(words(kernel), "good");
    done.push({ ...kernel.identity, ...kernel.built });
  }
  if (json) printJson(done);
};

// Options come with the parent's: it has --json as well, and takes it wherever it stands.
export const kernelsCommand = (): Command => {
  const json = ["--json", "as JSON", false] as const;
  const refresh = ["--refresh", "ask the archive for a newer version even where one is cached", false] as const;
  const command = new Command("kernels")
    .description("list the kernels of the catalogue: whether they are ready, their size, and what exactly they are")
    .option(...json)
    .addHelpText(
      "after",
      "\nA kernel without a name is given as debian:SUITE/PACKAGE, deb:FILE, tree:DIR, image:FILE[,modules=DIR],\ngit:DIR@REF or source:DIR; what is built takes suffixes (linux-5.10+kasan). docs/kernels.md tells more.",
    )
    .action(async (_options: unknown, self: Command) => {
      await list(self.optsWithGlobals<JsonOption>());
    });
  command
    .command("variants")
    .description("list what can be built into a kernel")
    .option(...json)
    .action(async (_options: unknown, self: Command) => {
      await variants(self.optsWithGlobals<JsonOption>());
    });
  command
    .command("show")
    .description("tell all that is known of a kernel")
    .argument("<name>", "a kernel")
    .option(...json)
    .action(async (name: string, _options: unknown, self: Command) => {
      await show(name, self.optsWithGlobals<JsonOption>());
    });
  command
    .command("fetch")
    .description("fetch kernels and make their boot bundles; of kernels that are built, fetch the source")
    .argument("<name...>", "kernels")
    .option(...refresh)
    .option(...json)
    .action(async (names: string[], _options: unknown, self: Command) => {
      await fetch(names, self.optsWithGlobals<FetchOptions>());
    });
  command
    .command("build")
    .description("build kernels and make their boot bundles")
    .argument("<name...>", "kernels, each with its suffixes")
    .option(...refresh)
    .option(...json)
    .action(async (names: string[], _options: unknown, self: Command) => {
      await build(names, self.optsWithGlobals<FetchOptions>());
    });
  command.addCommand(auditCommand());
  return command;
};
