import { describe, expect, test } from "vitest";
import { type KernelNames, parseKernel } from "./spec.ts";

const PLACES = { cwd: "/work", home: "/home/me" };
const NAMES: KernelNames = {
  kernels: [
    {
      name: "debian-6.1",
      title: "Debian 12",
      origin: { kind: "debian", suites: ["bookworm"], package: "linux-image-amd64" },
      suffixes: [],
    },
    {
      name: "linux-6.1",
      title: "Linux 6.1",
      origin: { kind: "source", from: { dir: "/src/linux" } },
      suffixes: [],
    },
    {
      name: "nightly",
      title: "Nightly",
      origin: { kind: "git", dir: "/src/linux", ref: "master" },
      suffixes: ["kasan"],
    },
  ],
  suffixes: [
    { name: "kasan", kind: "flavour", title: "", excludes: [] },
    { name: "lockdep", kind: "flavour", title: "", excludes: [] },
    { name: "slow-stop", kind: "instrument", title: "", excludes: [] },
    { name: "offload-model", kind: "model", title: "", excludes: [] },
    { name: "defect-1", kind: "defect", title: "", excludes: [] },
    { name: "defect-2", kind: "defect", title: "", excludes: ["without-fix"] },
    { name: "without-fix", kind: "defect", title: "", excludes: [] },
  ],
};
const parse = (text: string) => parseKernel(text, NAMES, PLACES);

describe("a kernel of the catalogue", () => {
  test("is known by its name", () => {
    expect(parse("debian-6.1")).toEqual({
      name: "debian-6.1",
      text: "debian-6.1",
      title: "Debian 12",
      origin: NAMES.kernels[0]?.origin,
      suffixes: [],
    });
  });

  test("has its suffixes in one order, however they are written: defects, models, instruments, flavours", () => {
    const name = "linux-6.1+defect-1+defect-2+offload-model+slow-stop+kasan+lockdep";
    for (const text of [name, "linux-6.1+lockdep+kasan+slow-stop+offload-model+defect-2+defect-1"])
      expect(parse(text)).toMatchObject({ name, text: name, suffixes: name.split("+").slice(1) });
  });

  test("may have suffixes of its own, which are not in its name", () => {
    expect(parse("nightly")).toMatchObject({ name: "nightly", suffixes: ["kasan"] });
    expect(parse("nightly+slow-stop")).toMatchObject({ name: "nightly+slow-stop", suffixes: ["slow-stop", "kasan"] });
    expect(() => parse("nightly+kasan")).toThrow("The suffix +kasan is there twice");
  });
});

describe("a kernel without a name gets one", () => {
  test.each<[string, RegExp]>([
    ["debian:trixie/linux-image-6.12.9+deb13-amd64", /^debian-trixie-linux-image-6\.12\.9-deb13-amd64-[0-9a-f]{6}$/],
    ["deb:/x/linux-image_6.1-1_amd64.deb", /^deb-linux-image_6\.1-1_amd64-[0-9a-f]{6}$/],
    ["tree:/home/me/linux", /^tree-linux-[0-9a-f]{6}$/],
    ["tree:/", /^tree-[0-9a-f]{6}$/],
    ["image:/k/o5.10/arch/x86/boot/bzImage", /^image-o5\.10-[0-9a-f]{6}$/],
    ["image:/boot/vmlinuz 6,modules=/m", /^image-vmlinuz-6-[0-9a-f]{6}$/],
    ["git:/src/linux@topic/x+kasan", /^git-linux-topic-x-[0-9a-f]{6}\+kasan$/],
    ["source:/src/l..x", /^source-l\.\.x-[0-9a-f]{6}$/],
    [`tree:/${"x".repeat(300)}`, /^tree-x{55}-[0-9a-f]{6}$/],
  ])("%s", (text, name) => {
    expect(parse(text).name).toMatch(name);
  });

  test("the same for the same, and another for another", () => {
    expect(parse("tree:linux").name).toBe(parse("tree:/work/./linux/").name);
    expect(parse("tree:/a/linux").name).not.toBe(parse("tree:/b/linux").name);
    expect(parse("image:/a/x").name).not.toBe(parse("image:/a/x,modules=/m").name);
    const [plain, kasan] = [parse("source:/src/linux").name, parse("source:/src/linux+kasan").name];
    expect(kasan).toBe(`${plain}+kasan`);
  });

  test("and a text that means it from anywhere", () => {
    expect(parse("tree:linux").text).toBe("tree:/work/linux");
    expect(parse("git:~/linux@v6.1+lockdep+kasan").text).toBe("git:/home/me/linux@v6.1+kasan+lockdep");
    for (const text of ["source:./a+b/+kasan", "image:x,modules=m", "debian:trixie/linux-image-amd64"])
      expect(parse(parse(text).text)).toEqual(parse(text));
  });
});

describe("what cannot be meant is told:", () => {
  test.each<[string, string, string]>([
    ["debain-6.1", "RIG_UNKNOWN_KERNEL", "Did you mean debian-6.1?"],
    ["./linux", "RIG_UNKNOWN_KERNEL", "For a file or a directory: image:, deb:, tree: or source: before it."],
    ["", "RIG_UNKNOWN_KERNEL", "There are: debian-6.1, linux-6.1, nightly."],
    ["x".repeat(1000), "RIG_UNKNOWN_KERNEL", "There are: debian-6.1, linux-6.1, nightly."],
    ["debian-6.1+kasan", "RIG_USAGE", "debian-6.1 is built already and takes no suffixes. Those that do: linux-6.1, n"],
    ["linux-6.1+kasn", "RIG_USAGE", 'There is no suffix "+kasn". Did you mean kasan?'],
    ["linux-6.1+", "RIG_USAGE", "Expected a suffix after each +"],
    ["linux-6.1++kasan", "RIG_USAGE", "Expected a suffix after each +"],
    ["linux-6.1+kasan+kasan", "RIG_USAGE", "The suffix +kasan is there twice"],
    ["linux-6.1+without-fix+defect-2", "RIG_USAGE", "+without-fix and +defect-2 cannot be built into one kernel"],
    ["linux-6.1+defect-2+without-fix", "RIG_USAGE", "+defect-2 and +without-fix cannot be built into one kernel"],
    ["tree:/x/linux+kasan", "RIG_USAGE", "is built already and takes no suffixes: +kasan needs source:"],
    ["image:/x/bzImage+kasan", "RIG_USAGE", "is built already and takes no suffixes"],
    ["debian:trixie/linux-image-amd64+slow-stop", "RIG_USAGE", "is built already and takes no suffixes"],
    ["source:/src/linux+mine", "RIG_USAGE", "If the + belongs to a directory's name, end it with a slash."],
  ])("%s", (text, code, words) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code, blame: "usage", message: expect.stringContaining(words) as string }) as Error,
    );
  });
});
