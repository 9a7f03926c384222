import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { CAPTURE_BYTES, Captures, captureArgument, captureFile } from "./captures.ts";

/** A QEMU that does what it is told with captures, and remembers it; `fails` may keep a command from its answer or its effect. */
const fakeQemu = (here: string) => {
  const said: string[] = [];
  const objects = new Set(["dump-a", "dump-b"]);
  const qmp = {
    said,
    objects,
    fails: (() => undefined) as (command: string) => "refused" | "late" | "lost" | undefined,
    execute: async (command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> => {
      const fails = qmp.fails(command);
      if (fails === "refused" || fails === "lost") throw new Error(fails);
      if (command === "qom-list") return [...objects].map(name => ({ name, type: "child<filter-dump>" }));
      const id = String(args["id"]);
      said.push(`${command} ${id}`);
      if (command === "object-add") {
        objects.add(id);
        await writeFile(path.join(here, path.basename(String(args["file"]))), `begun by ${id}`);
      } else if (!objects.delete(id)) throw new Error("not found");
      if (fails === "late") throw new Error(fails);
      return {};
    },
  };
  return qmp;
};

const bench = async () => {
  const here = await temporaryDirectory();
  const qmp = fakeQemu(here);
  const captures = new Captures([{ name: "target", qmp }], here, "/results/cells/x");
  const grow = async (name: "a" | "b", bytes: number) => {
    const file = path.join(here, captureFile(name, "target", false));
    await writeFile(file, "", { flag: "a" });
    await truncate(file, bytes);
  };
  return { here, qmp, captures, grow };
};

describe("packet captures", () => {
  test("keep whole packets at the target, and headers at the initiator", () => {
    expect(captureArgument("a", "target", "/r")).toBe(
      "filter-dump,id=dump-a,netdev=a,file=/r/path-a-target.pcap,maxlen=66000",
    );
    expect(captureArgument("b", "initiator", "/r")).toContain("maxlen=192");
  });

  test("that are small enough are left alone, and so is a file that is not there", async () => {
    const { captures, qmp, grow } = await bench();
    await grow("a", CAPTURE_BYTES);
    await captures.look();
    expect(qmp.said).toEqual([]);
  });

  test("are begun anew when they are too large, and the one before the last is dropped", async () => {
    const { here, captures, qmp, grow } = await bench();
    for (let round = 0; round < 3; round++) {
      await grow("b", CAPTURE_BYTES + 1 + round);
      await captures.look();
    }
    expect(qmp.said).toEqual([
      ...["object-add dump-b-1", "object-del dump-b"],
      ...["object-add dump-b-2", "object-del dump-b-1"],
      ...["object-add dump-b-3", "object-del dump-b-2"],
    ]);
    expect((await readdir(here)).toSorted()).toEqual(["path-b-target.1.pcap", "path-b-target.pcap"]);
    expect(await readFile(path.join(here, "path-b-target.pcap"), "utf8")).toBe("begun by dump-b-3");
  });

  test("are ended where they stand", async () => {
    const { captures, qmp, grow } = await bench();
    await grow("a", CAPTURE_BYTES + 1);
    await captures.look();
    captures.start();
    await captures.stop({ ending: true });
    expect(qmp.said.slice(2)).toEqual(["object-del dump-a-1", "object-del dump-b"]);
    await captures.stop({ ending: false });
  });

  test("tell how many files of them were dropped", async () => {
    const { captures, grow } = await bench();
    expect(captures.dropped("target", "b")).toBe(0);
    for (const dropped of [0, 1, 2]) {
      await grow("b", CAPTURE_BYTES + 1);
      await captures.look();
      expect([captures.dropped("target", "b"), captures.dropped("target", "a")]).toEqual([dropped, 0]);
    }
  });

  test("go on under their name where QEMU refuses a new one, and are begun anew when it does not", async () => {
    const { here, captures, qmp, grow } = await bench();
    qmp.fails = command => (command === "object-add" ? "refused" : undefined);
    for (let round = 1; round < 4; round++) {
      await grow("a", CAPTURE_BYTES + round);
      await captures.look();
      expect(await readdir(here)).toEqual(["path-a-target.pcap"]);
    }
    qmp.fails = () => undefined;
    await captures.look();
    expect(qmp.said).toEqual(["object-add dump-a-1", "object-del dump-a"]);
    expect((await readdir(here)).toSorted()).toEqual(["path-a-target.1.pcap", "path-a-target.pcap"]);
  });

  test("never go on in two files because QEMU answered too late", async () => {
    const { captures, qmp, grow } = await bench();
    qmp.fails = command => (command === "object-add" ? "late" : "lost");
    await grow("a", CAPTURE_BYTES + 1);
    await captures.look();
    expect([...qmp.objects]).toEqual(["dump-a", "dump-b", "dump-a-1"]);
    qmp.fails = command => (command === "object-del" ? "lost" : undefined);
    await captures.look();
    await grow("a", CAPTURE_BYTES + 1);
    await captures.look();
    expect([...qmp.objects]).toEqual(["dump-a", "dump-b", "dump-a-1"]);
    qmp.fails = command => (command === "object-del" ? "late" : undefined);
    await captures.look();
    expect([...qmp.objects]).toEqual(["dump-b", "dump-a-2"]);
    qmp.fails = () => undefined;
    await captures.stop({ ending: true });
    expect([...qmp.objects]).toEqual([]);
  });

  test("are all ended, also the one of which nobody knew whether it was begun", async () => {
    const { captures, qmp, grow } = await bench();
    qmp.fails = command => (command === "object-add" ? "late" : "lost");
    await grow("a", CAPTURE_BYTES + 1);
    await captures.look();
    qmp.fails = () => undefined;
    await captures.stop({ ending: true });
    expect([...qmp.objects]).toEqual([]);
  });

  test("go on as they are where QEMU does not answer", async () => {
    const here = await temporaryDirectory();
    const qmp = { execute: () => Promise.reject(new Error("gone")) };
    const captures = new Captures([{ name: "target", qmp }], here, "/r");
    const file = path.join(here, captureFile("a", "target", false));
    await writeFile(file, "");
    await truncate(file, CAPTURE_BYTES + 1);
    await captures.look();
    await captures.stop({ ending: true });
    expect(await readdir(here)).toEqual(["path-a-target.pcap"]);
  });
});
