import { expect, test } from "vitest";
import type { ScenarioDefinition, TimelineContext } from "../../rig/scenario/scenario.ts";
import destroyAgain from "./destroy-again.ts";
import lateStop from "./late-stop.ts";

/** What the timeline asks for, by the names of its controls, with numbers. */
const asked = async ({ timeline }: ScenarioDefinition): Promise<string[]> => {
  const steps: string[] = [];
  const control = (name: string): unknown =>
    new Proxy(() => undefined, {
      get: (_target, part) => (part === "then" ? undefined : control(`${name}.${String(part)}`)),
      apply: (_target, _this, args: readonly unknown[]) => {
        if (name === ".random") return args[1];
        const numbers = args.filter(arg => typeof arg === "number");
        if (/^\.(session|instrument)$/.test(name)) return control(`${name.slice(1)}(${String(args[0])})`);
        steps.push([name.replace(/^\./, ""), ...numbers].join(" "));
        return Promise.resolve(control(name));
      },
    });
  await timeline(control("") as TimelineContext);
  return steps;
};

test("destroy-again drops the path directly after an acknowledgement, the instrument being set", async () => {
  expect((await asked(destroyAgain)).slice(0, 4)).toEqual([
    "instrument(slow-stop).set 9000",
    "ledger.rewrite",
    "ledger.rewrite.acknowledged",
    "path.a.drop",
  ]);
});

test("late-stop's work comes after a slow login, and the views differ for longer than that explains", async () => {
  const steps = await asked(lateStop);
  const of = (what: string) => Number(steps.find(step => step.startsWith(what))?.split(" ")[1]);
  const lateMs = of("instrument(slow-stop).set");
  const replacementMs = (lateStop.timing?.replacementTimeout ?? 0) * 1000;
  expect(lateMs).toBeGreaterThanOrEqual(9000);
  // What the session oracle allows: 5 s and what the instrument holds up.
  expect(replacementMs).toBeGreaterThan(5000 + lateMs);
  expect(of("session(a).observe")).toBeGreaterThan(lateMs + replacementMs);
});
