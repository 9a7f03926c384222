import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { standIns, temporaryDirectory } from "../testing/bench-dir.ts";
import {
  acquireOptions,
  machineMirrors,
  parseMirrors,
  parseStanzas,
  privateApt,
  showPackage,
  sourcesFor,
} from "./apt.ts";

const DEBIAN = [
  "http://mirror.example/debian/|bookworm|main",
  "http://mirror.example/debian/|bookworm-updates|main",
  "http://mirror.example/debian-security/|bookworm-security|main",
];
const DEFAULT = { archive: "http://mirror.example/debian", security: "http://mirror.example/debian-security" };

describe("the machine's mirrors", () => {
  test.each<[string, readonly string[], unknown]>([
    ["as Debian installs them", DEBIAN, DEFAULT],
    ["each listed twice, as apt does with two architectures", [...DEBIAN, ...DEBIAN], DEFAULT],
    ["the security archive first", DEBIAN.toReversed(), DEFAULT],
    ["without slashes at the end", DEBIAN.map(line => line.replace("/|", "|")), DEFAULT],
    ["without a security archive", DEBIAN.slice(0, 2), DEFAULT],
    [
      "a mirror of one's own, whatever its name",
      ["https://mirror.example/pub/os|trixie|main", "https://mirror.example/sec|trixie-security|main"],
      { archive: "https://mirror.example/pub/os", security: "https://mirror.example/sec" },
    ],
    [
      "a mirror list",
      [
        "mirror+file:/etc/apt/mirrors/debian.list/|bookworm|main",
        "mirror+file:/etc/apt/mirrors/debian-security.list/|bookworm-security|main",
      ],
      {
        archive: "mirror+file:/etc/apt/mirrors/debian.list",
        security: "mirror+file:/etc/apt/mirrors/debian-security.list",
      },
    ],
    ["behind nodesource", ["https://deb.nodesource.com/node_20.x/|nodistro|main", ...DEBIAN], DEFAULT],
    ["behind Docker's", ["https://download.docker.com/linux/debian/|bookworm|stable", ...DEBIAN], DEFAULT],
    ["behind PostgreSQL's", ["http://apt.postgresql.org/pub/repos/apt/|bookworm-pgdg|main", ...DEBIAN], DEFAULT],
    ["behind Tailscale's", ["https://pkgs.tailscale.com/stable/debian/|bookworm|main", ...DEBIAN], DEFAULT],
    ["behind HashiCorp's", ["https://apt.releases.hashicorp.com/|bookworm|main", ...DEBIAN], DEFAULT],
    ["behind a flat repository", ["http://x.example/flat/|./|$(COMPONENT)", ...DEBIAN], DEFAULT],
    ["stable by that name", ["http://mirror.example/debian/|stable|main"], DEFAULT],
    ["third parties only", ["https://download.docker.com/linux/debian/|bookworm|stable", ""], undefined],
    ["another distribution", ["http://archive.ubuntu.com/ubuntu/|jammy|main"], undefined],
    ["security updates only", DEBIAN.slice(2), undefined],
    ["none", [""], undefined],
    ["garbage", ["|", "bookworm", "||||", "\0|bookworm"], undefined],
  ])("%s", (_name, lines, mirrors) => {
    expect(parseMirrors(`${lines.join("\n")}\n`)).toEqual(mirrors);
  });

  test("are asked of apt in a way that also knows what was never fetched", async () => {
    const calls = await standIns({ "apt-get": `echo '${DEBIAN.join("\n")}'` });
    expect(await machineMirrors()).toEqual(DEFAULT);
    expect(await calls()).toEqual([
      [
        "apt-get",
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
        "Created-By: Packages",
      ],
    ]);
  });

  test("that apt does not have are an error of the machine", async () => {
    await standIns({ "apt-get": "true" });
    await expect(machineMirrors()).rejects.toMatchObject({ code: "RIG_KERNEL_FETCH", blame: "environment" });
  });
});

