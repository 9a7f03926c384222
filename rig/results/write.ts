/** Result files are written beside their name and renamed, so a reader never sees half of one. */
import { rename, writeFile } from "node:fs/promises";
import { RigError } from "../core/errors.ts";

export const writeJson = async (file: string, value: unknown): Promise<void> => {
  try {
    await writeFile(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`);
    await rename(`${file}.new`, file);
  } catch (error) {
    const full = (error as NodeJS.ErrnoException).code === "ENOSPC";
    throw new RigError(
      full ? "RIG_NO_SPACE" : "RIG_BAD_RESULTS",
      `${file} could not be written: ${String(error)}. Free some space, or choose another --out.`,
      {
        blame: "environment",
        cause: error,
      },
    );
  }
};
