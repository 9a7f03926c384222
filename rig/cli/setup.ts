/** `rig setup`: make this machine ready. A second call finds everything in place and does nothing. */
import { Command } from "commander";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { prepareHost, requirePrivileges } from "../run/host.ts";
import { loadScenarios } from "../scenario/load.ts";
import { installPackages } from "../setup/packages.ts";
import { commandContext } from "./context.ts";
import { resolveKernels } from "./resolve-kernels.ts";
import { referenceKernels } from "./wanted-trials.ts";

const counted = (kernels: number): string => (kernels === 0 ? "" : `${kernels} kernels, `);

export const setupCommand = (): Command =>
  new Command("setup")
    .description(
      "install missing Debian packages, start Docker, make the images, fetch and build the kernels of the scenarios' references",
    )
    .option("--tests", "also what only the tests need (a browser, NBD servers)", false)
    .option("--no-kernels", "without the kernels: each is then fetched or built when it is first used")
    .action(async (options: { tests: boolean; kernels: boolean }) => {
      using context = commandContext();
      const { log, signal } = context;
      requirePrivileges();
      await installPackages(options.tests, log, signal);
      const { accelerator } = await prepareHost(log, signal);
      const catalogue = await loadCatalogue();
      const names = options.kernels ? referenceKernels(await loadScenarios([])) : [];
      const specs = names.map(name => findKernel(catalogue, name));
      await resolveKernels(specs, log, signal);
      log.say(`Ready: ${counted(names.length)}accelerator ${accelerator.accelerator} (${accelerator.why}).`, "good");
    });
