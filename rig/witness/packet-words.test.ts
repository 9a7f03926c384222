import { copyFile, readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { EventOf } from "../history/event.ts";
import type { BadCommand, Finding } from "../oracle/finding.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { captureZero, windowsOf, writePacketWords } from "./packet-words.ts";
import { sightingsOf } from "./sightings.ts";
import { recordedCapture } from "./testdata/recorded.ts";
import { hasTshark } from "./tshark.ts";

const NO_DIGESTS = { header: false, data: false };

const findingOf = (...commands: BadCommand[]): Finding => ({
  ...{ oracle: "integrity", class: "stale", title: "stale", explanation: "It is.", lines: [1] },
  extents: [{ sector: 0, sectors: 8, via: "backing", expected: [], found: { label: "x" }, commands }],
});
const bad = (executedNs: number, path?: "a" | "b"): BadCommand => ({
  ...{ tag: 1, sector: 0, sectors: 8, executedNs },
  ...(path === undefined ? {} : { path }),
});

describe("the windows of findings", () => {
  test("are around their commands, on their paths, and none overlaps another", () => {
    const windows = windowsOf([findingOf(bad(5e9, "a"), bad(5.1e9, "a"), bad(9e9, "a")), findingOf(bad(50e6))]);
    expect(windows.a).toEqual([
      { fromNs: 0, toNs: 150e6 },
      { fromNs: 4.9e9, toNs: 5.2e9 },
      { fromNs: 8.9e9, toNs: 9.1e9 },
    ]);
    expect(windows.b).toEqual([{ fromNs: 0, toNs: 150e6 }]);
  });

  test("are none where no command is named", () => {
    expect(windowsOf([{ ...findingOf(), extents: [] }])).toEqual({ a: [], b: [] });
  });
});

/** The commands of a capture as the history may have them: the first packet came after two seconds, and LIO took a while. */
const { commands } = sightingsOf(recordedCapture("iser-6.1-a"), "10.1.0.2", NO_DIGESTS);
const firstUs = commands[0]?.tUs ?? 0;
const events = commands.map(({ tag, cmdSN, tUs }, index): EventOf<"command"> => {
  const receivedNs = 2e9 + (tUs - firstUs) * 1000 + 20_000 + (index % 5) * 1e6;
  return {
    ...{ t: receivedNs, kind: "command", action: "write", lun: 0, sector: 8 * index, sectors: 8, path: "a" },
    ...{ tag, cmdSN, receivedNs },
  };
});

describe("packets in words", () => {
  test("find the history's time by the command that was met soonest", () => {
    const writes = events.filter((_, index) => index < 20);
    const zeroUs = captureZero(commands, writes);
    expect((zeroUs ?? 0) + firstUs).toBeCloseTo(2_000_020, -1);
    expect(captureZero(commands, [])).toBeUndefined();
  });

  test("tell what went over the wire around a finding", async context => {
    if (!(await hasTshark())) context.skip("tshark is not installed");
    const directory = await temporaryDirectory();
    await copyFile(
      path.join(import.meta.dirname, "testdata", "iser-6.1-a.pcap"),
      path.join(directory, "path-a-target.pcap"),
    );
    const request = { directory, events, digests: NO_DIGESTS };
    expect(await writePacketWords({ ...request, findings: [findingOf(bad(2e9, "a"))] })).toBeUndefined();
    const lines = (await readFile(path.join(directory, "path-a-iscsi.txt"), "utf8")).split("\n");
    expect(lines[0]).toContain("Packets of path a at the target");
    expect(lines.some(line => /^ +2\.0000\d\d  10\.1\.0\.3 > 10\.1\.0\.2  \S+ \d+  /.test(line))).toBe(true);
    expect(lines.some(line => line.includes("RC Send"))).toBe(true);
  });

  test("are not written where nothing is to be told", async () => {
    const request = { directory: "/nonexistent", events, digests: NO_DIGESTS };
    expect(await writePacketWords({ ...request, findings: [] })).toBeUndefined();
  });
});