test("sources: security suites from the security archive, main only, Debian's keys only", () => {
  expect(sourcesFor({ archive: "http://a/debian", security: "http://s/sec" }, ["trixie", "trixie-security"])).toBe(
    "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://a/debian trixie main\n" +
      "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://s/sec trixie-security main\n",
  );
});

test("proxies and certificates of the machine are passed on, other settings are not", async () => {
  await standIns({
    "apt-config": `cat << 'END'
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy:3128/";
Acquire::https::CaInfo "/etc/ssl/own ca.pem";
Acquire::Check-Valid-Until "false";
Acquire::Languages "de";
Acquire::IndexTargets::deb::Packages::MetaKey "x";
END`,
  });
  expect(await acquireOptions()).toEqual([
    'Acquire::http::Proxy "http://proxy:3128/"',
    'Acquire::https::CaInfo "/etc/ssl/own ca.pem"',
    'Acquire::Check-Valid-Until "false"',
  ]);
});

const SHOWN = `Package: linux-image-amd64
Source: linux-signed-amd64 (6.1.170+1)
Version: 6.1.170-1
Depends: linux-image-6.1.0-48-amd64 (= 6.1.170-1)
Description-en: Linux for 64-bit PCs (meta-package)
 This package depends on the latest Linux kernel: and modules.
 .
 More.
SHA256: 00ff

Package: other
Version: 1:2


Not-A-Package: x
`;

test("stanzas of apt-cache show", () => {
  const [first, second, ...rest] = parseStanzas(SHOWN);
  expect(first).toEqual({
    Package: "linux-image-amd64",
    Source: "linux-signed-amd64 (6.1.170+1)",
    Version: "6.1.170-1",
    Depends: "linux-image-6.1.0-48-amd64 (= 6.1.170-1)",
    "Description-en": "Linux for 64-bit PCs (meta-package)",
    SHA256: "00ff",
  });
  expect(second).toEqual({ Package: "other", Version: "1:2" });
  expect(rest).toEqual([]);
  expect(parseStanzas("")).toEqual([]);
});

describe("an apt of our own", () => {
  const apt = {
    "apt-get": `case "$*" in *indextargets*) echo '${DEBIAN.join("\n")}' ;; esac`,
    "apt-cache": `case "$*" in *missing*) exit 100 ;; *) printf '%s\\n' '${SHOWN}' ;; esac`,
  };

  test("keeps to its directory and its suites", async () => {
    const calls = await standIns(apt);
    const dir = await temporaryDirectory();
    const { options } = await privateApt(dir, ["bookworm", "bookworm-security"]);
    expect(await readFile(path.join(dir, "sources.list"), "utf8")).toBe(
      sourcesFor(DEFAULT, ["bookworm", "bookworm-security"]),
    );
    expect(options).toContain(`Dir::Etc::SourceList=${dir}/sources.list`);
    expect(options).toContain("Dir::Etc::SourceParts=/dev/null");
    expect((await calls()).at(-1)).toEqual(["apt-get", ...options, "--error-on=any", "update"]);
  });

  test("finds a package, or says that there is none", async () => {
    await standIns(apt);
    expect(await showPackage({ options: [] }, "linux-image-amd64")).toMatchObject({ Version: "6.1.170-1" });
    await expect(showPackage({ options: [] }, "missing")).rejects.toMatchObject({
      code: "RIG_KERNEL_FETCH",
      message: "Expected the package missing in the archive; apt does not find it. Look with: rig kernels",
    });
  });

  test("whose update fails is an error that quotes apt", async () => {
    await standIns({
      "apt-get": `case "$*" in *update) echo "E: no network" >&2; exit 100 ;; esac\n${apt["apt-get"]}`,
    });
    await expect(privateApt(await temporaryDirectory(), ["bookworm"])).rejects.toMatchObject({
      code: "RIG_KERNEL_FETCH",
      message: expect.stringContaining("E: no network") as string,
    });
  });
});
