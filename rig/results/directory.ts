/** Run directories: results/<run>, with `latest` beside them. */
import { randomBytes } from "node:crypto";
import { mkdir, rename, symlink } from "node:fs/promises";
import path from "node:path";
import { wallClock } from "../core/clock.ts";
import { messageOf, RigError } from "../core/errors.ts";

/** A run's id: when it began, and enough chance that two at once differ. */
export const newRunId = (): string =>
  `${wallClock()
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(/[-:]/g, "")}-${randomBytes(2).toString("hex")}`;

/** Makes the directory of a new run and points `latest` at it. */
export const makeRunDirectory = async (out: string, run: string): Promise<string> => {
  const dir = path.resolve(out, run);
  try {
    await mkdir(dir, { recursive: true });
    const link = path.join(path.dirname(dir), "latest");
    await symlink(run, `${link}.${run}`);
    await rename(`${link}.${run}`, link);
  } catch (error) {
    throw new RigError(
      "RIG_BAD_RESULTS",
      `The results directory ${dir} could not be made: ${messageOf(error)}. Choose another with --out.`,
      {
        blame: "environment",
        cause: error,
      },
    );
  }
  return dir;
};
