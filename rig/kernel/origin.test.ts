import { describe, expect, test } from "vitest";
import { isBuilt, type KernelOrigin, originText, parseOriginText } from "./origin.ts";

const PLACES = { cwd: "/work", home: "/home/me" };
const parse = (text: string) => parseOriginText(text, PLACES);

describe("an origin:", () => {
  test.each<[string, KernelOrigin, readonly string[]]>([
    ["debian:trixie/linux-image-amd64", { kind: "debian", suites: ["trixie"], package: "linux-image-amd64" }, []],
    [
      "debian:bookworm,bookworm-security/linux-image-6.12.9+deb12-amd64",
      { kind: "debian", suites: ["bookworm", "bookworm-security"], package: "linux-image-6.12.9+deb12-amd64" },
      [],
    ],
    ["deb:/x/linux-6.12.9+deb13.deb", { kind: "deb", file: "/x/linux-6.12.9+deb13.deb" }, []],
    ["deb:linux.deb", { kind: "deb", file: "/work/linux.deb" }, []],
    ["tree:.", { kind: "tree", dir: "/work" }, []],
    ["tree:~", { kind: "tree", dir: "/home/me" }, []],
    ["tree:~/linux+mine", { kind: "tree", dir: "/home/me/linux+mine" }, []],
    ["tree:~other", { kind: "tree", dir: "/work/~other" }, []],
    ["image:/b/bzImage", { kind: "image", file: "/b/bzImage" }, []],
    ["image:a,b", { kind: "image", file: "/work/a,b" }, []],
    ["image:/b/x,modules=/m", { kind: "image", file: "/b/x", modules: "/m" }, []],
    ["image:/b/x,modules=../m+a", { kind: "image", file: "/b/x", modules: "/m+a" }, []],
    ["git:/src/linux@v6.12", { kind: "git", dir: "/src/linux", ref: "v6.12" }, []],
    ["git:/s@home/linux+x@HEAD~2+kasan", { kind: "git", dir: "/s@home/linux+x", ref: "HEAD~2" }, ["kasan"]],
    ["git:.@topic/a+kasan+debug", { kind: "git", dir: "/work", ref: "topic/a" }, ["kasan", "debug"]],
    ["source:/src/linux", { kind: "source", from: { dir: "/src/linux" } }, []],
    ["source:./linux+kasan", { kind: "source", from: { dir: "/work/linux" } }, ["kasan"]],
    ["source:/src/linux+mine/", { kind: "source", from: { dir: "/src/linux+mine" } }, []],
    ["source:/src/linux+mine/+kasan", { kind: "source", from: { dir: "/src/linux+mine" } }, ["kasan"]],
    [
      "source:trixie,trixie-security/linux-source-6.12+a+",
      { kind: "source", from: { package: "linux-source-6.12", suites: ["trixie", "trixie-security"] } },
      ["a", ""],
    ],
  ])("%s", (text, origin, suffixes) => {
    expect(parse(text)).toEqual({ origin, suffixes });
  });

  test("a source package is looked for in every supported suite where none is named", () => {
    const origin = parse("source:linux-source-6.1")?.origin;
    expect(origin).toMatchObject({ kind: "source", from: { package: "linux-source-6.1" } });
    expect(JSON.stringify(origin)).toMatch(/bookworm-security.*trixie-security/);
  });

  test("a text without a colon is none", () => {
    expect(parse("debian-6.1+kasan")).toBeUndefined();
    expect(parse("")).toBeUndefined();
  });

  test.each([
    "debian:trixie,trixie-updates/linux-image-amd64",
    "deb:/x/linux-6.12.9+deb13.deb",
    "tree:/home/me/linux+mine",
    "image:/b/bzImage,modules=/m",
    "git:/src/linux@v6.12",
    "source:/src/linux",
    "source:/src/linux+mine/",
    "source:trixie/linux-source-6.12",
  ])("%s is written as it is read", text => {
    const origin = parse(text)?.origin;
    expect(origin === undefined ? "" : originText(origin)).toBe(text);
  });

  test("only git: and source: are built", () => {
    const built = ["debian:a/linux-b", "deb:x", "tree:x", "image:x", "git:x@y", "source:/x"].filter(text => {
      const origin = parse(text)?.origin;
      return origin !== undefined && isBuilt(origin);
    });
    expect(built).toEqual(["git:x@y", "source:/x"]);
  });
});

describe("a mistake in an origin is told:", () => {
  test.each<[string, string]>([
    ["tre:/x", 'There is no kind of kernel "tre". Did you mean tree?'],
    ["http://x/y", 'There is no kind of kernel "http". There are: debian, deb, tree, image, git, source.'],
    ["tree:", 'Expected tree:<dir>, got "tree:": nothing follows the colon.'],
    ["debian:linux-image-amd64", "a suite, a slash and a package are wanted"],
    ["debian:trixie/", "a suite, a slash and a package are wanted"],
    ["debian:a/b/c", "a suite, a slash and a package are wanted"],
    ["debian:tri xie/linux-image-amd64", '"tri xie" is no name of a suite'],
    ["debian:trixie,/linux-image-amd64", '"" is no name of a suite'],
    ["debian:trixie/--help", '"--help" is no name of a package'],
    ["image:,modules=/m", "the file is missing"],
    ["image:/x,module=/m", 'there is no option "module", only modules='],
    ["image:/x,modules=", "modules= needs a directory"],
    ["image:/x,modules=/a,modules=/b", "modules= is there twice"],
    ["git:/src/linux", "a directory, an @ and a commit, tag or branch are wanted"],
    ["git:@v6.1", "a directory, an @ and a commit, tag or branch are wanted"],
    ["git:/src/linux@", '"" is no name of a commit'],
    ["git:/src/linux@--upload-pack=x", '"--upload-pack=x" is no name of a commit'],
    ["source:Linux", '"Linux" is no name of a package (a directory begins with / or ./)'],
  ])("%s", (text, words) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: "RIG_USAGE",
        blame: "usage",
        message: expect.stringContaining(words) as string,
      }) as Error,
    );
  });
});
