/** `rig check`: judge a stored cell again, or every cell of a stored run, from what is stored alone. */
import path from "node:path";
import { Command } from "commander";
import { printable, printableJson } from "../core/untrusted.ts";
import { loadRun } from "../report/load.ts";
import { expectDirectory, statOf } from "../results/read.ts";
import { checkCell, exitStatusFor } from "./check-cell.ts";
import { type CheckedLine, checkRun, incompleteness, lineText, runExitStatus, summaryText } from "./check-run.ts";
import { verdictJson, verdictText } from "./verdict-text.ts";

/** Where the command's words go. */
export interface CheckOutput {
  readonly say: (text: string) => void;
  /** Beside what another program reads. */
  readonly aside: (text: string) => void;
}

const oneCell = async (directory: string, json: boolean, { say, aside }: CheckOutput): Promise<number> => {
  const { name, verdict, difference } = await checkCell(directory);
  say(json ? verdictJson(verdict) : verdictText(name, verdict));
  if (difference !== undefined) (json ? aside : say)(`${difference}\n`);
  return exitStatusFor(verdict.status);
};

/** What --json prints of a cell of a run. */
const lineJson = (line: CheckedLine): unknown => {
  const { scenario, kernel, seed } = line.cell;
  if (line.kind === "unusable") return { scenario, kernel, seed, problem: line.problem };
  if (line.kind === "absent") return { scenario, kernel, seed, status: line.cell.status, reason: line.cell.reason };
  return { scenario, kernel, seed, ...line.checked.verdict, difference: line.checked.difference };
};

const wholeRun = async (directory: string, json: boolean, { say, aside }: CheckOutput): Promise<number> => {
  const run = await loadRun(directory);
  const lines: CheckedLine[] = [];
  for await (const line of checkRun(directory, run)) {
    lines.push(line);
    if (!json) say(`${lineText(line)}\n`);
  }
  say(json ? `${JSON.stringify(lines.map(lineJson), null, 2)}\n` : `${summaryText(lines)}\n`);
  const incomplete = incompleteness(run);
  if (incomplete !== undefined) (json ? aside : say)(`${incomplete}\n`);
  return runExitStatus(run, lines);
};

/** Judges what is in this directory; returns the exit status. */
export const check = async (directory: string, json: boolean, output: CheckOutput): Promise<number> => {
  await expectDirectory(directory, "the directory of a cell or of a run");
  const isRun = (await statOf(path.join(directory, "run.json"))) !== undefined;
  // What is stored may come from anywhere, and ends on a terminal.
  const clean: CheckOutput = {
    say: text => {
      output.say(json ? printableJson(text) : printable(text));
    },
    aside: text => {
      output.aside(printable(text));
    },
  };
  return isRun ? wholeRun(directory, json, clean) : oneCell(directory, json, clean);
};

export const checkCommand = (): Command =>
  new Command("check")
    .description("judge a cell again from its history, or every cell of a run, without a lab")
    .argument("<dir>", "a cell's directory, results/RUN/cells/SCENARIO/KERNEL/SEED, or a run's, results/RUN")
    .option("--json", "print status and findings as JSON", false)
    .action(async (directory: string, { json }: { json: boolean }) => {
      process.exitCode = await check(directory, json, {
        say: text => process.stdout.write(text),
        aside: text => process.stderr.write(text),
      });
    });
