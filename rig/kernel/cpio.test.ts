import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { type CpioEntry, cpioArchive, directory, file } from "./cpio.ts";

const entries: readonly CpioEntry[] = [
  directory("m"),
  directory("lab", 0o700),
  file("init", "#!/bin/sh\n", 0o755),
  ...Array.from({ length: 9 }, (_, length) => file(`m/${"n".repeat(length + 1)}`, Buffer.alloc(length, 65 + length))),
  file("lab/größe", "umlauts\n", 0o600),
];

/** Reads the format as the kernel's init/initramfs.c does: by its own fields, from one header to the next. */
const parse = (archive: Buffer) => {
  const found: { name: string; mode: number; links: number; data: string }[] = [];
  let at = 0;
  while (at < archive.length) {
    if (archive[at] === 0) {
      at += 4;
      continue;
    }
    expect(archive.toString("latin1", at, at + 6)).toBe("070701");
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, links, size, nameLength] = [field(1), field(4), field(6), field(11)];
    const name = archive.toString("utf8", at + 110, at + 110 + nameLength - 1);
    expect(archive[at + 110 + nameLength - 1]).toBe(0);
    const dataAt = at + Math.ceil((110 + nameLength) / 4) * 4;
    found.push({ name, mode, links, data: archive.toString("utf8", dataAt, dataAt + size) });
    at = dataAt + Math.ceil(size / 4) * 4;
  }
  return found;
};

test("an archive reads back as what went in", () => {
  const found = parse(cpioArchive(entries));
  expect(found.pop()?.name).toBe("TRAILER!!!");
  expect(found).toEqual(
    entries.map(({ name, mode, data }) => ({
      name,
      mode,
      links: (mode & 0o40000) === 0 ? 1 : 2,
      data: Buffer.from(data ?? []).toString(),
    })),
  );
});

test("the same entries give the same bytes, in whole blocks, so that archives can follow each other", () => {
  const archive = cpioArchive(entries);
  expect(archive.equals(cpioArchive(entries))).toBe(true);
  expect(archive.length % 512).toBe(0);
  expect(cpioArchive([]).length).toBe(512);
  const both = parse(Buffer.concat([archive, cpioArchive([file("second", "x")])]));
  expect(both.at(-2)).toMatchObject({ name: "second", data: "x" });
});

test.skipIf(!existsSync("/usr/bin/cpio"))("cpio unpacks it", async () => {
  const dir = path.join(await temporaryDirectory(), "out");
  await mkdir(dir);
  const archive = cpioArchive(entries);
  const listing = execFileSync("cpio", ["-it", "--quiet"], {
    input: archive,
    encoding: "utf8",
    env: { LC_ALL: "C.UTF-8" },
  });
  expect(listing.trim().split("\n")).toEqual(entries.map(({ name }) => name));
  execFileSync("cpio", ["-id", "--quiet", "--no-absolute-filenames"], { input: archive, cwd: dir });
  expect(await readFile(path.join(dir, "lab/größe"), "utf8")).toBe("umlauts\n");
  expect((await stat(path.join(dir, "init"))).mode & 0o777).toBe(0o755);
  expect((await stat(path.join(dir, "lab"))).mode & 0o777).toBe(0o700);
});
