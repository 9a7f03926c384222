import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { RigError } from "../../core/errors.ts";
import type { Unstamped } from "../../history/event.ts";
import { temporaryDirectory } from "../../testing/bench-dir.ts";
import { HangLook, type HangRequest, storable } from "./hang.ts";

const unanswered = new RigError("RIG_DEADLINE", "Expected every write to be answered", {
  context: { unanswered: true },
});
const other = new RigError("RIG_DEADLINE", "Expected the session to fail");

test("a guest's text is stored bounded and printable, line by line", () => {
  expect(storable("a\u001b[31mb\nc")).toBe("ab\nc\n");
  const long = storable("x\n".repeat(6000)).split("\n");
  expect(long).toHaveLength(5002);
  expect(long.at(-2)).toBe("(and 1001 more lines)");
});

const setUp = async (
  more: Partial<HangRequest> = {},
  ssh = () => Promise.resolve({ stdout: "== dmsetup table\nmp" }),
) => {
  const dir = await temporaryDirectory();
  const events: Unstamped[] = [];
  const said: string[] = [];
  const asked: string[] = [];
  const agent = {
    list: () => Promise.resolve(["/proc/9/task/9/stat"]),
    call: (_verb: string, [file = ""]: readonly string[]) =>
      Promise.resolve(
        Buffer.from(file.endsWith("stat") ? "9 (dd) D 1" : "[<0>] blkdev_fsync+0x1/0x2\n").toString("base64"),
      ),
    put: (file: string, text: string) => Promise.resolve(void asked.push(`${file} ${text}`)),
  };
  const qmp = {
    execute: (command: string, args: { protocol: string }) =>
      Promise.resolve(void asked.push(`${command} ${args.protocol}`)),
  };
  const node = { agent, qmp, ssh: { execOk: ssh } };
  const lab = {
    nodes: { target: node, initiator: node },
    bay: { results: () => "/results/cell" },
    nodeLost: new AbortController().signal,
  };
  let phases = 0;
  const request = {
    ...{ lab, dir, dumpMemory: false, scale: 1, signal: new AbortController().signal },
    ...{
      sink: { record: (event: Unstamped) => void events.push(event) },
      onNote: (text: string) => void said.push(text),
    },
    ...more,
  } as unknown as HangRequest;
  const look = new HangLook(request, async work => {
    phases++;
    await work();
  });
  const text = (node: string) => readFile(path.join(dir, `hang-${node}.txt`), "utf8");
  return { look, text, events, asked, said, phases: () => phases };
};

describe("a look at a hang", () => {
  test("is taken once, when the cell waited in vain", async () => {
    const { look, text, events, asked, phases } = await setUp();
    await look.after(undefined);
    await look.after(other);
    expect(phases()).toBe(0);
    await look.after(unanswered);
    await look.after(unanswered);
    expect(phases()).toBe(1);
    expect(look.stillMs).toBe(0);
    expect(await text("initiator")).toBe(
      [
        "Expected every write to be answered",
        "== blocked tasks",
        "dd (9)",
        "  blkdev_fsync+0x1/0x2",
        "== sysrq-w",
        "on the console",
        "== dmsetup table",
        "mp",
        "",
      ].join("\n"),
    );
    expect(asked.filter(line => line.startsWith("/proc/sysrq-trigger"))).toEqual([
      "/proc/sysrq-trigger w",
      "/proc/sysrq-trigger w",
    ]);
    const task = { kind: "blocked-task", pid: 9, comm: "dd", frames: ["blkdev_fsync+0x1/0x2"] };
    expect(events).toEqual(
      expect.arrayContaining([
        { ...task, node: "target" },
        { ...task, node: "initiator" },
      ]),
    );
  });

  test("says what could not be had, and goes on", async () => {
    const { look, text } = await setUp({}, () => Promise.reject(new Error("ssh does not answer")));
    await look.after(unanswered);
    expect(await text("target")).toContain("(not to be had: ssh does not answer)");
    expect(await text("target")).toContain("dd (9)");
  });

  test("writes the guests' memory where that was asked for", async () => {
    const { look, asked, said } = await setUp({ dumpMemory: true });
    await look.after(unanswered);
    expect(asked).toContain("dump-guest-memory file:/results/cell/memory-initiator.kdump");
    expect(said.join("\n")).toContain("memory-target.kdump");
    expect(look.stillMs).toBeGreaterThan(0);
  });

  test("is not taken of a node that was lost", async () => {
    const lost = { lab: { nodeLost: AbortSignal.abort() } } as unknown as Partial<HangRequest>;
    const { look, phases } = await setUp(lost);
    await look.after(unanswered);
    expect(phases()).toBe(0);
  });
});
