/** The definitions under containers/: package lists and sources, read once, and what they hash to. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { PROJECT_DIR } from "../core/paths.ts";

/** The Debian suite of both images. */
export const IMAGE_SUITE = "bookworm";

export const definitionFile = (...parts: readonly string[]): string => path.join(PROJECT_DIR, "containers", ...parts);

/** The packages a list names; `#` begins a comment. */
export const parsePackageList = (text: string): readonly string[] =>
  text
    .split("\n")
    .map(line => line.replace(/#.*/, "").trim())
    .filter(line => line !== "");

export const readPackageList = async (name: "guest" | "node"): Promise<readonly string[]> =>
  parsePackageList(await readFile(definitionFile(name, "packages.txt"), "utf8"));
