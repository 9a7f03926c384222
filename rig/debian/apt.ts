/**
 * Debian packages through the machine's own apt: its mirrors, its keys, its proxies. Nothing here names a mirror; the
 * archive's address is read from the machine's sources, and other suites of the same archive are asked for beside it.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { RigError } from "../core/errors.ts";
import { run, runOk } from "../core/exec.ts";

/** Where the machine's apt finds Debian and its security updates. */
export interface Mirrors {
  readonly archive: string;
  readonly security: string;
}

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Suites and code names of Debian itself; others use its code names with endings of their own, such as -pgdg. */
const SUITE =
  /^(?:bullseye|bookworm|trixie|forky|sid|stable|testing|unstable|oldstable|oldoldstable)(-updates|-security|-backports|-proposed-updates)?$/;

/**
 * Picks the archive and the security archive out of `apt-get indextargets` lines of the form `URI|RELEASE|COMPONENT`.
 * Third parties call their suites after Debian's too, but only Debian has a suite and its updates in one place.
 */
export const parseMirrors = (targets: string): Mirrors | undefined => {
  const rows = targets.split("\n").flatMap(line => {
    const [uri = "", release = "", component] = line.trim().split("|");
    const suite = SUITE.exec(release);
    return suite === null || component !== "main" ? [] : [{ uri: uri.replace(/\/$/, ""), ending: suite[1] ?? "" }];
  });
  const plain = rows.filter(row => row.ending === "");
  const archive =
    plain.find(({ uri }) => rows.some(row => row.uri === uri && row.ending === "-updates")) ??
    plain.find(({ uri }) => uri.endsWith("debian")) ??
    plain[0];
  if (archive === undefined) return undefined;
  const security = rows.find(row => row.ending === "-security");
  return { archive: archive.uri, security: security?.uri ?? archive.uri.replace(/debian$/, "debian-security") };
};

/** The machine's Debian mirrors. */
export const machineMirrors = async (signal?: AbortSignal): Promise<Mirrors> => {
  const result = await runOk(
    // Without release info: it would leave out every source that was not fetched yet, and so all of a fresh machine's.
    [
      "apt-get",
      "indextargets",
      "--no-release-info",
      "--format",
      "$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
      "Created-By: Packages",
    ],
    "RIG_MISSING_PROGRAM",
    { signal },
  );
  const mirrors = parseMirrors(result.stdout);
  if (mirrors === undefined) {
    throw new RigError(
      "RIG_KERNEL_FETCH",
      "Expected a Debian archive among this machine's apt sources; found none. Add one under /etc/apt/sources.list.d (apt-get indextargets lists what there is).",
      { blame: "environment" },
    );
  }
  return mirrors;
};

/** One-line apt sources for suites of Debian, `main` only, signed by Debian's keys. */
export const sourcesFor = (mirrors: Mirrors, suites: readonly string[]): string =>
  suites
    .map(
      suite =>
        `deb [arch=amd64 signed-by=${KEYRING}] ${suite.endsWith("-security") ? mirrors.security : mirrors.archive} ${suite} main\n`,
    )
    .join("");

/** The machine's own settings for fetching (proxies, certificates, date checks), as apt options. */
export const acquireOptions = async (signal?: AbortSignal): Promise<readonly string[]> => {
  const dump = await run(["apt-config", "dump", "Acquire"], { signal });
  return dump.stdout.split("\n").flatMap(line => {
    const match =
      /^(Acquire::(?:http|https|socks|Check-Valid-Until|Check-Date|ForceIPv4|ForceIPv6)[^ ]*) "(.+)";$/.exec(line);
    return match?.[1] === undefined || match[2] === undefined ? [] : [`${match[1]} "${match[2]}"`];
  });
};

/** An apt of our own in `dir`: its own sources and lists, the machine's keys and settings. */
export interface PrivateApt {
  /** Options that make any apt command use it. */
  readonly options: readonly string[];
}

/** Sets up a private apt for `suites` and updates its lists. */
export const privateApt = async (dir: string, suites: readonly string[], signal?: AbortSignal): Promise<PrivateApt> => {
  for (const sub of ["lists/partial", "cache/archives/partial"]) await mkdir(path.join(dir, sub), { recursive: true });
  await writeFile(path.join(dir, "sources.list"), sourcesFor(await machineMirrors(signal), suites));
  const settings = {
    "Dir::Etc::SourceList": path.join(dir, "sources.list"),
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::Etc::Preferences": "/dev/null",
    "Dir::Etc::PreferencesParts": "/dev/null",
    "Dir::State::Lists": path.join(dir, "lists"),
    "Dir::Cache": path.join(dir, "cache"),
    "APT::Sandbox::User": "root",
    "Acquire::Retries": "3",
    "Acquire::Languages": "none",
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  await runOk(["apt-get", ...options, "--error-on=any", "update"], "RIG_KERNEL_FETCH", { signal });
  return { options };
};

/** The fields of one stanza of `apt-cache show`. */
export type PackageFacts = Readonly<Record<string, string>>;

/** Splits `apt-cache show` output into stanzas of fields (continuation lines are left out). */
export const parseStanzas = (text: string): readonly PackageFacts[] =>
  text
    .split(/\n\n+/)
    .map(stanza =>
      Object.fromEntries(
        stanza.split("\n").flatMap(line => {
          const match = /^([A-Za-z0-9-]+): (.*)$/.exec(line);
          return match?.[1] === undefined || match[2] === undefined ? [] : [[match[1], match[2]]];
        }),
      ),
    )
    .filter(facts => facts["Package"] !== undefined);

/** What the archive says of a package's newest version. */
export const showPackage = async (apt: PrivateApt, name: string, signal?: AbortSignal): Promise<PackageFacts> => {
  const result = await run(["apt-cache", ...apt.options, "--no-all-versions", "show", name], { signal });
  const facts = parseStanzas(result.stdout)[0];
  if (facts === undefined) {
    throw new RigError(
      "RIG_KERNEL_FETCH",
      `Expected the package ${name} in the archive; apt does not find it. Look with: rig kernels`,
      { blame: "environment" },
    );
  }
  return facts;
};
