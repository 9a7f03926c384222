import { copyFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { EventOf, HistorySink, Unstamped } from "../history/event.ts";
import { temporaryDirectory } from "../testing/bench-dir.ts";
import { collectWitness, openWitness } from "./collect.ts";
import { FakeAgent } from "./testdata/fake-agent.ts";
import { type RecordedLab, recordedCommands } from "./testdata/recorded.ts";

const { signal } = new AbortController();
const file = (name: string) => path.join(import.meta.dirname, "testdata", name);

/** A cell's directory with a lab's captures, and one with none. */
const directoryOf = async (lab: RecordedLab | undefined): Promise<string> => {
  const directory = await temporaryDirectory();
  if (lab !== undefined)
    for (const name of ["a", "b"])
      await copyFile(file(`${lab}-${name}.pcap`), path.join(directory, `path-${name}-target.pcap`));
  return directory;
};

interface Told {
  readonly commands: readonly { readonly at: bigint; readonly event: Unstamped<EventOf<"command">> }[];
  readonly witness: Unstamped<EventOf<"witness">> | undefined;
}

/** What the history is told by an agent, over captures of that lab. */
const told = async (
  agent: FakeAgent,
  lab: RecordedLab | undefined,
  directory?: string,
  { dropped = 0, stillMs = 0 } = {},
): Promise<Told> => {
  const commands: { at: bigint; event: Unstamped<EventOf<"command">> }[] = [];
  let witness: Told["witness"];
  const sink: HistorySink = {
    record: (event, at) => {
      if (event.kind === "command") commands.push({ at: at ?? -1n, event });
      else if (event.kind === "witness") witness = event;
      else throw new Error(`nobody expected ${event.kind}`);
    },
  };
  await collectWitness({
    ...{ agent, opened: await openWitness(agent, signal), directory: directory ?? (await directoryOf(lab)), sink },
    ...{
      startNs: 0n,
      digests: { header: false, data: false },
      signal,
      stillMs,
      dropped: path => (path === "b" ? dropped : 0),
    },
  });
  return { commands, witness };
};

describe("the witness", () => {
  test.each(["debian-5.10", "iser-6.1"] as const)("of %s tells every command, its path and when", async lab => {
    const { commands, witness } = await told(new FakeAgent(lab, [], 1_000_000n), lab);
    expect(witness).toMatchObject({ kind: "witness", by: "tracepoints", whole: true });
    expect(witness?.skewNs).toBeLessThan(5_000_000);
    const recorded = recordedCommands(lab).filter(({ executedNs }) => executedNs !== undefined);
    expect(commands).toHaveLength(recorded.length);
    expect(commands.every(({ at }, index) => index === 0 || at >= (commands[index - 1]?.at ?? 0n))).toBe(true);
    expect(commands[0]?.event).toMatchObject({
      ...{ action: "write", lun: 0, sector: 0, sectors: 8, path: "a", session: "a#1", status: 0 },
      ...{ tag: recorded[0]?.tag, cmdSN: recorded[0]?.cmdSN },
    });
    const offNs = Number(commands[0]?.at ?? 0n) - ((recorded[0]?.executedNs ?? 0) + 1_000_000);
    expect(Math.abs(offNs)).toBeLessThan(5_000_000);
    expect(commands.at(-1)?.event.receivedNs).toBeLessThan(Number(commands.at(-1)?.at ?? 0n));
  });

  test("of a target that stood still is off by as much", async () => {
    const still = { stillMs: 150 };
    const { witness } = await told(new FakeAgent("debian-6.1"), "debian-5.10", undefined, still);
    expect(witness?.by).toBe("tracepoints");
    expect(witness?.skewNs).toBeGreaterThan(150_000_000);
  });

  test("without captures knows the order but no path, and says so", async () => {
    const { commands, witness } = await told(new FakeAgent("debian-6.1"), undefined);
    expect(commands.length).toBeGreaterThan(90);
    expect(commands.every(({ event }) => event.path === undefined && event.session === undefined)).toBe(true);
    expect(witness?.text).toContain("The captures show nothing of 2 connections");
  });

  test("without a trace tells what the captures show, and that nobody saw it executed", async () => {
    const { commands, witness } = await told(new FakeAgent("iser-6.1", ["/tracing/"]), "iser-6.1");
    expect(witness).toMatchObject({ by: "capture", whole: true });
    expect(witness?.text).toContain("whether it was executed nobody saw");
    expect(witness?.text).toContain("No such file or directory");
    expect(commands.length).toBeGreaterThan(90);
    expect(new Set(commands.map(({ event }) => event.session))).toEqual(new Set(["a#1", "b#1"]));
    expect(commands.every(({ event }) => event.doneNs === undefined && event.status === undefined)).toBe(true);
  });

  test("is not whole where a capture could not be followed", async () => {
    const { witness } = await told(new FakeAgent("debian-5.10", ["/tracing/"]), "debian-5.10");
    expect(witness).toMatchObject({ by: "capture", whole: false });
  });

  test("is not whole where the beginning of a capture was dropped", async () => {
    const { commands, witness } = await told(new FakeAgent("iser-6.1", ["/tracing/"]), "iser-6.1", undefined, {
      dropped: 1,
    });
    expect(witness).toMatchObject({ by: "capture", whole: false });
    expect(commands.length).toBeGreaterThan(90);
  });

  test("with neither says nothing, and why", async () => {
    const { commands, witness } = await told(new FakeAgent("debian-5.10", ["/tracing/"]), undefined);
    expect(commands).toEqual([]);
    expect(witness).toMatchObject({ by: "nothing", whole: false });
  });

  test("survives captures that are noise", async () => {
    const directory = await directoryOf(undefined);
    await writeFile(path.join(directory, "path-a-target.pcap"), Buffer.alloc(5000, 0xa5));
    await writeFile(path.join(directory, "path-b-target.pcap"), "");
    const { witness } = await told(new FakeAgent("debian-5.10"), undefined, directory);
    expect(witness).toMatchObject({ by: "tracepoints", whole: true });
  });

  test("of a target that was started anew has no trace", async () => {
    const agent = new FakeAgent("debian-5.10");
    let clock = 9_000_000_000n;
    agent.now = () => Promise.resolve((clock -= 100_000_000n));
    const { witness } = await told(agent, "debian-5.10");
    expect(witness?.by).toBe("capture");
    expect(witness?.text).toContain("started anew");
  });

  test("nobody listened to says so", async () => {
    let text = "";
    const sink: HistorySink = {
      record: event => {
        if (event.kind === "witness") ({ text } = event);
      },
    };
    await collectWitness({
      ...{ agent: new FakeAgent("debian-5.10"), opened: undefined, directory: await directoryOf(undefined), sink },
      ...{ startNs: 0n, digests: { header: false, data: false }, signal, stillMs: 0, dropped: () => 0 },
    });
    expect(text).toContain("before anybody listened");
  });
});
