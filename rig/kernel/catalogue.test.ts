import { describe, expect, test } from "vitest";
import { findKernel, loadCatalogue, parseCatalogue } from "./catalogue.ts";

const entry = (more = "") => `kernels:
  debian-6.1:
    title: Debian 12
    suites: [bookworm, bookworm-security]
    package: linux-image-amd64
${more}`;

test("a catalogue gives its kernels by name", () => {
  expect(parseCatalogue(entry(), "x.yaml")).toEqual([
    { name: "debian-6.1", title: "Debian 12", suites: ["bookworm", "bookworm-security"], package: "linux-image-amd64" },
  ]);
});

test("the project's own catalogue is one", async () => {
  const catalogue = await loadCatalogue();
  expect(catalogue.map(({ name }) => name)).toContain("debian-6.1");
});

describe("a mistake in a catalogue is told with its place:", () => {
  test.each<[string, string, RegExp]>([
    ["no YAML", "kernels: [\n", /^x\.yaml is not YAML: /],
    ["nothing", "", /^x\.yaml is no kernel catalogue:\n/],
    ["a list", "- a\n", /^x\.yaml is no kernel catalogue:\n/],
    ["an unknown field", entry("    pakcage: x\n"), /Unrecognized key: "pakcage"[^]*kernels\.?\[?"?debian-6\.1/],
    ["an unknown section", `${entry()}kernals: {}\n`, /Unrecognized key: "kernals"/],
    ["no suites", entry().replace("[bookworm, bookworm-security]", "[]"), /suites/],
    ["a suite that is none", entry().replace("[bookworm", "['a b; rm'"), /suites\[0\]/],
    ["a package that is an option", entry().replace("linux-image-amd64", "--help"), /package/],
    ["a name that is a path", entry().replace("debian-6.1", "../x"), /x/],
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

test("an unknown kernel is told with the nearest one", () => {
  const catalogue = parseCatalogue(entry(), "x.yaml");
  expect(findKernel(catalogue, "debian-6.1").title).toBe("Debian 12");
  expect(() => findKernel(catalogue, "debain-6.1")).toThrow(
    expect.objectContaining({
      code: "RIG_UNKNOWN_KERNEL",
      blame: "usage",
      message: 'There is no kernel "debain-6.1". Did you mean debian-6.1? All of them: rig kernels',
    }) as Error,
  );
  expect(() => findKernel(catalogue, "x".repeat(1000))).toThrow("There are: debian-6.1.");
});
