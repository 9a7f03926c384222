/**
 * Reads result files, and trusts nothing in them: they may come from another machine, from a newer rig, from a run that was
 * killed or from a full disk. Whatever does not fit the published schemas is refused with the file's name and the reason.
 */
import type { Stats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { messageOf, RigError } from "../core/errors.ts";
import { RESULTS_VERSION } from "./schema.ts";

/** No run.json or cell.json is longer than this. */
const MAX_BYTES = 256 * 1024 * 1024;

/** What is stored is not what it should be. That is no mistake in the arguments: the exit status is 3. */
export const damaged = (file: string, what: string, cause?: unknown): RigError =>
  new RigError("RIG_BAD_RESULTS", `${file}: ${what}`, { blame: "environment", cause });

/** The argument names something that cannot be results: the exit status is 2. */
export const notResults = (file: string, what: string, cause?: unknown): RigError =>
  new RigError("RIG_BAD_RESULTS", `${file}: ${what}`, { blame: "usage", cause });

export const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");

/** What there is under this name, or undefined. */
export const statOf = async (file: string): Promise<Stats | undefined> => {
  try {
    return await stat(file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw damaged(file, `expected it to be readable: ${messageOf(error)}`, error);
  }
};

/** The facts of an ordinary file, or undefined where there is nothing. A pipe or a device would keep its reader waiting. */
export const fileOf = async (file: string): Promise<Stats | undefined> => {
  const facts = await statOf(file);
  if (facts !== undefined && !facts.isFile()) throw damaged(file, "expected an ordinary file, and it is none.");
  return facts;
};

/** @throws RigError RIG_BAD_RESULTS where there is no such directory. */
export const expectDirectory = async (directory: string, expected: string): Promise<void> => {
  const facts = await statOf(directory);
  if (facts === undefined) throw notResults(directory, `no such directory. Expected ${expected}.`);
  if (!facts.isDirectory()) throw notResults(directory, `not a directory. Expected ${expected}.`);
};

const versionOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "version" in value ? value.version : undefined;

const parse = (file: string, text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(file, `expected JSON, and it does not parse: ${messageOf(error)}`, error);
  }
};

/** The parsed file, or undefined where it does not exist. */
export const readResult = async <S extends z.ZodType>(file: string, schema: S): Promise<z.infer<S> | undefined> => {
  const facts = await fileOf(file);
  if (facts === undefined) return undefined;
  if (facts.size > MAX_BYTES) throw damaged(file, `expected at most ${MAX_BYTES} bytes, and it has ${facts.size}.`);
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw damaged(file, `expected a readable file: ${messageOf(error)}`, error);
  });
  const value = parse(file, text);
  const version = versionOf(value);
  if (typeof version === "number" && version > RESULTS_VERSION) {
    const reads = `this rig reads version ${RESULTS_VERSION}`;
    throw damaged(
      file,
      `written by a newer iscsi-rig (results version ${version}; ${reads}). Use that rig for this directory.`,
    );
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw damaged(file, `does not fit results version ${RESULTS_VERSION}:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
};
