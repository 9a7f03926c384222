import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { createLog } from "./log.ts";

const stream = (isTTY: boolean) => {
  const written: string[] = [];
  const out = { isTTY, columns: 40, write: (text: string) => written.push(text) };
  return { out: out as unknown as NodeJS.WriteStream, text: () => written.join("") };
};

test("every line has its time, on a pipe without a status line", () => {
  const { out, text } = stream(false);
  const log = createLog(out);
  log.status("booting");
  log.say("one\ntwo", "good");
  expect(text().replaceAll(/\u001b\[\d+m/g, "")).toMatch(/^\[ +\d+\.\d s\] one\n\[ +\d+\.\d s\] two\n$/);
});

test("in a terminal the status line stays last and is cut to its width", () => {
  const { out, text } = stream(true);
  const log = createLog(out);
  log.status("x".repeat(100));
  log.say("a line");
  log.status("");
  const plain = text().replaceAll(/\u001b\[\d+m/g, "");
  expect(plain).toMatch(/^x{39}\r\u001b\[K\[ .* s\] a line\nx{39}\r\u001b\[K$/);
});

test("lines go to files too, and one that cannot be written does not matter", async () => {
  const dir = await mkdtemp(path.join(tmpdir(), "rig-log-"));
  try {
    const log = createLog(stream(false).out);
    log.say("before");
    log.alsoTo("/dev/full");
    log.alsoTo(path.join(dir, "rig.log"));
    log.say("after", "bad");
    expect(await readFile(path.join(dir, "rig.log"), "utf8")).toMatch(/^\[ +\d+\.\d s\] after\n$/);
  } finally {
    await rm(dir, { recursive: true });
  }
});
