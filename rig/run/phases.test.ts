import { expect, test } from "vitest";
import { sleep } from "../core/clock.ts";
import type { Unstamped } from "../history/event.ts";
import { Phases } from "./phases.ts";

test("phases are timed and recorded however they end", async () => {
  const events: Unstamped[] = [];
  const names: string[] = [];
  const phases = new Phases({ record: event => void events.push(event) }, name => names.push(name));
  expect(
    await phases.run("boot", async () => {
      await sleep(5);
      return "lab";
    }),
  ).toBe("lab");
  await expect(phases.run("timeline", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(names).toEqual(["boot", "timeline"]);
  expect(phases.list.map(({ name }) => name)).toEqual(["boot", "timeline"]);
  expect(phases.list[0]?.ms).toBeGreaterThan(3);
  expect(events).toEqual([
    { kind: "phase", name: "boot", edge: "begin" },
    { kind: "phase", name: "boot", edge: "end" },
    { kind: "phase", name: "timeline", edge: "begin" },
    { kind: "phase", name: "timeline", edge: "end" },
  ]);
});
