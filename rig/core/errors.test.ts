import { expect, test } from "vitest";
import { exitStatusOf, messageOf, RigError } from "./errors.ts";

test.each([
  ["unusable arguments", new RigError("RIG_USAGE", "no", { blame: "usage" }), 2],
  ["the machine", new RigError("RIG_NO_SPACE", "no", { blame: "environment" }), 3],
  ["the rig", new RigError("RIG_BUG", "no"), 3],
  ["the scenario", new RigError("RIG_DEADLINE", "no", { blame: "scenario" }), 3],
  ["any error", new TypeError("no"), 3],
  ["what is no error", "no", 3],
])("the exit status when %s is to blame", (_name, error, status) => {
  expect(exitStatusOf(error)).toBe(status);
});

test("an error has a code, somebody to blame, facts and a cause", () => {
  const cause = new Error("deeper");
  expect(new RigError("RIG_QMP", "no", { cause, context: { id: 1 } })).toMatchObject({
    name: "RigError",
    code: "RIG_QMP",
    blame: "harness",
    context: { id: 1 },
    cause,
  });
  expect("cause" in new RigError("RIG_QMP", "no")).toBe(false);
});

test("anything thrown has a message", () => {
  expect(messageOf(new Error("words"))).toBe("words");
  expect(messageOf("words")).toBe("words");
  expect(messageOf(undefined)).toBe("undefined");
});
