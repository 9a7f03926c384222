import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { poll } from "../core/clock.ts";
import { LABEL, labelsOf, ownerAlive, thisOwner } from "./labels.ts";

const startOf = (pid: number | string): string =>
  readFileSync(`/proc/${String(pid)}/stat`, "latin1")
    .split(") ")[1]
    ?.split(" ")[19] ?? "";

describe("the owner of a lab", () => {
  const [boot = "", pid = "", start = ""] = thisOwner().split("/");

  test("that is this process is alive", () => {
    expect(ownerAlive(thisOwner())).toBe(true);
    expect(Number(pid)).toBe(process.pid);
  });

  test.each([
    ["of another boot", `00000000-0000-0000-0000-000000000000/${pid}/${start}`],
    ["whose number a later process has", `${boot}/${pid}/${String(Number(start) + 1)}`],
    ["whose number nobody has", `${boot}/4194305/${start}`],
    ["that names no process", `${boot}/${pid}`],
    ["that names none and lives nowhere", `${boot}/4194305`],
    ["that is a path", `${boot}/../${start}`],
    ["that is this one's alias", `${boot}/self/${start}`],
    ["that is empty", ""],
  ])("%s is not", (_name, owner) => {
    expect(ownerAlive(owner)).toBe(false);
  });

  test("that was killed is not, even while its parent has not taken notice", async () => {
    // The shell is asked for nothing more, so the child that it started stays a zombie.
    const parent = spawn("sh", ["-c", "sleep 60 & echo $!; exec tail -f /dev/null"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [line] = (await once(parent.stdout, "data")) as [Buffer];
      const child = Number(line.toString());
      const owner = `${boot}/${child}/${startOf(child)}`;
      expect(ownerAlive(owner)).toBe(true);
      process.kill(child, "SIGKILL");
      await poll(() => Promise.resolve(ownerAlive(owner) ? undefined : true), {
        everyMs: 10,
        withinMs: 5000,
        expected: "the owner to count as dead",
      });
      expect(readFileSync(`/proc/${child}/stat`, "latin1")).toContain(") Z ");
    } finally {
      parent.kill("SIGKILL");
    }
  });
});

test("a lab's labels", () => {
  expect(labelsOf({ run: "r", lab: "l", owner: "o" })).toEqual({
    [LABEL.role]: "lab",
    [LABEL.run]: "r",
    [LABEL.lab]: "l",
    [LABEL.owner]: "o",
  });
});
