import { expect, test } from "vitest";
import { standIns, temporaryDirectory } from "../testing/bench-dir.ts";
import { bootstrap } from "./bootstrap.ts";

const MACHINE = {
  "apt-get": `echo 'http://mirror/debian/|bookworm|main'`,
  "apt-config": `echo 'Acquire::http::Proxy "http://proxy:3128/";'`,
};

test("mmdebstrap is given the suite with its updates, the machine's mirror and proxy, and the packages", async () => {
  const lines: string[] = [];
  const calls = await standIns({ ...MACHINE, mmdebstrap: "cat >&2" });
  const target = `${await temporaryDirectory()}/root`;
  await bootstrap({ suite: "bookworm", packages: ["a", "b"], target, onLine: line => lines.push(line) });
  const [, ...args] = (await calls()).find(([name]) => name === "mmdebstrap") ?? [];
  expect(args.slice(-3)).toEqual(["bookworm", target, "-"]);
  expect(args).toContain("--include=a,b");
  expect(args).toContain('--aptopt=Acquire::http::Proxy "http://proxy:3128/"');
  expect(lines.map(line => line.split(" ").slice(3).join(" "))).toEqual(
    ["bookworm main", "bookworm-updates main", "bookworm-security main"].map(
      (suite, index) => `${index === 2 ? "http://mirror/debian-security" : "http://mirror/debian"} ${suite}`,
    ),
  );
});

test("a bootstrap that fails is told as such, a full disk as what it is", async () => {
  const request = { suite: "bookworm", packages: ["a"], target: "/nowhere" };
  await standIns({ ...MACHINE, mmdebstrap: "echo 'E: broken' >&2; exit 25" });
  await expect(bootstrap(request)).rejects.toMatchObject({ code: "RIG_IMAGE_BUILD" });
  await standIns({ ...MACHINE, mmdebstrap: "echo 'tar: x: No space left on device' >&2; exit 25" });
  await expect(bootstrap(request)).rejects.toMatchObject({ code: "RIG_NO_SPACE" });
});
