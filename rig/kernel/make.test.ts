import { describe, expect, test } from "vitest";
import { buildError, firstError } from "./make.ts";
import type { ObjectTree } from "./object-tree.ts";

const OUTPUT = `  CC      drivers/scsi/libiscsi.o
../drivers/scsi/libiscsi.c: In function 'iscsi_conn_stop':
../drivers/scsi/libiscsi.c:3001:2: warning: unused variable 'x' [-Wunused-variable]
../drivers/scsi/libiscsi.c:3010:2: error: 'y' undeclared (first use in this function)
make[3]: *** [../scripts/Makefile.build:286: drivers/scsi/libiscsi.o] Error 1
make: *** [Makefile:185: __sub-make] Error 2
`;

test.each([
  ["the compiler's", OUTPUT, "../drivers/scsi/libiscsi.c:3010:2: error: 'y' undeclared (first use in this function)"],
  [
    "a missing header",
    "x.c:1:10: fatal error: gelf.h: No such file\n*** x\n",
    "x.c:1:10: fatal error: gelf.h: No such file",
  ],
  ["the linker's", "ld: a.o: undefined reference to `f'\nmake: *** x\n", "ld: a.o: undefined reference to `f'"],
  ["a missing program", "/bin/sh: 1: flex: command not found\nmake: *** x\n", "/bin/sh: 1: flex: command not found"],
  [
    "make's own",
    "  CC a.o\nmake: *** No rule to make target 'b'. Stop.\n",
    "make: *** No rule to make target 'b'. Stop.",
  ],
  ["the last line where nothing better is there", "  CC a.o\n\n", "CC a.o"],
  ["nothing at all", "", "make said nothing"],
])("the first error of a build: %s", (_what, output, line) => {
  expect(firstError(output)).toBe(line);
});

describe("a failed build", () => {
  const tree = { dir: "/cache/kernel-objects/k", log: "/cache/kernel-objects/k/build.log" } as ObjectTree;
  const result = (stderr: string, signal?: string) => ({
    argv: [],
    exitCode: signal === undefined ? 2 : -1,
    signal,
    stdout: "",
    stderr,
    durationMs: 1,
  });

  test("names the first error and the log", () => {
    const error = buildError("linux-5.10", tree, result(OUTPUT));
    expect(error).toMatchObject({ code: "RIG_KERNEL_BUILD", blame: "environment" });
    expect(error.message).toContain("exit status 2. First error: ../drivers/scsi/libiscsi.c:3010:2: error: 'y'");
    expect(error.message).toContain(`Log: ${tree.log}`);
    expect(buildError("linux-5.10", tree, result("", "SIGKILL")).message).toContain("signal SIGKILL");
  });

  test("on a full disk says so", () => {
    const error = buildError("linux-5.10", tree, result("as: a.o: No space left on device\nmake: *** x\n"));
    expect(error).toMatchObject({ code: "RIG_NO_SPACE", blame: "environment" });
    expect(error.message).toContain("XDG_CACHE_HOME");
  });
});
