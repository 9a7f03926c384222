import { describe, expect, test } from "vitest";
import { findKernel, loadCatalogue, parseCatalogue } from "./catalogue.ts";

const entry = (more = "") => `kernels:
  debian-6.1:
    title: Debian 12
    from: debian:bookworm,bookworm-security/linux-image-amd64
${more}`;

test("a catalogue gives its kernels by name", () => {
  expect(parseCatalogue(entry("  mine:\n    title: Mine\n    from: git:../linux@v6.1+kasan\n"), "/etc/x.yaml")).toEqual(
    [
      {
        name: "debian-6.1",
        title: "Debian 12",
        origin: { kind: "debian", suites: ["bookworm", "bookworm-security"], package: "linux-image-amd64" },
        suffixes: [],
      },
      // Paths are relative to the catalogue.
      { name: "mine", title: "Mine", origin: { kind: "git", dir: "/linux", ref: "v6.1" }, suffixes: ["kasan"] },
    ],
  );
});

test("the project's own catalogue is one, and its names mean what they say", async () => {
  const catalogue = await loadCatalogue();
  const names = catalogue.kernels.map(({ name }) => name);
  expect(names).toEqual(["debian-5.10", "debian-6.1", "debian-6.12", "linux-5.10", "linux-6.1", "linux-6.12"]);
  for (const name of names) expect(findKernel(catalogue, name)).toMatchObject({ name, text: name, suffixes: [] });
  expect(findKernel(catalogue, "linux-5.10+kasan+offload-model+without-seed")).toMatchObject({
    name: "linux-5.10+without-seed+offload-model+kasan",
    origin: { kind: "source", from: { package: "linux-source-5.10", suites: ["bullseye-security"] } },
  });
});

test("every suffix has a name of its own and says what it is", async () => {
  const { suffixes } = await loadCatalogue();
  const names = suffixes.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, title } of suffixes) {
    expect(name).toMatch(/^[a-z0-9][a-z0-9-]*$/);
    expect(title).not.toMatch(/^$|^#|\n|^\+|\.$/);
  }
});

describe("a mistake in a catalogue is told with its place:", () => {
  const from = "debian:bookworm,bookworm-security/linux-image-amd64";
  test.each<[string, string, RegExp]>([
    ["no YAML", "kernels: [\n", /^x\.yaml is not YAML: /],
    ["nothing", "", /^x\.yaml is no kernel catalogue:\n/],
    ["a list", "- a\n", /^x\.yaml is no kernel catalogue:\n/],
    ["an unknown field", entry("    pakcage: x\n"), /Unrecognized key: "pakcage"[^]*kernels\.?\[?"?debian-6\.1/],
    ["an unknown section", `${entry()}kernals: {}\n`, /Unrecognized key: "kernals"/],
    ["no suite", entry().replace(from, "debian:linux-image-amd64"), /kernels\.debian-6\.1\.from: Expected debian:/],
    ["a suite that is none", entry().replace("bookworm,", "Bookworm,"), /"Bookworm" is no name of a suite/],
    ["a package that is an option", entry().replace("linux-image-amd64", "--help"), /no name of a package/],
    ["a name", entry().replace(from, "debian-5.10"), /kernels\.debian-6\.1\.from: "debian-5\.10" has no kind/],
    ["a name that is a path", entry().replace("debian-6.1", "../x"), /x/],
    ["a name with a suffix", entry().replace("debian-6.1", "x+y"), /x\+y/],
    ["a missing field", entry().replace("    title: Debian 12\n", ""), /title/],
  ])("%s", (_name, text, words) => {
    expect(() => parseCatalogue(text, "x.yaml")).toThrow(
      expect.objectContaining({
        code: "RIG_USAGE",
        blame: "usage",
        message: expect.stringMatching(words) as string,
      }) as Error,
    );
  });
});
