/** `rig setup`: make this machine ready. A second call finds everything in place and does nothing. */
import { Command } from "commander";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { resolveKernel } from "../kernel/kernel.ts";
import { prepareHost, requirePrivileges } from "../run/host.ts";
import { installPackages } from "../setup/packages.ts";
import { commandContext } from "./context.ts";

/** What `make run-scenarios` and the tests compare. */
const DEFAULT_KERNELS = ["debian-5.10", "debian-6.1"];

export const setupCommand = (): Command =>
  new Command("setup")
    .description("install missing Debian packages, start Docker, make the images and fetch the default kernels")
    .option("--tests", "also what only the tests need (a browser)", false)
    .action(async (options: { tests: boolean }) => {
      using context = commandContext();
      const { log, signal } = context;
      requirePrivileges();
      await installPackages(options.tests, log, signal);
      const { accelerator } = await prepareHost(log, signal);
      const catalogue = await loadCatalogue();
      for (const name of DEFAULT_KERNELS) await resolveKernel(findKernel(catalogue, name), log, { signal });
      log.say(
        `Ready: ${DEFAULT_KERNELS.join(", ")}; accelerator ${accelerator.accelerator} (${accelerator.why}).`,
        "good",
      );
    });
