import { expect, test } from "vitest";
import { parseStack, parseStat, readBlockedTasks } from "./tasks.ts";

test.each([
  ["301 (iscsid) S 1 301", { pid: 301, comm: "iscsid", state: "S" }],
  ["12 (kworker/0:1H) D 2 0", { pid: 12, comm: "kworker/0:1H", state: "D" }],
  ["7 (a) D (b) R 1", { pid: 7, comm: "a) D (b", state: "R" }],
  ["8 (evil\u001b[31m name) D 1", { pid: 8, comm: "evil name", state: "D" }],
  ["", undefined],
  ["no stat", undefined],
])("%j", (text, expected) => {
  expect(parseStat(text)).toEqual(expected);
});

test("a stack is bounded, without its addresses", () => {
  expect(parseStack("[<0>] msleep+0x2d/0x40\n[<ffffffff81>] foo+0x1/0x2 [mod]\n")).toEqual([
    "msleep+0x2d/0x40",
    "foo+0x1/0x2 [mod]",
  ]);
  expect(parseStack("[<0>] f+0x1/0x2\n".repeat(1000))).toHaveLength(40);
  expect(parseStack("")).toEqual([]);
});

/** An agent whose guest has these files. */
const agentOf = (files: Readonly<Record<string, string>>) => ({
  list: () => Promise.resolve(Object.keys(files).filter(name => name.endsWith("stat"))),
  call: (_verb: string, [path = ""]: readonly (string | Buffer)[]) => {
    const text = files[String(path)];
    return text === undefined
      ? Promise.reject(new Error("No such file"))
      : Promise.resolve(Buffer.from(text).toString("base64"));
  },
});

test("the blocked tasks are found among all, threads too, and one without a stack is told", async () => {
  const agent = agentOf({
    "/proc/1/task/1/stat": "1 (init) S 0",
    "/proc/9/task/9/stat": "9 (dd) D 1",
    "/proc/9/task/9/stack": "[<0>] blkdev_fsync+0x13/0x30\n",
    "/proc/9/task/10/stat": "10 (gone) D 1",
    "/proc/11/task/11/stat": "",
  });
  expect(await readBlockedTasks(agent, new AbortController().signal)).toEqual([
    { pid: 9, comm: "dd", frames: ["blkdev_fsync+0x13/0x30"] },
    { pid: 10, comm: "gone", frames: [] },
  ]);
});

test("of many tasks 64 are told", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 200 }, (_, pid) => [`/proc/${pid}/task/${pid}/stat`, `${pid} (x) D 1`]),
  );
  expect(await readBlockedTasks(agentOf(files), new AbortController().signal)).toHaveLength(64);
});
