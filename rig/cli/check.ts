/** `rig check`: judge a stored cell again, from its history alone. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Command } from "commander";
import pc from "picocolors";
import { messageOf, RigError } from "../core/errors.ts";
import { readHistory } from "../history/reader.ts";
import { type Cell, cellSchema, RESULTS_VERSION } from "../results/schema.ts";
import { judgeCell } from "../run/judge-cell.ts";

const readCell = async (dir: string): Promise<Cell> => {
  const file = path.join(dir, "cell.json");
  let raw: unknown;
  try {
    raw = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new RigError(
      "RIG_BAD_RESULTS",
      `Expected a cell's directory (with cell.json and history.ndjson) at ${dir}: ${messageOf(error)}`,
      { blame: "usage" },
    );
  }
  const { version } = raw as { version?: unknown };
  if (version !== RESULTS_VERSION) {
    throw new RigError(
      "RIG_BAD_RESULTS",
      `${file} has version ${String(version)}; this rig reads version ${RESULTS_VERSION}.`,
      { blame: "usage" },
    );
  }
  const parsed = cellSchema.safeParse(raw);
  if (!parsed.success)
    throw new RigError("RIG_BAD_RESULTS", `${file} is damaged: ${parsed.error.issues[0]?.message ?? ""}`, {
      blame: "usage",
    });
  return parsed.data;
};

export const checkCommand = (): Command =>
  new Command("check")
    .description("judge a cell again from its history, without a lab")
    .argument("<dir>", "a cell's directory: results/RUN/cells/SCENARIO/KERNEL/SEED")
    .option("--json", "print status and findings as JSON", false)
    .action(async (dir: string, options: { json: boolean }) => {
      const cell = await readCell(dir);
      const history = await readHistory(path.join(dir, "history.ndjson"));
      // What stopped the cell is not in the history; its stored reason stands in for it.
      const stopped = cell.status === "ERROR" || cell.status === "MISS" ? cell.reason : undefined;
      const verdict = judgeCell(history);
      const status = verdict.status === "PASS" && stopped !== undefined ? cell.status : verdict.status;
      const reason = verdict.reason ?? stopped;
      if (options.json) {
        process.stdout.write(
          `${JSON.stringify({ status, ...(reason === undefined ? {} : { reason }), findings: verdict.findings }, null, 2)}\n`,
        );
      } else {
        const lines = [
          `${cell.scenario} on ${cell.kernel.name}, seed ${cell.seed}: ${pc.bold(status)}${status === cell.status ? "" : ` (stored: ${cell.status})`}`,
        ];
        if (reason !== undefined) lines.push(`  ${reason}`);
        for (const finding of verdict.findings)
          lines.push(`  ${pc.red(finding.class)}: ${finding.title}`, `    ${finding.explanation}`);
        process.stdout.write(`${lines.join("\n")}\n`);
      }
      process.exitCode = status === "FAIL" ? 1 : status === "PASS" || status === "DONE" || status === "SKIP" ? 0 : 3;
    });
