/** The lab's own C programs, compiled static so that they run in an initramfs and in any root. */
import { runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { definitionFile } from "./definition.ts";

/** `where` is the folder under containers/ that the source is in. */
export const compileProgram = async (
  where: "guest" | "node",
  source: string,
  target: string,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<void> => {
  log.status(`compiling ${where}/${source}`);
  await runOk(
    [
      "gcc",
      "-static",
      "-Os",
      "-Wall",
      "-Werror",
      "-Wno-format-truncation",
      "-Wno-empty-body",
      "-o",
      target,
      definitionFile(where, source),
    ],
    "RIG_IMAGE_BUILD",
    { signal },
  );
};
