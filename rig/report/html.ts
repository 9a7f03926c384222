/**
 * Writes a run's `index.html`: the built app (reports/dist/app.html), a summary that needs no script, and the data. The
 * data is base64 of gzip of JSON inside `<template>` elements, an alphabet in which no text of a guest can close an
 * element; the page decodes it and shows every word as a text node. The file is written beside its name and renamed, so
 * a reader never sees half of one.
 */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { messageOf, RigError } from "../core/errors.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import type { Run } from "../results/schema.ts";
import { BUNDLE_VERSION, type Bundle, type CellBlock } from "./bundle.ts";
import { loadCell, loadRun } from "./load.ts";
import { escapeHtml, noscriptSummary } from "./noscript.ts";
import { BUDGETS, detailChooser, selectEvents } from "./select.ts";

const compress = promisify(gzip);

/** Where `make setup` leaves the built app. */
export const APP_FILE = join(PROJECT_DIR, "reports/dist/app.html");

/** Places in the built app that this module fills. The app's own code must not contain them. */
const PLACES = { title: "<!--rig:title-->", summary: "<!--rig:summary-->", data: "<!--rig:data-->" } as const;

export interface HtmlReport {
  readonly file: string;
  readonly bytes: number;
  readonly cells: number;
}

export interface HtmlReportOptions {
  /** The built app, if it is not the one in reports/dist. */
  readonly appFile?: string;
}

const readApp = async (file: string): Promise<string> => {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new RigError(
      "RIG_MISSING_PROGRAM",
      `Expected the built report app at ${file}, and it cannot be read: ${messageOf(error)}. Run "make setup", which builds it.`,
      { blame: "environment", cause: error },
    );
  }
};

/** A `<template>` whose only text is base64. */
const template = async (id: string, value: unknown): Promise<string> => {
  const packed = await compress(JSON.stringify(value), { level: 9 });
  return `<template id="${id}">${packed.toString("base64")}</template>`;
};

const fill = (app: string, place: keyof typeof PLACES, content: string): string => {
  const [before, after, ...more] = app.split(PLACES[place]);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new RigError(
      "RIG_BUG",
      `Expected exactly one ${PLACES[place]} in the built report app. Run "make setup" to build it again.`,
    );
  }
  return `${before}${content}${after}`;
};

const blockOf = async (directory: string, run: Run, index: number, chooser: ReturnType<typeof detailChooser>) => {
  const summary = run.cells[index];
  if (summary === undefined) return undefined;
  const { cell, history } = await loadCell(directory, run, summary);
  if (cell === undefined && history === undefined) return undefined;
  const detail = chooser(summary);
  const block: CellBlock = {
    ...(cell === undefined ? {} : { cell }),
    ...(history === undefined
      ? {}
      : {
          history: {
            ...selectEvents(history, cell?.findings ?? [], BUDGETS[detail]),
            header: history.header,
            detail,
            truncated: history.truncated,
            damagedLines: history.damage.length,
          },
        }),
  };
  return block;
};

/** Reads the results in `directory` and writes `directory/index.html`. Cells are read one after another, not all at once. */
export const writeHtmlReport = async (directory: string, options: HtmlReportOptions = {}): Promise<HtmlReport> => {
  const app = await readApp(options.appFile ?? APP_FILE);
  const run = await loadRun(directory);
  const chooser = detailChooser();
  const templates: string[] = [];
  const blocks: (number | null)[] = [];
  for (const index of run.cells.keys()) {
    const block = await blockOf(directory, run, index, chooser);
    blocks.push(block === undefined ? null : templates.length);
    if (block !== undefined) templates.push(await template(`rig-cell-${templates.length}`, block));
  }
  const bundle: Bundle = { version: BUNDLE_VERSION, run, blocks };
  const data = [await template("rig-index", bundle), ...templates].join("\n");
  // The data goes in first: what comes after may contain, escaped, any text at all, but never a place's marker.
  const page = fill(fill(fill(app, "data", data), "summary", noscriptSummary(run)), "title", escapeHtml(run.verdict));
  const file = join(directory, "index.html");
  const draft = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(draft, page);
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw new RigError("RIG_BAD_RESULTS", `${file}: the report could not be written: ${messageOf(error)}`, {
      blame: "environment",
      cause: error,
    });
  }
  return { file, bytes: Buffer.byteLength(page), cells: run.cells.length };
};
