/** `rig report`: write a run's HTML report again. */
import { Command } from "commander";
import { writeHtmlReport } from "../report/html.ts";

export const reportCommand = (): Command =>
  new Command("report")
    .description("write the report of a run again, from its results")
    .argument("<dir>", "a run's directory: results/RUN")
    .action(async (dir: string) => {
      const { file, cells } = await writeHtmlReport(dir);
      process.stdout.write(`${file} (${cells} cells)\n`);
    });
