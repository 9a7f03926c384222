/** `rig scenarios`: what there is, and what it is about. */
import { Command } from "commander";
import { loadScenarios } from "../scenario/load.ts";
import { table } from "./table.ts";

export const scenariosCommand = (): Command =>
  new Command("scenarios")
    .description("list the scenarios")
    .option("--json", "as JSON", false)
    .action(async (options: { json: boolean }) => {
      const all = await loadScenarios([]);
      const rows = all.map(({ name, title, about, healthy, reference }) => ({
        name,
        title,
        about,
        healthy,
        reference,
      }));
      if (options.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
      else
        process.stdout.write(
          `${table([["NAME", "TITLE", "ABOUT"], ...rows.map(row => [row.name, row.title, row.about.join(" ")])])}\n`,
        );
    });
