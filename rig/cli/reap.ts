/** `rig reap`: remove what is left over. */
import { Command } from "commander";
import { runningDocker } from "../lab/docker.ts";
import { reap } from "../lab/reaper.ts";

export const reapCommand = (): Command =>
  new Command("reap")
    .description("remove the labs of rigs that no longer run, kept ones too; what a running rig uses is not touched")
    .option("--dry-run", "only say what would be removed", false)
    .action(async (options: { dryRun: boolean }) => {
      const docker = await runningDocker();
      const gone = await reap(docker, { kept: true, dryRun: options.dryRun });
      for (const what of gone) process.stdout.write(`${options.dryRun ? "would remove" : "removed"} ${what}\n`);
      if (gone.length === 0) process.stdout.write("nothing is left over\n");
      if (docker === undefined)
        process.stdout.write("(no Docker daemon answers, so only directories were looked at)\n");
    });
