import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { run, runOk } from "./exec.ts";

const sh = (script: string, ...args: readonly string[]): [string, ...string[]] => ["sh", "-c", script, "sh", ...args];

test("success and failure have one shape", async () => {
  expect(await run(sh("echo out; echo err >&2; exit 3"))).toMatchObject({
    exitCode: 3,
    signal: undefined,
    stdout: "out\n",
    stderr: "err\n",
  });
  expect(await run(sh("kill -TERM $$"))).toMatchObject({ exitCode: -1, signal: "SIGTERM" });
});

test("input, directory and environment reach the command; arguments do not meet a shell", async () => {
  const script = 'cat; pwd; echo "$RIG_TEST$1"';
  const result = await run(sh(script, "$HOME"), { input: "in\n", cwd: tmpdir(), env: { RIG_TEST: "x" } });
  expect(result.stdout).toBe(`in\n${tmpdir()}\nx$HOME\n`);
});

test("without input the command reads nothing instead of this process's terminal", async () => {
  expect((await run(["cat"])).stdout).toBe("");
});

test("lines of standard error come one by one", async () => {
  const lines: string[] = [];
  await run(sh("echo a >&2; printf b >&2"), { onLine: line => lines.push(line) });
  expect(lines).toEqual(["a", "b"]);
});

test("a program that is missing is told with what to do", async () => {
  await expect(run(["rig-no-such-program"])).rejects.toMatchObject({
    code: "RIG_MISSING_PROGRAM",
    blame: "environment",
    message: "The program rig-no-such-program is not installed. Run: make setup",
  });
});

test("a directory that is missing is not taken for a missing program", async () => {
  await expect(runOk(["true"], "RIG_BUG", { cwd: "/rig/no/such" })).rejects.toMatchObject({ code: "RIG_BUG" });
});

test("a program that fails is an error of the caller's code and quotes the end of what it said", async () => {
  await expect(runOk(sh("seq 100; echo why >&2; exit 4"), "RIG_IMAGE_BUILD")).rejects.toMatchObject({
    code: "RIG_IMAGE_BUILD",
    message: expect.stringMatching(/expected success, got exit status 4\.\n(.*\n)+ {2}100$/) as string,
  });
  await expect(runOk(sh("kill -KILL $$"), "RIG_IMAGE_BUILD")).rejects.toThrow("got signal SIGKILL");
  expect((await runOk(["true"], "RIG_BUG")).exitCode).toBe(0);
});

test.each(["cp: writing 'x': No space left on device", "ENOSPC: no space", "E: not enough free space in /var"])(
  "a full disk is told as such: %s",
  async words => {
    await expect(runOk(sh('echo "$1" >&2; exit 1', words), "RIG_IMAGE_BUILD")).rejects.toMatchObject({
      code: "RIG_NO_SPACE",
      blame: "environment",
    });
  },
);

test("a command is ended when the caller gives up, with the caller's reason", async () => {
  const controller = new AbortController();
  const running = run(sh("echo up >&2; exec sleep 60"), {
    signal: controller.signal,
    onLine: () => controller.abort(new Error("stopped")),
  });
  await expect(running).rejects.toThrow("stopped");
  await expect(run(["true"], { signal: controller.signal })).rejects.toThrow("stopped");
});

test("a command that takes too long is ended", async () => {
  expect(await run(["sleep", "60"], { timeoutMs: 50 })).toMatchObject({ exitCode: -1, signal: "SIGTERM" });
});
