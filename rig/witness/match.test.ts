import { describe, expect, test } from "vitest";
import { matchConnections } from "./match.ts";
import { type Sightings, sightingsOf } from "./sightings.ts";
import type { TracedCommand } from "./target-command.ts";
import { recordedCapture, recordedCommands } from "./testdata/recorded.ts";

const NO_DIGESTS = { header: false, data: false };
const captured = (lab: string) => ({
  a: sightingsOf(recordedCapture(`${lab}-a`), "10.1.0.2", NO_DIGESTS),
  b: sightingsOf(recordedCapture(`${lab}-b`), "10.2.0.2", NO_DIGESTS),
});

const cdb = Buffer.alloc(16);
const command = (connection: string, cmdSN: number): TracedCommand => ({
  ...{ tag: cmdSN, cmdSN, lun: 0, cdb, connection, receivedNs: cmdSN, executedNs: cmdSN, doneNs: undefined, status: 0 },
});
const sightings = (...numbers: number[]): Sightings => ({
  commands: numbers.map(cmdSN => ({ tag: cmdSN, cmdSN, lun: 0, cdb, tUs: cmdSN, connection: "x" })),
  whole: true,
});

describe("connections", () => {
  test.each(["debian-5.10", "iser-6.1"] as const)("of %s are found on their paths", lab => {
    const commands = recordedCommands(lab);
    const { names, contradictory, unseen } = matchConnections(commands, captured(lab));
    expect({ contradictory, unseen }).toEqual({ contradictory: 0, unseen: 0 });
    // The scenario begins on path a and goes on over path b.
    expect(names.get(commands[0]?.connection ?? "")).toEqual({ path: "a", session: "a#1" });
    expect([...names.values()].map(({ session }) => session)).toEqual(["a#1", "b#1"]);
  });

  test("are told apart by commands that only one path has seen", () => {
    const commands = [command("x", 1), command("y", 1), command("x", 2), command("y", 3)];
    const { names } = matchConnections(commands, { a: sightings(1, 2), b: sightings(1, 3) });
    expect(Object.fromEntries(names)).toEqual({
      x: { path: "a", session: "a#1" },
      y: { path: "b", session: "b#1" },
    });
  });

  test("of one path are numbered as they come", () => {
    const { names } = matchConnections([command("x", 1), command("y", 2)], { a: sightings(1, 2), b: sightings() });
    expect([...names.values()].map(({ session }) => session)).toEqual(["a#1", "a#2"]);
  });

  test("that captures contradict each other on, or show nothing of, have no name", () => {
    const commands = [command("x", 1), command("x", 2), command("y", 9)];
    const { names, contradictory, unseen } = matchConnections(commands, { a: sightings(1), b: sightings(2) });
    expect({ names: names.size, contradictory, unseen }).toEqual({ names: 0, contradictory: 1, unseen: 1 });
  });
});
