/** `rig kernels`: what there is, what of it is cached; `rig kernels fetch` gets it. */
import { Command } from "commander";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { resolveKernel } from "../kernel/kernel.ts";
import { cachedKernelPackage } from "../kernel/package.ts";
import { commandContext } from "./context.ts";
import { table } from "./table.ts";

export const kernelsCommand = (): Command => {
  const command = new Command("kernels")
    .description("list the kernels of the catalogue and whether they are cached")
    .option("--json", "as JSON", false)
    .action(async (options: { json: boolean }) => {
      const rows = await Promise.all(
        (await loadCatalogue()).map(async entry => {
          const pkg = await cachedKernelPackage(entry);
          return {
            name: entry.name,
            title: entry.title,
            state: pkg === undefined ? "to fetch" : "cached",
            ...(pkg === undefined
              ? {}
              : { package: pkg.package, packageVersion: pkg.version, packageSha256: pkg.sha256 }),
          };
        }),
      );
      if (options.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
      else
        process.stdout.write(
          `${table([["NAME", "TITLE", "STATE", "PACKAGE"], ...rows.map(row => [row.name, row.title, row.state, row.package === undefined ? "" : `${row.package} ${row.packageVersion}`])])}\n`,
        );
    });
  command
    .command("fetch")
    .description("fetch kernels and make their boot bundles")
    .argument("<name...>", "kernels of the catalogue")
    .option("--refresh", "look for a newer version even where one is cached", false)
    .action(async (names: string[], options: { refresh: boolean }) => {
      using context = commandContext();
      const catalogue = await loadCatalogue();
      for (const entry of names.map(name => findKernel(catalogue, name))) {
        const { identity } = await resolveKernel(entry, context.log, {
          refresh: options.refresh,
          signal: context.signal,
        });
        context.log.say(
          `${identity.name}: ${identity.package ?? ""} ${identity.packageVersion ?? ""}, ${identity.release}`,
          "good",
        );
      }
    });
  return command;
};
